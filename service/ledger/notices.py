"""Notices: recorded once by key, together with who is to be told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.notices import Audience, Trouble
from service.ledger import tellings
from service.ledger.engine import insert
from service.ledger.tables import notices, stories


@dataclass(frozen=True)
class NoticeRow:
    """A recorded notice; `story_id` is the Story API's id where it concerns a story."""

    id: int
    key: str
    kind: str
    title: str
    text: str
    story_id: str | None
    created_at: datetime


def add(tx: sa.Connection, trouble: Trouble, audience: Audience, now: datetime) -> int | None:
    """Records the notice and has the audience told; returns its key, None when that of `trouble` was known before."""
    key = record(tx, trouble, now)
    if key is not None:
        for name in audience.hears(trouble):
            tellings.join(tx, name, trouble.group, key, now, alone=audience.every is None)
    return key


def record(tx: sa.Connection, trouble: Trouble, now: datetime) -> int | None:
    """Records the notice alone; returns its key, None when that of `trouble` was known before."""
    key: int | None = tx.execute(
        insert(tx, notices)
        .values(
            key=trouble.key,
            kind=trouble.kind,
            story=trouble.story,
            title=trouble.title[:200],
            text=trouble.text[:4000],
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(notices.c.id)
    ).scalar_one_or_none()
    return key


def is_recorded(tx: sa.Connection, key: str) -> bool:
    """Whether there is a notice of this key."""
    return bool(tx.execute(sa.select(sa.exists().where(notices.c.key == key))).scalar_one())


def recent(
    tx: sa.Connection,
    limit: int,
    story: int | None = None,
    before: int | None = None,
    kind: str | None = None,
) -> list[NoticeRow]:
    """The newest notices first, of one story or kind where it is named, older than the key `before`."""
    query = _rows().order_by(notices.c.id.desc()).limit(limit)
    if story is not None:
        query = query.where(notices.c.story == story)
    if kind is not None:
        query = query.where(notices.c.kind == kind)
    if before is not None:
        query = query.where(notices.c.id < before)
    return [_notice(row) for row in tx.execute(query)]


def _rows() -> sa.Select[Any]:
    return sa.select(notices, stories.c.story_id).join_from(
        notices, stories, notices.c.story == stories.c.id, isouter=True
    )


def _notice(row: Any) -> NoticeRow:
    return NoticeRow(row.id, row.key, row.kind, row.title, row.text, row.story_id, row.created_at)
