"""What people and health checks read from the ledger: steps with their attempts, heartbeats, backlog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.states import StepState
from service.ledger import telling_steps
from service.ledger.engine import insert
from service.ledger.tables import attempts, heartbeats, steps


@dataclass(frozen=True)
class StepRow:
    """A step as people see it."""

    id: int
    kind: str
    destination: str
    revision: int
    route: str
    state: str
    intent: str
    instead_of: str | None
    waiting_for: Sequence[str] | None
    generation: int
    attempts: int
    repeat: int
    next_at: datetime | None
    reference: Mapping[str, Any] | None
    url: str | None
    remark: str | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None
    asked_at: datetime | None = None


@dataclass(frozen=True)
class AttemptRow:
    """One try of a step."""

    step: int
    kind: str
    destination: str
    generation: int
    outcome: str
    detail: str
    started_at: datetime
    ended_at: datetime | None


def steps_of(tx: sa.Connection, story: int) -> list[StepRow]:
    """The story's steps and those that tell people of it, in the order in which they were made."""
    query = sa.select(steps).where(steps.c.id.in_(_belonging_to(story))).order_by(steps.c.id)
    return [
        StepRow(**{name: getattr(row, name) for name in StepRow.__dataclass_fields__})
        for row in tx.execute(query)
    ]


def attempts_of(tx: sa.Connection, story: int, limit: int = 500) -> list[AttemptRow]:
    """The newest attempts at all of the story's steps, oldest first."""
    query = (
        sa.select(attempts)
        .where(attempts.c.step.in_(_belonging_to(story)))
        .order_by(attempts.c.started_at.desc(), attempts.c.id.desc())
        .limit(limit)
    )
    names = AttemptRow.__dataclass_fields__
    newest = [AttemptRow(**{name: getattr(row, name) for name in names}) for row in tx.execute(query)]
    return newest[::-1]


def _belonging_to(story: int) -> sa.CompoundSelect[Any]:
    return sa.union_all(sa.select(steps.c.id).where(steps.c.story == story), telling_steps.of_story(story))


def backlog(tx: sa.Connection) -> dict[str, dict[str, int]]:
    """How many steps there are of each kind in each state that is not done."""
    query = (
        sa.select(steps.c.kind, steps.c.state, sa.func.count())
        .where(steps.c.state.in_((StepState.PENDING, StepState.QUEUED, StepState.RUNNING, StepState.DEAD)))
        .group_by(steps.c.kind, steps.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for kind, state, count in tx.execute(query):
        found.setdefault(kind, {})[state] = count
    return found


def beat(tx: sa.Connection, name: str, now: datetime) -> None:
    """Says that the process of this name is alive."""
    tx.execute(
        insert(tx, heartbeats)
        .values(name=name, at=now)
        .on_conflict_do_update(index_elements=[heartbeats.c.name], set_={"at": now})
    )


def last_beat(tx: sa.Connection, name: str) -> datetime | None:
    """When the process of this name was last alive."""
    at: datetime | None = tx.execute(
        sa.select(heartbeats.c.at).where(heartbeats.c.name == name)
    ).scalar_one_or_none()
    return at
