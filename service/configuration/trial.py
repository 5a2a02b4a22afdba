"""Makes each connector once at start, for what only that finds out."""

from datetime import UTC, datetime
from pathlib import Path

from service.configuration.parsed import Configuration, ConfigurationError
from service.connectors import ConnectorTools, connector_class, territory
from service.domain.delivery import DeliveryFailed
from service.outbound_http import HttpClient
from service.problems import Problem
from service.redaction import redact


def try_connectors(configuration: Configuration, path: Path) -> None:
    """Raises ConfigurationError, which names destination, file and line, where a template can't be rendered
    or two destinations write to the same place.

    `path` is the configuration's file. No other machine is reached.
    """
    problems = []
    taken: dict[str, str] = {}
    for name, config in configuration.destinations.items():
        tools = ConnectorTools(
            destination=name, http=HttpClient(), base=path.parent, now=lambda: datetime.now(UTC)
        )
        try:
            where = territory(connector_class(config.connector)(config.options, tools))
        except (
            DeliveryFailed,
            ValueError,
            OSError,
        ) as error:  # also a path or an address that the options name
            problems.append(Problem(f"destinations.{name}", redact(str(error))))
            continue
        first = name if where is None else taken.setdefault(where, name)
        if first != name:
            text = f"writes to the same place as {first}, {where}: give one of them another path or key"
            problems.append(Problem(f"destinations.{name}", redact(text)))
    if problems:
        raise ConfigurationError(f"{path} is wrong:\n" + "\n".join(f"  {problem}" for problem in problems))
