"""Questions to people, and the deliveries that wait for their answers.

Every function takes an open transaction; those that write need the story locked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.approvals import ApprovalState, ApprovalTimes, Through
from service.domain.states import ENDED_STEPS, Intent, StepKind, StepState
from service.domain.steps import ClaimedStep, Lane
from service.ledger import steps
from service.ledger.approval_tables import approvals
from service.ledger.asked_places import shown_at, stands_for
from service.ledger.engine import insert
from service.ledger.tables import UtcTime, is_pending
from service.ledger.tables import steps as step_table

LONGEST_NOTE = 500
_VERBS = {ApprovalState.APPROVED: "approved", ApprovalState.REJECTED: "rejected"}


@dataclass(frozen=True)
class ApprovalRow:
    """A question as it stands; `destination` is who was asked, `late_clicks` counts answers after the first."""

    id: int
    story: int
    revision: int
    route: str
    destination: str
    state: ApprovalState
    asked_at: datetime
    remind_at: datetime | None
    reminded_at: datetime | None
    expires_at: datetime | None
    decided_by: str | None
    decided_through: str | None
    decided_at: datetime | None
    note: str
    late_clicks: int

    @property
    def is_open(self) -> bool:
        """Whether an answer is still wanted."""
        return self.state == ApprovalState.ASKED

    @property
    def told(self) -> str:
        """How it ended, for people; '' while it is open."""
        if self.is_open:
            return ""
        if self.state == ApprovalState.SUPERSEDED:
            return f"closed: {self.note or 'nothing waits for it any more'}"
        if self.state == ApprovalState.EXPIRED:
            return "rejected, for nobody answered in time"
        said = f"{_VERBS[self.state]} by {self.decided_by}"
        return f"{said}: {self.note}" if self.note else said


def ask(
    tx: sa.Connection,
    story: int,
    revision: int,
    questions: Mapping[str, str],
    times: ApprovalTimes,
    now: datetime,
) -> None:
    """Asks for this revision (route → the destination that is asked); closes what was asked for earlier ones."""
    older = approvals.c.story == story, approvals.c.revision < revision
    said = f"superseded by revision {revision}"
    for row in _rows(tx, *older, approvals.c.state == ApprovalState.ASKED):
        _close(tx, row, said, now)
    for route, destination in questions.items():
        wanted = insert(tx, approvals).values(
            story=story,
            revision=revision,
            route=route,
            destination=destination,
            state=ApprovalState.ASKED,
            **_moments(times, now),
        )
        tx.execute(wanted.on_conflict_do_nothing())


def ask_again(tx: sa.Connection, step: int, times: ApprovalTimes, now: datetime) -> None:
    """Asks anew before a delivery that is wanted again and was refused, or whose question was closed, may go on."""
    row = _of_step(tx, step)
    if row is None or row.state in (ApprovalState.ASKED, ApprovalState.APPROVED):
        return
    cleared = {"decided_by": None, "decided_through": None, "decided_at": None, "reminded_at": None}
    tx.execute(
        sa.update(approvals)
        .where(approvals.c.id == row.id)
        .values(state=ApprovalState.ASKED, note="", late_clicks=0, **cleared, **_moments(times, now))
    )
    show(tx, row, now)


def ask_for_later(tx: sa.Connection, step: int, revision: int, times: ApprovalTimes, now: datetime) -> None:
    """Asks for a later revision that is to go where the `step`'s one was not approved; it had no routing of its own."""
    row = _of_step(tx, step)
    if row is not None and row.state != ApprovalState.APPROVED and row.revision < revision:
        ask(tx, row.story, revision, {row.route: row.destination}, times, now)
        begin_asking(tx, row.story, revision, row.destination, now)


def holds(tx: sa.Connection, step: ClaimedStep) -> ApprovalRow | None:
    """The question whose answer keeps the delivery from going on; None: none was asked, or it was approved.

    Who is asked gets the story without an answer, and so does what stands in for it.
    """
    if step.intent == Intent.WITHDRAW:
        return None
    found = _of_step(tx, step.id)
    return None if found is None or found.state == ApprovalState.APPROVED else found


def wait(tx: sa.Connection, step: ClaimedStep, now: datetime) -> None:
    """Makes a postponed delivery due at once where the answer has come meanwhile."""
    row = holds(tx, step)
    if row is None or not row.is_open:
        tx.execute(sa.update(step_table).where(step_table.c.id == step.id, is_pending).values(next_at=now))


def begin_asking(tx: sa.Connection, story: int, revision: int, destination: str, now: datetime) -> None:
    """Has the destination, which got this revision, shown what it is asked, if it is asked anything; or shown anew."""
    if asked_at(tx, story, revision, destination):
        _add_asking(tx, story, revision, destination, now)
        _wake_asking(tx, story, revision, [destination], now)


def show(tx: sa.Connection, row: ApprovalRow, now: datetime) -> None:
    """Has the question shown as it stands by now, wherever it is asked."""
    places = shown_at(tx, row.story, row.revision, row.destination)
    if places == [row.destination]:  # else what stands in for it begins when it has the story
        _add_asking(tx, row.story, row.revision, row.destination, now)
    _wake_asking(tx, row.story, row.revision, places, now)


def _add_asking(tx: sa.Connection, story: int, revision: int, destination: str, now: datetime) -> None:
    steps.add(tx, [steps.NewStep(Lane(StepKind.ASK, destination), story, revision)], now)


