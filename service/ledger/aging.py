"""Rows that grow old by themselves, each kind by a time of its own."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.ledger import telling_steps
from service.ledger.bulk_tables import bulk_replays, send_tests
from service.ledger.forgetting import open_step, over
from service.ledger.people_tables import audit
from service.ledger.tables import attempts, notices, receipts, steps
from service.ledger.tables import stories as stories_table
from service.ledger.trouble_tables import troubles


@dataclass(frozen=True)
class Aged:
    """Rows that grow old by themselves: their table, their time, and whose rows are kept for now."""

    table: sa.Table
    at: sa.Column[Any]
    kept: sa.ColumnElement[bool]


def _unsettled(story: Any) -> sa.ColumnElement[bool]:
    return sa.exists().where(stories_table.c.id == story, ~sa.and_(*over()))


_OWN_STEP = open_step(steps.c.id == attempts.c.step)
AGED: Mapping[str, Aged] = {
    "bodies": Aged(
        receipts, receipts.c.received_at, sa.or_(_unsettled(receipts.c.story), receipts.c.body == b"")
    ),
    "receipts": Aged(receipts, receipts.c.received_at, _unsettled(receipts.c.story)),
    "attempts": Aged(attempts, attempts.c.started_at, _OWN_STEP),
    "notices": Aged(
        notices,
        notices.c.created_at,
        sa.or_(_unsettled(notices.c.story), telling_steps.are_open(notices.c.id)),
    ),
    "troubles": Aged(troubles, troubles.c.opened_at, troubles.c.resolved_at.is_(None)),
    "send_tests": Aged(send_tests, send_tests.c.asked_at, sa.false()),
    "bulk_replays": Aged(bulk_replays, bulk_replays.c.created_at, bulk_replays.c.ended_at.is_(None)),
    "audit": Aged(audit, audit.c.at, sa.false()),
}


def page_of(
    tx: sa.Connection, what: str, before: datetime, after: int, limit: int
) -> tuple[list[int], int | None]:
    """Keys of rows (`bodies`, `receipts`, …) older than `before` that may go; also the key to go on after."""
    aged = AGED[what]
    key = aged.table.c.id
    page = tx.execute(sa.select(key, aged.at.label("at")).where(key > after).order_by(key).limit(limit)).all()
    old = [row.id for row in page if row.at < before]
    more = page[-1].id if len(page) == limit and old else None  # keys grow with time: the rest is younger
    if not old:
        return [], None
    query = sa.select(key).where(key.in_(old), ~aged.kept)
    return list(tx.execute(query.order_by(key)).scalars()), more


def delete(tx: sa.Connection, what: str, keys: Collection[int]) -> int:
    """Deletes these rows, or empties the bodies, of those that may still go; returns how many."""
    aged = AGED[what]
    chosen = aged.table.c.id.in_(keys), ~aged.kept
    if what == "bodies":
        return tx.execute(sa.update(receipts).where(*chosen).values(body=b"")).rowcount
    telling = telling_steps.steps_telling(tx, list(keys)) if what == "notices" else []
    gone = tx.execute(sa.delete(aged.table).where(*chosen)).rowcount
    telling_steps.drop_empty(tx, telling)
    return gone
