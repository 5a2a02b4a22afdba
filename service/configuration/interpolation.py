"""Puts environment variables into the texts of the configuration: `${NAME}`; `$${` stays as `${`."""

import re
from collections.abc import Mapping
from typing import Any

from service.problems import Problem

_PLACE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHORTEST_HIDDEN = 4  # hiding every "a" would make a message unreadable and protect nothing


class Interpolation:
    """Fills texts from one environment; remembers what went wrong and which values it put in."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._env = env
        self._used: dict[str, str] = {}
        self._filled: set[str] = set()

    def fill(self, value: Any, at: str) -> Any:
        """Returns the TOML value with all texts in it filled; `at` is its key path, for messages.

        What was filled in is not read again, so a variable's value is taken as it is. A text whose variable is
        missing stays.
        """
        if isinstance(value, str):
            filled = _PLACE.sub(lambda place: self._value(place, at), value)
            if filled != value:
                self._filled.add(filled)
            return filled
        if isinstance(value, dict):
            return {key: self.fill(item, f"{at}.{key}" if at else key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, f"{at} (item {number})") for number, item in enumerate(value, 1)]
        return value

    def has_filled(self, value: Any) -> bool:
        """Says whether the value is a text with something filled in, hence maybe a secret."""
        return isinstance(value, str) and value in self._filled

    def hide(self, text: str) -> str:
        """Returns the text with `${NAME}` in place of each value that was filled in."""
        for name, value in sorted(self._used.items(), key=lambda item: -len(item[1])):
            for form in _forms(value):
                text = text.replace(form, f"${{{name}}}")
        return text

    def _value(self, place: re.Match[str], at: str) -> str:
        name, end = place[1], place[2]
        if name is None:
            return "${"
        if not end or not _NAME.fullmatch(name):
            self.problems.append(
                Problem(at, "should have a variable's name in ${NAME}; write $${ for a plain ${")
            )
            return place[0]
        if not self._env.get(name):
            self.problems.append(Problem(at, f"the environment variable {name} is not set"))
            return place[0]
        self._used[name] = self._env[name]
        return self._env[name]


def _forms(value: str) -> list[str]:
    """How a value may stand in a message: whole, as repr has it, or cut after the usual lengths."""
    whole = {value, repr(value)[1:-1], value[:80], value[:40]}
    return sorted((form for form in whole if len(form) >= _SHORTEST_HIDDEN), key=len, reverse=True)
