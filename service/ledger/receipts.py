"""Receipts: every webhook as it arrived, whatever it said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.states import Verdict
from service.ledger.tables import receipts


@dataclass(frozen=True)
class Receipt:
    """One webhook: whose token it came by, what it claimed, and its raw body."""

    token: str
    verdict: Verdict
    body: bytes
    content_type: str
    remote: str
    received_at: datetime
    claimed_id: str | None = None
    claimed_status: str | None = None
    story: int | None = None


@dataclass(frozen=True)
class ReceiptRow:
    """A receipt as the ledger has it."""

    id: int
    story: int | None
    verdict: str
    token: str
    claimed_id: str | None
    claimed_status: str | None
    content_type: str
    remote: str
    body: bytes
    received_at: datetime


def add(tx: sa.Connection, new: Sequence[Receipt]) -> None:
    """Keeps the receipts."""
    if new:
        tx.execute(_ADD, [vars(receipt) for receipt in new])


_ADD = sa.insert(receipts)


def of_story(tx: sa.Connection, story: int, limit: int = 200) -> list[ReceiptRow]:
    """The story's receipts, oldest first."""
    query = sa.select(receipts).where(receipts.c.story == story).order_by(receipts.c.id).limit(limit)
    return [_row(row) for row in tx.execute(query)]


def _row(row: Any) -> ReceiptRow:
    return ReceiptRow(**{name: getattr(row, name) for name in ReceiptRow.__dataclass_fields__})
