"""Loads `storyrelay.toml`."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.configuration.parsed import Configuration, ConfigurationError
from service.configuration.reading import Connectors, Reading
from service.connectors import connector_class
from service.settings import Settings


def load_configuration(
    settings: Settings, env: Mapping[str, str] | None = None, connectors: Connectors = connector_class
) -> Configuration:
    """Reads the file that the settings name; `env` (None: the process's own) fills `${NAME}`.

    A file that nobody named and that isn't there means an empty configuration. Raises ConfigurationError.
    """
    path = settings.config_path
    if not settings.config_path_is_set and not path.exists():
        return Configuration()
    reading = Reading(settings.secret_keys, os.environ if env is None else env, connectors)
    configuration = reading.configuration(_document(path))
    problems = reading.problems()
    if problems:
        raise ConfigurationError(f"{path} is wrong:\n" + "\n".join(f"  {problem}" for problem in problems))
    return configuration


def _document(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last = f"at line {text.count(chr(10))}, the last"
        message = str(error).replace("at end of document", last)
        raise ConfigurationError(f"{path} is not TOML: {message}") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is not TOML that can be read: nested too deeply") from None


def _text(path: Path) -> str:
    try:
        # with an end of line, tomllib knows the place of an error in the last one, too
        return path.read_bytes().decode("utf-8-sig") + "\n"
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text: look at byte {error.start}") from None
