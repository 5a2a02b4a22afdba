"""How each destination does: what waits for it, and when it last took something."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from service.domain.states import Outcome, StepKind
from service.ledger.tables import attempts, is_busy, is_pending, steps


def backlog(tx: sa.Connection) -> Mapping[str, int]:
    """Destination → deliveries that are still to end."""
    found: dict[str, int] = {}
    for waits in (is_pending, is_busy):  # one after the other, for each has an index of its own
        query = sa.select(steps.c.destination, sa.func.count()).where(waits, steps.c.kind == StepKind.DELIVER)
        for destination, count in tx.execute(query.group_by(steps.c.destination)):
            found[destination] = found.get(destination, 0) + count
    return found


def last_done(tx: sa.Connection, destinations: Sequence[str]) -> Mapping[str, datetime]:
    """Destination → when a delivery there last succeeded; those where none ever did are missing."""
    found = {}
    for name in destinations:
        query = sa.select(attempts.c.ended_at).where(
            attempts.c.kind == StepKind.DELIVER,
            attempts.c.destination == name,
            attempts.c.outcome == Outcome.DONE,
        )
        newest = query.order_by(attempts.c.started_at.desc()).limit(1)
        at = tx.execute(newest).scalar_one_or_none()
        if at is not None:
            found[name] = at
    return found
