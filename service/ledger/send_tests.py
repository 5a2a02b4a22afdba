"""Tests that people send to a destination from the dashboard: asked for here, sent by a worker."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from service.ledger.bulk_tables import send_tests


class Stand(StrEnum):
    """Where a test stands."""

    ASKED = "asked"
    RUNNING = "running"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True)
class SendTest:
    """A test; `said` is what the place answered, or why it failed."""

    id: int
    destination: str
    who: str
    state: Stand
    said: str
    url: str | None
    asked_at: datetime
    ended_at: datetime | None


def add(tx: sa.Connection, destination: str, who: str, now: datetime) -> int:
    """Makes a test; returns its key."""
    values = {"destination": destination, "who": who, "state": Stand.ASKED, "asked_at": now}
    return int(tx.execute(sa.insert(send_tests).values(values).returning(send_tests.c.id)).scalar_one())


def take(tx: sa.Connection, key: int) -> SendTest | None:
    """Makes a test that was asked for one that runs; None when somebody else has it, or had."""
    row = tx.execute(
        sa.update(send_tests)
        .where(send_tests.c.id == key, send_tests.c.state == Stand.ASKED)
        .values(state=Stand.RUNNING)
        .returning(send_tests)
    ).one_or_none()
    return None if row is None else _test(row)


def end(tx: sa.Connection, key: int, state: Stand, said: str, now: datetime, url: str | None = None) -> None:
    """Writes how a test ended that had not ended yet."""
    tx.execute(
        sa.update(send_tests)
        .where(send_tests.c.id == key, send_tests.c.ended_at.is_(None))
        .values(state=state, said=said, url=url, ended_at=now)
    )


def read(tx: sa.Connection, key: int) -> SendTest | None:
    """The test of that key."""
    row = tx.execute(sa.select(send_tests).where(send_tests.c.id == key)).one_or_none()
    return None if row is None else _test(row)


def newest(tx: sa.Connection, destination: str) -> SendTest | None:
    """The last test of a destination."""
    query = sa.select(send_tests).where(send_tests.c.destination == destination)
    row = tx.execute(query.order_by(send_tests.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _test(row)


def _test(row: Any) -> SendTest:
    values = {name: getattr(row, name) for name in SendTest.__dataclass_fields__}
    return SendTest(**{**values, "state": Stand(row.state)})