def _wake_asking(
    tx: sa.Connection, story: int, revision: int, destinations: Sequence[str], now: datetime
) -> None:
    ended = step_table.c.state.in_(ENDED_STEPS)
    tx.execute(
        sa.update(step_table)
        .where(
            step_table.c.story == story,
            step_table.c.kind == StepKind.ASK,
            step_table.c.destination.in_(destinations),
            step_table.c.revision == revision,
        )
        .values(
            hints=step_table.c.hints + 1,
            state=sa.case((ended, StepState.PENDING.value), else_=step_table.c.state),
            next_at=sa.case((ended, sa.literal(now, UtcTime())), else_=step_table.c.next_at),
            attempts=sa.case((ended, 0), else_=step_table.c.attempts),
            ended_at=sa.case((ended, None), else_=step_table.c.ended_at),
        )
    )


def due(tx: sa.Connection, now: datetime) -> tuple[list[int], list[int]]:
    """The questions of which people are to be reminded, and those whose time is over."""
    open_ones = approvals.c.state == ApprovalState.ASKED
    reminders = sa.select(approvals.c.id).where(open_ones, approvals.c.remind_at <= now)
    over = sa.select(approvals.c.id).where(open_ones, approvals.c.expires_at <= now)
    return list(tx.execute(reminders).scalars()), list(tx.execute(over).scalars())


def close_idle(tx: sa.Connection, story: int, why: str, now: datetime) -> None:
    """Closes the questions of a locked story for whose answer no delivery waits any more."""
    for row in _rows(tx, approvals.c.story == story, approvals.c.state == ApprovalState.ASKED):
        if not waiting_for(tx, row):
            _close(tx, row, why, now)


def waiting_for(tx: sa.Connection, row: ApprovalRow) -> list[str]:
    """The destinations whose deliveries wait for the answer."""
    query = sa.select(step_table.c.destination).where(
        *waits(tx, row), step_table.c.state.not_in(ENDED_STEPS), step_table.c.intent == Intent.PUBLISH
    )
    return sorted(tx.execute(query).scalars())


def read(tx: sa.Connection, key: int) -> ApprovalRow | None:
    """One question."""
    found = _rows(tx, approvals.c.id == key)
    return found[0] if found else None


def of_story(tx: sa.Connection, story: int) -> list[ApprovalRow]:
    """All questions of a story, the oldest first."""
    return _rows(tx, approvals.c.story == story)


def asked_at(tx: sa.Connection, story: int, revision: int, destination: str) -> list[ApprovalRow]:
    """What the destination was asked for this revision, or those in whose place it got the story."""
    asked = stands_for(tx, story, revision, destination)
    wanted = approvals.c.story == story, approvals.c.revision == revision
    return _rows(tx, *wanted, approvals.c.destination.in_(asked))


def listed(tx: sa.Connection, *, is_open: bool, limit: int, before: int | None = None) -> list[ApprovalRow]:
    """Open questions, or those that are over; the newest first, older than the key `before`."""
    state = approvals.c.state == ApprovalState.ASKED if is_open else approvals.c.state != ApprovalState.ASKED
    query = sa.select(approvals).where(state).order_by(approvals.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(approvals.c.id < before)
    return [_row(row) for row in tx.execute(query)]


def count_open(tx: sa.Connection) -> int:
    """How many questions wait for an answer."""
    query = sa.select(sa.func.count()).where(approvals.c.state == ApprovalState.ASKED)
    return int(tx.execute(query).scalar_one())


def _close(tx: sa.Connection, row: ApprovalRow, why: str, now: datetime) -> None:
    tx.execute(
        sa.update(approvals)
        .where(approvals.c.id == row.id)
        .values(
            state=ApprovalState.SUPERSEDED,
            note=why,
            remind_at=None,
            decided_at=now,
            decided_through=Through.CLOCK,
        )
    )
    tx.execute(sa.update(step_table).where(*waits(tx, row), is_pending).values(next_at=now))
    show(tx, row, now)


def _of_step(tx: sa.Connection, step: int) -> ApprovalRow | None:
    delivery = tx.execute(sa.select(step_table).where(step_table.c.id == step)).one()
    rows = _rows(
        tx,
        approvals.c.story == delivery.story,
        approvals.c.revision == delivery.revision,
        approvals.c.route == delivery.route,
    )
    if not rows or rows[0].destination in stands_for(
        tx, delivery.story, delivery.revision, delivery.destination
    ):
        return None
    return rows[0]


def waits(tx: sa.Connection, row: ApprovalRow) -> Sequence[sa.ColumnElement[bool]]:
    """Which steps are the deliveries that the answer is about."""
    return (
        step_table.c.story == row.story,
        step_table.c.kind == StepKind.DELIVER,
        step_table.c.revision == row.revision,
        step_table.c.route == row.route,
        step_table.c.destination.not_in(shown_at(tx, row.story, row.revision, row.destination)),
    )


def _moments(times: ApprovalTimes, now: datetime) -> dict[str, datetime | None]:
    return {
        "asked_at": now,
        "remind_at": None if times.remind_after is None else now + times.remind_after,
        "expires_at": None if times.expire_after is None else now + times.expire_after,
    }


def _rows(tx: sa.Connection, *where: sa.ColumnElement[bool]) -> list[ApprovalRow]:
    query = sa.select(approvals).where(*where).order_by(approvals.c.id)
    return [_row(row) for row in tx.execute(query)]


def _row(row: Any) -> ApprovalRow:
    values = {name: getattr(row, name) for name in ApprovalRow.__dataclass_fields__}
    return ApprovalRow(**{**values, "state": ApprovalState(row.state)})
