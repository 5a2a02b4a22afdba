"""What the revisions of a story are to each other: the same work, of which only the newest is worth doing.

Every function takes an open transaction; those that write need the story locked.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.states import Intent, StepKind, StepState
from service.domain.steps import ClaimedStep
from service.ledger.tables import steps

SUPERSEDED = "superseded"
"""The remark of what a later revision made needless."""

_later = steps.alias("later")


def earlier(tx: sa.Connection, step: ClaimedStep) -> tuple[bool, Mapping[str, Any]]:
    """Of the same work for earlier revisions: whether any is running, and the newest reference that there is."""
    rows = tx.execute(
        sa.select(steps.c.state, steps.c.reference)
        .where(
            steps.c.story == step.story,
            steps.c.kind == step.lane.kind,
            steps.c.destination == step.lane.destination,
            steps.c.revision < step.revision,
        )
        .order_by(steps.c.revision.desc())
    ).all()
    running = any(row.state == StepState.RUNNING for row in rows)
    return running, next((row.reference for row in rows if row.reference), {})


def is_superseded(tx: sa.Connection, step: ClaimedStep) -> bool:
    """Whether the same work is to be done, or was done, for a later revision; see `later_is_made`."""
    return bool(tx.execute(sa.select(later_is_made(step))).scalar_one())


def later_is_made(step: ClaimedStep) -> sa.ColumnElement[bool]:
    """Whether there is the same work for a later revision: at its destination, or at the one it stands in for."""
    names = {step.lane.destination}
    if step.instead_of is not None and step.intent == Intent.PUBLISH:
        names.add(step.instead_of)
    return sa.exists().where(
        _later.c.story == step.story,
        _later.c.kind == step.lane.kind,
        _later.c.destination.in_(names),
        _later.c.revision > step.revision,
    )


def supersede(
    tx: sa.Connection,
    story: int,
    kind: StepKind,
    destinations: Sequence[str],
    revision: int,
    now: datetime,
) -> None:
    """Ends what waits to be done for earlier revisions at these destinations, or in their place.

    What runs just now ends by itself: it finds, when it is postponed, that a later revision is made.
    """
    names = list(destinations)
    tx.execute(
        sa.update(steps)
        .where(
            steps.c.story == story,
            steps.c.kind == kind,
            sa.or_(steps.c.destination.in_(names), steps.c.instead_of.in_(names)),
            steps.c.revision < revision,
            steps.c.intent == Intent.PUBLISH,
            steps.c.state.in_((StepState.PENDING, StepState.QUEUED)),
        )
        .values(
            state=StepState.DONE,
            next_at=None,
            waiting_for=None,
            ended_at=now,
            remark=SUPERSEDED,
            last_error=None,
        )
    )
