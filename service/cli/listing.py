"""`stories`: what there is, newest first."""

from collections.abc import Iterable

import click
from rich.table import Table

from service.cli.choice import Word
from service.cli.output import columns, moment, note, plain, short_moment, show, show_json, table, word
from service.cli.session import open_session
from service.domain.states import StoryState
from service.ledger import stories as story_rows
from service.ledger.stories import StoryRow
from service.story_json import story_json

FULL_WIDTH = 130
"""Columns from which on all that the list can tell fits beside a title."""


@click.command(epilog="\b\nstoryrelay stories --state failed --state given_up")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=Word([state.value for state in StoryState]),
    help="Repeatable.",
)
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="At most so many."
)
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def stories(states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the stories, newest first."""
    relay = open_session()
    with relay.ledger.read() as tx:
        rows = story_rows.listed(tx, states, limit, None)
        counts = story_rows.counts(tx)
    if as_json:
        show_json({"stories": [story_json(row) for row in rows], "counts": counts})
        return
    if rows:
        show(_full(rows) if columns() >= FULL_WIDTH else _short(rows))
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
