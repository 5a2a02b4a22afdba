"""What commands print: tables for people, JSON for programs on stdout, notes on stderr.

Text of others (a story's title, a place's answer) can hold what moves a terminal's cursor: it is made plain.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from service.domain.stories import text

WIDE = 20_000
"""Columns where nobody looks at a terminal: what is piped is neither cut nor folded."""

ID_WIDTH = 40
"""Columns that an id gets even on a narrow terminal."""

GAP = 2
"""Columns that rich leaves between two of a table."""

SHORTEST_CUT = 12
"""Columns that a text keeps when it is cut to fit."""

STYLES = {
    "settled": "green", "done": "green", "accepted": "green", "ok": "green",
    "failed": "red", "unknown": "red", "given_up": "red", "dead": "red", "fail": "red", "lost": "red",
    "unconfirmed": "yellow", "retry": "yellow", "warn": "yellow", "mismatch": "yellow", "unmatched": "yellow",
    "malformed": "yellow", "cancelled": "dim", "duplicate": "dim",
}  # fmt: skip
"""Colours of the words that say how something stands."""


def plain(value: object, longest: int = 200) -> str:
    """An untrusted value as one line that a terminal prints as it is."""
    return text(value if isinstance(value, str | int | float) else str(value or ""), longest)


def plain_lines(value: str, longest: int = 8000) -> str:
    """Like `plain`, keeping its line breaks: for messages of several lines."""
    return "\n".join(_one_line(each) for each in value[:longest].split("\n"))


def word(value: str) -> Text:
    """A word that says how something stands, in its colour."""
    return Text(plain(value, 40), style=STYLES.get(value, ""))


def counted(number: int, noun: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(at: datetime | None) -> str:
    """A time for people, in this machine's time zone; '' for none."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at is not None else ""


def short_moment(at: datetime) -> str:
    """A time for people where room is scarce: to the minute, without the year."""
    return at.astimezone().strftime("%m-%d %H:%M")


def columns() -> int:
    """How many columns stdout has; `WIDE` where it is no terminal."""
    return Console().width if sys.stdout.isatty() else WIDE


def table(heads: Sequence[str], rows: Iterable[Sequence[str | Text]], *, cuts_last: bool = False) -> Table:
    """A table without frames; what does not fit is folded, never cut, and the first column last of all: an id
    is copied from there. `cuts_last`: the last column gets what the others leave, and ends in … where that is short.
    """
    cells = [[_cell(each) for each in row] for row in rows]
    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, head in enumerate(heads):
        longest = max((row[number].cell_len for row in cells), default=0)
        made.add_column(Text(head), overflow="fold", min_width=None if number else min(longest, ID_WIDTH))
    if cuts_last:
        _cut_last(made, heads, cells)
    for row in cells:
        made.add_row(*row)
    return made


def _cut_last(made: Table, heads: Sequence[str], cells: Sequence[Sequence[Text]]) -> None:
    widths = [max([len(head), *(row[number].cell_len for row in cells)]) for number, head in enumerate(heads)]
    taken = sum(width + GAP for width in widths[:-1])
    last = made.columns[-1]
    last.no_wrap, last.overflow, last.max_width = True, "ellipsis", max(columns() - taken, SHORTEST_CUT)


def _cell(value: str | Text) -> Text:
    return value if isinstance(value, Text) else Text(plain(value, 4000))


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values, one a line; values that are '' are left out."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value:
            made.add_row(Text(name), _cell(value))
    return made


def show(*parts: RenderableType) -> None:
    """Prints to stdout, in colours where it is a terminal; what is piped is wide and has no padding.

    A part that is a text is printed as it is: a terminal may wrap it, and it can still be copied whole.
    """
    if sys.stdout.isatty():
        _print(Console(markup=False, emoji=False, highlight=False), parts)
        return
    console = Console(markup=False, emoji=False, highlight=False, width=WIDE)
    with console.capture() as printed:
        _print(console, parts)
    click.echo("\n".join(line.rstrip() for line in printed.get().split("\n")), nl=False)


def show_json(value: Any) -> None:
    """Prints one JSON value; escaped to ASCII, so that it is safe on any terminal and in any encoding."""
    click.echo(json.dumps(value, indent=2))


def note(message: str) -> None:
    """Says something beside the result, on stderr."""
    click.echo(plain_lines(message), err=True)


def _one_line(line: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in line)


def _print(console: Console, parts: Sequence[RenderableType]) -> None:
    for part in parts:
        console.print(plain(part, 4000) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))
