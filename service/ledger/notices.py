"""Notices: recorded once by key, together with the steps that tell them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.notices import Trouble
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.ledger import steps
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


def add(tx: sa.Connection, trouble: Trouble, destinations: Sequence[str], now: datetime) -> bool:
    """Records the notice and the steps that tell it to `destinations`; False when its key was told before.

    A destination is not told of its own trouble where another one can be.
    """
    row = tx.execute(
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
    ).one_or_none()
    if row is None:
        return False
    others = [name for name in destinations if name != trouble.about] or list(destinations)
    steps.add(
        tx,
        [
            steps.NewStep(Lane(StepKind.NOTIFY, name), story=trouble.story, notice=row.id)
            for name in dict.fromkeys(others)
        ],
        now,
    )
    return True


def read(tx: sa.Connection, notice_id: int) -> NoticeRow | None:
    """One notice."""
    row = tx.execute(_rows().where(notices.c.id == notice_id)).one_or_none()
    return None if row is None else _notice(row)


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
