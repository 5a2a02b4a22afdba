"""`stories`: what there is, newest first."""

import click
from rich.text import Text

from service.cli.output import moment, note, plain, show, show_json, table, word
from service.cli.session import open_session
from service.cli.story_json import story_json
from service.domain.states import StoryState
from service.ledger import stories as story_rows
from service.ledger.stories import StoryRow


@click.command(epilog="\b\nstoryrelay stories --state failed --state given_up")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in StoryState]),
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
        show(table(("story", "state", "created", "settled", "noticed", "title"), map(_cells, rows)))
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    note(
        f"In all: {summary}"
        if summary
        else "There are no stories yet: storyrelay submit, or storyrelay track"
    )


def _cells(row: StoryRow) -> tuple[str | Text, ...]:
    remark = f" ({plain(row.message, 80)})" if row.message else ""
    return (
        row.story_id or f"({row.submission_id})",
        word(row.state),
        moment(row.created_at),
        moment(row.settled_at),
        row.noticed_by or "",
        plain(row.title or row.request.get("idea"), 80) + remark,
    )
