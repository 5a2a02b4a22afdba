"""What `storyrelay.toml` says: destinations and routes."""

from service.configuration.loading import load_configuration
from service.configuration.parsed import Configuration, ConfigurationError, DestinationConfig
from service.configuration.shown import shown_options
from service.configuration.trial import try_connectors

__all__ = [
    "Configuration",
    "ConfigurationError",
    "DestinationConfig",
    "load_configuration",
    "shown_options",
    "try_connectors",
]
