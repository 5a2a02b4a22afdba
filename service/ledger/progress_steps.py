"""A story's progress steps: one for each destination that shows it, asked again whenever there is news.

Every function takes an open transaction; those that write need the story locked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.states import ENDED_STEPS, Intent, StepKind, StepState
from service.domain.steps import Lane
from service.ledger import steps
from service.ledger.tables import UtcTime
from service.ledger.tables import steps as table


@dataclass(frozen=True)
class Shown:
    """The newest delivery of a story to one destination. `begun`: a worker had it once; `called`: its place, too."""

    state: StepState
    withdrawn: bool
    begun: bool
    called: bool
    reference: Mapping[str, Any]


def begin(tx: sa.Connection, story: int, destinations: Sequence[str], now: datetime) -> None:
    """Has these destinations show the story's progress from now on; those that do already are left alone."""
    steps.add(tx, [steps.NewStep(Lane(StepKind.PROGRESS, name), story) for name in destinations], now)


def ask(tx: sa.Connection, story: int, now: datetime) -> None:
    """There is news: makes the progress steps that the story has due, a running one after this attempt."""
    ended = table.c.state.in_(ENDED_STEPS)
    at = sa.literal(now, UtcTime())
    tx.execute(
        sa.update(table)
        .where(table.c.story == story, table.c.kind == StepKind.PROGRESS)
        .values(
            hints=table.c.hints + 1,
            state=sa.case((ended, StepState.PENDING.value), else_=table.c.state),
            next_at=sa.case((ended, at), else_=table.c.next_at),
            attempts=sa.case((ended, 0), else_=table.c.attempts),
            ended_at=sa.case((ended, None), else_=table.c.ended_at),
        )
    )


def told(tx: sa.Connection, story: int, destination: str) -> tuple[bool, Mapping[str, Any]]:
    """Whether a worker is just showing the story's progress there, and what was kept of it."""
    row = tx.execute(
        sa.select(table.c.state, table.c.reference).where(
            table.c.story == story, table.c.kind == StepKind.PROGRESS, table.c.destination == destination
        )
    ).one_or_none()
    return (False, {}) if row is None else (row.state == StepState.RUNNING, row.reference or {})


def deliveries(tx: sa.Connection, story: int) -> dict[str, Shown]:
    """The newest delivery to each destination; its reference is the newest that there is."""
    rows = tx.execute(
        sa.select(
            table.c.destination,
            table.c.state,
            table.c.intent,
            table.c.generation,
            table.c.begun_at,
            table.c.reference,
        )
        .where(table.c.story == story, table.c.kind == StepKind.DELIVER)
        .order_by(table.c.revision, table.c.id)
    )
    found: dict[str, Shown] = {}
    for row in rows:
        before = found.get(row.destination)
        reference = row.reference or (before.reference if before else {})
        begun = row.generation > 0 or (before is not None and before.begun)
        called = row.begun_at is not None or (before is not None and before.called)
        withdrawn = row.intent == Intent.WITHDRAW
        found[row.destination] = Shown(StepState(row.state), withdrawn, begun, called, reference)
    return found
