"""Finds the secrets in what people configured, wherever they stand in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from service.configuration import Configuration
from service.settings import Settings


def configured_secrets(settings: Settings, configuration: Configuration) -> set[str]:
    """The texts of all secrets of the settings and of the destinations' options."""
    models = (settings, *(config.options for config in configuration.destinations.values()))
    return {text for model in models for text in _secrets(model) if text}


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets(item)
