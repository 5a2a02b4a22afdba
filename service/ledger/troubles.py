"""Troubles that last: told once when they begin, and once when they are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.notices import Audience, NoticeKind, Trouble
from service.domain.spoken_time import lasted
from service.domain.steps import Lane
from service.ledger import notices, tellings
from service.ledger.engine import insert
from service.ledger.tellings import Heard
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


_OF_LANES = (NoticeKind.LANE_PAUSED, NoticeKind.LANE_OFF)

_AFTERWARDS = {
    NoticeKind.KEY_REFUSED: "Stories are asked for and looked at again.",
    NoticeKind.CREDITS_REFUSED: "Stories are made again.",
    NoticeKind.SCHEDULER_SILENT: "What waited is being done.",
}


def begin(
    tx: sa.Connection,
    trouble: Trouble,
    audience: Audience | None,
    now: datetime,
    about: str = "",
    *,
    since: datetime | None = None,
) -> bool:
    """Opens the trouble and has people told of it; False while one of its kind `about` the same is open.

    Its notice's key is made here, so that the same may come again. `audience` None: it is listed, and nobody is
    told. `since`: when it began, where that was before `now`.
    """
    key = tx.execute(
        insert(tx, troubles)
        .values(
            kind=trouble.kind,
            about=about,
            title=trouble.title[:200],
            text=trouble.text[:4000],
            opened_at=since or now,
        )
        .on_conflict_do_nothing()
        .returning(troubles.c.id)
    ).scalar_one_or_none()
    if key is None:
        return False
    if audience is None:
        return True
    told_as = f"{trouble.kind}/{about}/trouble-{key}"
    new = Trouble(told_as, trouble.kind, trouble.title, trouble.text, about=trouble.about)
    notice = notices.add(tx, new, audience, now)
    tx.execute(sa.update(troubles).where(troubles.c.id == key).values(notice=notice))
    return True


def end(
    tx: sa.Connection, kind: NoticeKind, now: datetime, about: str = "", *, quietly: bool = False
) -> bool:
    """Closes the trouble if it is open, and has those told who heard of it, with how long it lasted.

    Who was not told yet is not told any more: neither that it began nor that it is over. `quietly`: nobody is told
    that it is over, because a worse one takes its place.
    """
    row = _close(tx, [kind], now, about)
    if row is None:
        return False
    over = _Over(tx, row, _knowing(tx, row.notice, now), now)
    if not quietly:
        over.tell(NoticeKind.RESOLVED, f"Over: {row.title}", _AFTERWARDS.get(kind, ""))
    return True


def end_of_lane(tx: sa.Connection, lane: Lane, now: datetime, paused_by: str | None = None) -> bool:
    """Closes the lane's trouble because it passes again, or because a person took it in hand (`paused_by`)."""
    row = _close(tx, _OF_LANES, now, str(lane))
    if row is None:
        return False
    over = _Over(tx, row, _knowing(tx, row.notice, now), now)
    if paused_by is None:
        after = "What was waiting is being sent." if lane.destination else "What was waiting is being done."
        over.tell(NoticeKind.LANE_RECOVERED, f"Works again: {lane.words}", after)
    else:
        after = f"{paused_by[:1].upper()}{paused_by[1:]}: nothing is sent there until somebody resumes it."
        over.tell(NoticeKind.RESOLVED, f"In hand: {lane.words}", after)
    return True


def last_end(tx: sa.Connection, kind: NoticeKind) -> datetime | None:
    """When the last trouble of this kind was over."""
    ended: datetime | None = tx.execute(
        sa.select(sa.func.max(troubles.c.resolved_at)).where(troubles.c.kind == kind)
    ).scalar_one()
    return ended


def opened_at(tx: sa.Connection, kind: NoticeKind, about: str = "") -> datetime | None:
    """Since when such a trouble lasts; None where there is none."""
    lasting = troubles.c.kind == kind, troubles.c.about == about, troubles.c.resolved_at.is_(None)
    at: datetime | None = tx.execute(sa.select(troubles.c.opened_at).where(*lasting)).scalar_one_or_none()
    return at


def open_ones(tx: sa.Connection) -> list[TroubleRow]:
    """What is troubling now, the oldest first."""
    query = sa.select(troubles).where(troubles.c.resolved_at.is_(None)).order_by(troubles.c.id)
    return [_trouble(row) for row in tx.execute(query)]


def listed(
    tx: sa.Connection, limit: int, before: int | None = None, *, only_open: bool = True
) -> list[TroubleRow]:
    """The newest first, older than the key `before`; those that last, or all."""
    query = sa.select(troubles).order_by(troubles.c.id.desc()).limit(limit)
    if only_open:
        query = query.where(troubles.c.resolved_at.is_(None))
    if before is not None:
        query = query.where(troubles.c.id < before)
    return [_trouble(row) for row in tx.execute(query)]


def count_open(tx: sa.Connection) -> dict[str, int]:
    """How many troubles of each kind last; kinds without any are absent."""
    query = sa.select(troubles.c.kind, sa.func.count().label("count_")).where(
        troubles.c.resolved_at.is_(None)
    )
    return {row.kind: row.count_ for row in tx.execute(query.group_by(troubles.c.kind))}


def of_notices(tx: sa.Connection, keys: Sequence[int]) -> dict[int, TroubleRow]:
    """The troubles whose beginning these notices told, by the notice's key."""
    query = sa.select(troubles).where(troubles.c.notice.in_(keys))
    return {row.notice: _trouble(row) for row in tx.execute(query)}


def _close(tx: sa.Connection, kinds: Sequence[NoticeKind], now: datetime, about: str) -> Any:
    rows = tx.execute(
        sa.update(troubles)
        .where(troubles.c.kind.in_(kinds), troubles.c.about == about, troubles.c.resolved_at.is_(None))
        .values(resolved_at=now)
        .returning(troubles)
    ).all()
    return rows[-1] if rows else None


@dataclass(frozen=True)
class _Over:
    """A trouble that was closed just now, to be told to those who know of it."""

    tx: sa.Connection
    row: Any
    knowing: list[Heard]
    now: datetime

    def tell(self, kind: NoticeKind, title: str, after: str) -> None:
        if not self.knowing:
            return
        text = f"It lasted {lasted((self.now - self.row.opened_at).total_seconds())}. {after}".rstrip()
        key, ends = f"{kind}/trouble-{self.row.id}", NoticeKind(self.row.kind)
        trouble = Trouble(key, kind, title, text, ends=ends)
        notice = notices.record(self.tx, trouble, self.now)
        if notice is not None:
            for each in self.knowing:
                tellings.join(self.tx, each.destination, trouble.group, notice, self.now, alone=each.alone)


def _knowing(tx: sa.Connection, notice: int | None, now: datetime) -> list[Heard]:
    """Who heard of it; those who did not are not told any more."""
    return [] if notice is None else tellings.take_back(tx, notice, now)


def _trouble(row: Any) -> TroubleRow:
    return TroubleRow(row.id, row.kind, row.about, row.title, row.text, row.opened_at, row.resolved_at)
