"""How far the day's pruning has come: kept, so that a process that is killed loses nothing of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from service.ledger import reports
from service.ledger.engine import insert
from service.ledger.retention_tables import pruning_places

BEAT = "prune"
_ONE = 1


@dataclass(frozen=True)
class Place:
    """Of which kind, and after which key, pruning goes on. `kind` '': at the start."""

    kind: str = ""
    after: int = 0


def due(tx: sa.Connection, now: datetime, pause: timedelta) -> Place | None:
    """Where to go on; None while the last pruning that came through is not as long ago as `pause`."""
    last = reports.last_beat(tx, BEAT)
    if last is not None and now - last < pause:
        return None
    row = tx.execute(sa.select(pruning_places).where(pruning_places.c.id == _ONE)).one_or_none()
    return Place() if row is None else Place(row.kind, row.after)


def move(tx: sa.Connection, was: Place, to: Place) -> bool:
    """Goes from one place to the next; False, and nothing, when another has moved meanwhile."""
    row = insert(tx, pruning_places).values(id=_ONE, kind="", after=0)
    tx.execute(row.on_conflict_do_nothing())
    moved = tx.execute(
        sa.update(pruning_places)
        .where(
            pruning_places.c.id == _ONE,
            pruning_places.c.kind == was.kind,
            pruning_places.c.after == was.after,
        )
        .values(kind=to.kind, after=to.after)
    )
    return moved.rowcount == 1


def through(tx: sa.Connection, was: Place, now: datetime) -> bool:
    """Says that the day's pruning came through from that place; False when another has moved meanwhile."""
    if not move(tx, was, Place()):
        return False
    reports.beat(tx, BEAT, now)
    return True
