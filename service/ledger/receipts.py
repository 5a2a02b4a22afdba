"""Receipts: every webhook as it arrived, whatever it said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
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
    request_id: str = ""


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
    request_id: str
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


MOST_NAMED = 500
"""Receipts that a claimed id, or a beginning of one, may find: of more, only so many are looked at."""


@dataclass(frozen=True)
class Sought:
    """Which receipts are looked for; None: any. `claimed` is a claimed id or a beginning of one."""

    verdict: Verdict | None = None
    token: str | None = None
    claimed: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class ReceiptLine:
    """A receipt in a list: without its body."""

    id: int
    story: int | None
    verdict: str
    token: str
    claimed_id: str | None
    claimed_status: str | None
    remote: str
    received_at: datetime


Place = tuple[datetime, int]
"""Where a page of the list ends: the time and the key of its last receipt."""


def listed(tx: sa.Connection, sought: Sought, limit: int, after: Place | None = None) -> list[ReceiptLine]:
    """Receipts, the newest first, older than `after`.

    Reads no more than a page of each kind of receipt, but for those of one claimed id.
    """
    found = [line for kind in _kinds(tx, sought) for line in _page(tx, kind, limit, after)]
    return sorted(found, key=lambda line: (line.received_at, line.id), reverse=True)[:limit]


def _kinds(tx: sa.Connection, sought: Sought) -> Iterator[Sought]:
    """The same by token and verdict where one of them is sought.

    One index begins with both, and webhooks wait for each index that there is.
    """
    if sought.claimed is not None or (sought.token is None) == (sought.verdict is None):
        yield sought
    elif sought.token is None:
        yield from (replace(sought, token=token) for token in list(_tokens(tx)))
    else:
        yield from (replace(sought, verdict=verdict) for verdict in Verdict)


def _page(tx: sa.Connection, sought: Sought, limit: int, after: Place | None) -> list[ReceiptLine]:
    columns = [receipts.c[name] for name in ReceiptLine.__dataclass_fields__]
    query = sa.select(*columns).where(*_sought(sought))
    if sought.claimed is not None:
        query = query.where(receipts.c.id.in_(_named(tx, sought.claimed)))
    if after is not None:
        query = query.where(
            receipts.c.received_at <= after[0],
            sa.or_(receipts.c.received_at < after[0], receipts.c.id < after[1]),
        )
    newest_first = receipts.c.received_at.desc(), receipts.c.id.desc()
    return [ReceiptLine(*row) for row in tx.execute(query.order_by(*newest_first).limit(limit))]


MOST_TOKENS = 200


def tokens(tx: sa.Connection) -> list[str]:
    """Whose tokens receipts came by, up to MOST_TOKENS."""
    return list(islice(_tokens(tx), MOST_TOKENS))


def _tokens(tx: sa.Connection) -> Iterator[str]:
    """Looked up one by one in the index: there are few, of a million receipts."""
    least = sa.select(sa.func.min(receipts.c.token))
    name = tx.execute(least).scalar_one()
    while name is not None:
        yield name
        name = tx.execute(least.where(receipts.c.token > name)).scalar_one()


def forget_story(tx: sa.Connection, story: int) -> None:
    """Takes out of the story's receipts what tells of it; that they came, and what they turned out to be, stays."""
    blank = {"story": None, "claimed_id": None, "body": b""}
    tx.execute(sa.update(receipts).where(receipts.c.story == story).values(blank))


def read(tx: sa.Connection, key: int) -> ReceiptRow | None:
    """The receipt of that key."""
    row = tx.execute(sa.select(receipts).where(receipts.c.id == key)).one_or_none()
    return None if row is None else _row(row)


def adopt(tx: sa.Connection, key: int, story: int) -> None:
    """Says which story a receipt without one was about, as a person found out."""
    tx.execute(
        sa.update(receipts).where(receipts.c.id == key, receipts.c.story.is_(None)).values(story=story)
    )


def _sought(sought: Sought) -> Iterator[sa.ColumnElement[bool]]:
    if sought.verdict is not None:
        yield receipts.c.verdict == sought.verdict
    if sought.token is not None:
        yield receipts.c.token == sought.token
    if sought.since is not None:
        yield receipts.c.received_at >= sought.since
    if sought.until is not None:
        yield receipts.c.received_at < sought.until


def _named(tx: sa.Connection, beginning: str) -> Sequence[int]:
    """The keys of receipts whose claimed id begins so.

    Asked for by themselves: the planner would rather read the whole list in its order.
    """
    column, last = receipts.c.claimed_id, beginning + chr(0x10FFFF)
    if tx.dialect.name == "postgresql":
        # by code points, as the index is ordered: the database's own order depends on its language
        begins = sa.and_(column.op("~>=~")(beginning), column.op("~<~")(last))
    else:
        begins = sa.and_(column >= beginning, column < last)
    return tx.execute(sa.select(receipts.c.id).where(begins).limit(MOST_NAMED)).scalars().all()


def _row(row: Any) -> ReceiptRow:
    return ReceiptRow(**{name: getattr(row, name) for name in ReceiptRow.__dataclass_fields__})
