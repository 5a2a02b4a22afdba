"""Troubles that last: told once when they begin, and once when they are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.notices import NoticeKind, Trouble
from service.domain.spoken_time import lasted
from service.domain.states import StepKind, StepState
from service.ledger import notices
from service.ledger.engine import insert
from service.ledger.tables import notices as notice_table
from service.ledger.tables import steps
from service.ledger.trouble_tables import troubles


@dataclass(frozen=True)
class TroubleRow:
    """A trouble that lasts, or lasted until `resolved_at`."""

    id: int
    kind: str
    about: str
    title: str
    text: str
    opened_at: datetime
    resolved_at: datetime | None


def begin(
    tx: sa.Connection, trouble: Trouble, destinations: Sequence[str], now: datetime, about: str = ""
) -> bool:
    """Opens the trouble and has people told of it; False while one of its kind `about` the same is open.

    The trouble's `key` is completed with the time, so that the same may come again.
    """
    key = tx.execute(
        insert(tx, troubles)
        .values(
            kind=trouble.kind,
            about=about,
            title=trouble.title[:200],
            text=trouble.text[:4000],
            opened_at=now,
        )
        .on_conflict_do_nothing()
        .returning(troubles.c.id)
    ).scalar_one_or_none()
    if key is None:
        return False
    told_as = f"{trouble.kind}/{about}/trouble-{key}"
    notices.add(
        tx,
        Trouble(told_as, trouble.kind, trouble.title, trouble.text, about=trouble.about),
        destinations,
        now,
    )
    notice = sa.select(notice_table.c.id).where(notice_table.c.key == told_as).scalar_subquery()
    tx.execute(sa.update(troubles).where(troubles.c.id == key).values(notice=notice))
    return True


def end(tx: sa.Connection, kind: NoticeKind, now: datetime, about: str = "") -> bool:
    """Closes the trouble if it is open, and has those told who heard of it, with how long it lasted.

    Who was not told yet is not told any more: neither that it began nor that it is over.
    """
    row = tx.execute(
        sa.update(troubles)
        .where(troubles.c.kind == kind, troubles.c.about == about, troubles.c.resolved_at.is_(None))
        .values(resolved_at=now)
        .returning(troubles)
    ).one_or_none()
    if row is None:
        return False
    knowing = _knowing(tx, row.notice, now) if row.notice is not None else []
    if knowing:
        text = f"It lasted {lasted((now - row.opened_at).total_seconds())}."
        over = Trouble(
            key=f"{NoticeKind.RESOLVED}/trouble-{row.id}",
            kind=NoticeKind.RESOLVED,
            title=f"Over: {row.title}",
            text=text,
        )
        notices.add(tx, over, knowing, now)
    return True


def is_open(tx: sa.Connection, kind: NoticeKind, about: str = "") -> bool:
    """Whether such a trouble lasts."""
    lasting = troubles.c.kind == kind, troubles.c.about == about, troubles.c.resolved_at.is_(None)
    return bool(tx.execute(sa.select(sa.exists().where(*lasting))).scalar_one())


def open_ones(tx: sa.Connection) -> list[TroubleRow]:
    """What is troubling now, the oldest first."""
    query = sa.select(troubles).where(troubles.c.resolved_at.is_(None)).order_by(troubles.c.id)
    return [_trouble(row) for row in tx.execute(query)]


def _knowing(tx: sa.Connection, notice: int, now: datetime) -> list[str]:
    told = (steps.c.kind == StepKind.NOTIFY, steps.c.notice == notice)
    tx.execute(
        sa.update(steps)
        .where(*told, steps.c.state == StepState.PENDING)
        .values(state=StepState.CANCELLED, next_at=None, ended_at=now, remark="it was over before")
    )
    # one that is just being told counts as told: better an end without a beginning than the other way round
    heard = (StepState.QUEUED, StepState.RUNNING, StepState.DONE)
    query = sa.select(steps.c.destination).where(*told, steps.c.state.in_(heard)).order_by(steps.c.id)
    return list(tx.execute(query).scalars())


def _trouble(row: Any) -> TroubleRow:
    return TroubleRow(row.id, row.kind, row.about, row.title, row.text, row.opened_at, row.resolved_at)
