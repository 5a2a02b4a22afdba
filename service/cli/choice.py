"""A word of a closed list, as people type it."""

from collections.abc import Sequence
from typing import Any

import click

from service.cli.output import plain
from service.problems import hint


class Word(click.Choice[str]):
    """One of some words, in any case; a wrong one gets the nearest right one."""

    def __init__(self, words: Sequence[str], advice: str = "") -> None:
        super().__init__(words)
        self._advice = advice

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Shows the words as they are written."""
        del param, ctx
        return f"[{'|'.join(self.choices)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the word as it is written. Raises BadParameter."""
        given = str(value)
        found = {word.lower(): word for word in self.choices}.get(given.lower())
        if found is not None:
            return found
        words = ", ".join(self.choices)
        return self.fail(
            f"{plain(given, 80)!r} is none of {words}{hint(given, self.choices)}{self._advice}", param, ctx
        )
