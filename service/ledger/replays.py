"""What a person's replay does to steps that did not end."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from service.ledger.tables import is_pending, steps


def hasten(tx: sa.Connection, ids: Sequence[int], now: datetime) -> list[int]:
    """Makes the next try of pending steps due now; no repeat, and no attempt is spent. Returns those that were."""
    return list(
        tx.execute(
            sa.update(steps).where(steps.c.id.in_(ids), is_pending).values(next_at=now).returning(steps.c.id)
        ).scalars()
    )
