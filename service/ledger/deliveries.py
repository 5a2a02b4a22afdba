"""What the deliveries of one story are to each other and to the people who take them back.

Every function takes an open transaction; those that write need the story locked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.states import ENDED_STEPS, Intent, StepKind, StepState, StoryState
from service.domain.steps import ClaimedStep
from service.ledger import stories
from service.ledger.stories import StoryRow
from service.ledger.tables import UtcTime, is_pending, steps

_SHOWS_WITHDRAWALS = (StoryState.OPEN, StoryState.SETTLING, StoryState.SETTLED)
"""States whose message is free to say from where a story was withdrawn."""


@dataclass(frozen=True)
class Delivery:
    """One revision's delivery to one destination."""

    id: int
    destination: str
    revision: int
    state: StepState
    intent: Intent
    begun_at: datetime | None

    @property
    def stands_nowhere(self) -> bool:
        """Whether its destination was never called for it, and is not about to be."""
        return self.begun_at is None and self.state not in (StepState.DONE, StepState.RUNNING)

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was taken back, or is to be."""
        return self.intent == Intent.WITHDRAW


def hold(tx: sa.Connection, story: int) -> dict[str, list[Delivery]]:
    """The story's deliveries by destination, newest revision first, held for this transaction."""
    return _by_destination(tx, _of(story).with_for_update())


def newest(tx: sa.Connection, story: int, destination: str) -> Delivery | None:
    """The story's newest delivery to the destination, None where there is none."""
    rows = _by_destination(tx, _of(story).where(steps.c.destination == destination))
    return rows[destination][0] if rows else None


def withdrawn(tx: sa.Connection, story: int) -> list[str]:
    """The destinations that were to have the story no more when it last had to do with them."""
    newest = {name: rows[0] for name, rows in _by_destination(tx, _of(story)).items()}
    return [name for name, row in newest.items() if row.is_withdrawn]


def visible(tx: sa.Connection, story: int, *, but: str, until: int) -> Mapping[str, str]:
    """Where the story can be seen: destination → URL, of revisions up to `until`, without the destination `but`."""
    rows = tx.execute(
        sa.select(steps.c.destination, steps.c.url)
        .where(
            *_delivers(story),
            steps.c.destination != but,
            steps.c.revision <= until,
            steps.c.url.is_not(None),
            steps.c.intent == Intent.PUBLISH,
        )
        .order_by(steps.c.revision)
    )
    return {row.destination: row.url for row in rows}


def turn(tx: sa.Connection, delivery: int, intent: Intent, now: datetime) -> None:
    """Has the delivery do this from now on, as soon as it can: a running attempt ends first.

    The message is another one than before, as for every wanted repeat.
    """
    over = steps.c.state.in_(ENDED_STEPS)
    idle = sa.or_(over, is_pending)
    tx.execute(
        sa.update(steps)
        .where(steps.c.id == delivery)
        .values(
            intent=intent,
            state=sa.case((over, StepState.PENDING.value), else_=steps.c.state),
            next_at=sa.case((idle, sa.literal(now, UtcTime())), else_=steps.c.next_at),
            repeat=steps.c.repeat + 1,
            asked_at=now,
            attempts=0,
            waits=0,
            waiting_for=None,
            ended_at=None,
            remark=None,
            last_error=None,
        )
    )


def tell_withdrawn(tx: sa.Connection, row: StoryRow, now: datetime) -> None:
    """Says of a story from where it was withdrawn, as people see it in the list."""
    newest = [rows[0] for rows in _by_destination(tx, _of(row.id)).values()]
    gone = [each.destination for each in newest if each.is_withdrawn and each.state == StepState.CANCELLED]
    if row.state not in _SHOWS_WITHDRAWALS:
        return
    message = "withdrawn" + (f" from {', '.join(sorted(gone))}" if len(gone) < len(newest) else "")
    stories.change(tx, row.id, now, message=message if gone else None)


def unended(tx: sa.Connection, story: int, revision: int, destinations: Sequence[str]) -> list[str]:
    """Those of the destinations whose delivery of this revision is still to end."""
    if not destinations:
        return []
    rows = tx.execute(
        sa.select(steps.c.destination).where(
            *_delivers(story),
            steps.c.revision == revision,
            steps.c.destination.in_(destinations),
            steps.c.state.not_in(ENDED_STEPS),
        )
    )
    return sorted(rows.scalars())


def wait_for(tx: sa.Connection, step: ClaimedStep, destinations: Sequence[str], now: datetime) -> None:
    """Keeps what a postponed delivery waits for; it is due at once where that has ended meanwhile."""
    left = unended(tx, step.story_key, step.revision, destinations)
    values = {"waiting_for": left} if left else {"next_at": now}
    tx.execute(sa.update(steps).where(steps.c.id == step.id, is_pending).values(**values))


def wake(tx: sa.Connection, story: int, now: datetime) -> None:
    """Makes due what waited for deliveries that have all ended by now."""
    waiting = tx.execute(
        sa.select(steps.c.id, steps.c.revision, steps.c.waiting_for).where(
            *_delivers(story), is_pending, steps.c.waiting_for.is_not(None)
        )
    ).all()
    free = [row.id for row in waiting if not unended(tx, story, row.revision, row.waiting_for)]
    if free:
        due = sa.update(steps).where(steps.c.id.in_(free), is_pending)
        tx.execute(due.values(next_at=now, waiting_for=None))


def _of(story: int) -> sa.Select[Any]:
    columns = (
        steps.c.id,
        steps.c.destination,
        steps.c.revision,
        steps.c.state,
        steps.c.intent,
        steps.c.begun_at,
    )
    return sa.select(*columns).where(*_delivers(story)).order_by(steps.c.revision.desc(), steps.c.id)


def _by_destination(tx: sa.Connection, query: sa.Select[Any]) -> dict[str, list[Delivery]]:
    found: dict[str, list[Delivery]] = {}
    for key, destination, revision, state, intent, begun_at in tx.execute(query):
        row = Delivery(key, destination, revision, StepState(state), Intent(intent), begun_at)
        found.setdefault(destination, []).append(row)
    return found


def _delivers(story: int) -> tuple[sa.ColumnElement[bool], ...]:
    return steps.c.story == story, steps.c.kind == StepKind.DELIVER
