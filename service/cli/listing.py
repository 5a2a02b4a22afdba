"""`stories`: what there is, newest first."""

from collections.abc import Iterable
from typing import Any

import click
from rich.table import Table

from service.cli.choice import Word
from service.cli.output import columns, moment, note, plain, short_moment, show, show_json, table, word
from service.cli.session import open_session
from service.cli.times import Moment
from service.domain.states import StoryState
from service.ledger import overview, story_list
from service.ledger.stories import StoryRow
from service.ledger.story_list import Sought
from service.story_json import story_json

FULL_WIDTH = 130
"""Columns from which on all that the list can tell fits beside a title."""


def _label(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    name, equals, told = (part.strip() for part in value.partition("="))
    if not (name and equals):
        raise click.BadParameter(f"{plain(value, 80)!r} is no label: write NAME=VALUE, such as team=brand")
    return name, told


@click.command(
    epilog="\b\nstoryrelay stories --state failed --state given_up"
    "\nstoryrelay stories --from 7d --destination team --text lighthouse"
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=Word([state.value for state in StoryState]),
    help="Repeatable.",
)
@click.option("--route", metavar="NAME", help="Pinned to this route, or led by it.")
@click.option("--destination", metavar="NAME", help="That go there.")
@click.option("--label", metavar="NAME=VALUE", callback=_label, help="With this label.")
@click.option("--from", "since", type=Moment(), metavar="TIME", help="That came in then or later; or 24h.")
@click.option("--to", "until", type=Moment(), metavar="TIME", help="That came in before.")
@click.option("--text", default="", metavar="WORDS", help="Words that title or idea hold, or an id.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="At most so many."
)
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def stories(states: tuple[str, ...], text: str, limit: int, as_json: bool, **more: Any) -> None:
    """List the stories, newest first: those for which all holds that is asked for."""
    relay = open_session()
    label: tuple[str, str] | None = more.pop("label")
    sought = Sought(
        states=tuple(map(StoryState, states)),
        labels=dict([label] if label else []),
        words=text.strip()[:200],
        **more,
    )
    with relay.ledger.read() as tx:
        rows = story_list.newest(tx, sought, limit)
        counts = overview.states(tx)
    if as_json:
        show_json({"stories": [story_json(row) for row in rows], "counts": counts})
        return
    if rows:
        show(_full(rows) if columns() >= FULL_WIDTH else _short(rows))
    elif counts:
        note("No story fits")
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    note(
        f"In all: {summary}"
        if summary
        else "There are no stories yet: storyrelay submit, or storyrelay track"
    )


def _full(rows: Iterable[StoryRow]) -> Table:
    heads = ("story", "state", "created", "settled", "noticed", "title")
    cells = [
        (
            _name(row),
            word(row.state),
            moment(row.created_at),
            moment(row.settled_at),
            row.noticed_by or "",
            _title(row),
        )
        for row in rows
    ]
    return table(heads, cells, cuts_last=True)


def _short(rows: Iterable[StoryRow]) -> Table:
    cells = [(_name(row), word(row.state), short_moment(row.created_at), _title(row)) for row in rows]
    return table(("story", "state", "created", "title"), cells, cuts_last=True)


def _name(row: StoryRow) -> str:
    return row.story_id or f"({row.submission_id})"


def _title(row: StoryRow) -> str:
    remark = f" ({plain(row.message, 80)})" if row.message else ""
    return plain(row.title or row.request.get("idea"), 80) + remark
