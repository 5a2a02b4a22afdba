"""Tellings: what one destination is told in one message, gathered until a worker makes the message.

A telling is open until it is frozen, and there is one open telling of a group at a destination: whatever comes
meanwhile joins it. Each has a step, which tells it. A step whose telling is gone, or empty, has nothing to say.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service import tracing
from service.domain.notices import ALONE, Audience, Told
from service.domain.states import ENDED_STEPS, StepKind, StepState
from service.ledger.engine import insert
from service.ledger.tables import UtcTime, notices, steps, stories
from service.ledger.telling_tables import telling_notices, tellings

_WAITING = (StepState.PENDING, StepState.QUEUED)


class Crowded(Exception):
    """Tellings were frozen faster than a notice could join one; the transaction is to be tried again."""


@dataclass(frozen=True)
class Telling:
    """One message that is to be made, or was: to whom, of which group."""

    id: int
    destination: str
    group: str
    due_at: datetime
    frozen_at: datetime | None


@dataclass(frozen=True)
class Heard:
    """Who heard of a notice, and whether of each alone, as its audience was told then."""

    destination: str
    alone: bool


def join(
    tx: sa.Connection,
    destination: str,
    group: str,
    notice: int,
    now: datetime,
    *,
    alone: bool,
    remark: str = "",
) -> None:
    """Has the destination told of the notice: together with what else waits there, or `alone`."""
    named = f"{group}{ALONE}{notice}" if alone else group
    key = (
        _open(tx, destination, named) or _begin(tx, destination, named, now) or _open(tx, destination, named)
    )
    if key is None:
        raise Crowded(destination)
    row = insert(tx, telling_notices).values(telling=key, notice=notice, remark=remark)
    tx.execute(row.on_conflict_do_nothing())


def of_step(tx: sa.Connection, step: int) -> Telling | None:
    """What the step tells; None: nothing any more."""
    row = tx.execute(sa.select(tellings).where(tellings.c.step == step)).one_or_none()
    return None if row is None else _telling(row)


def last_told(tx: sa.Connection, telling: Telling) -> datetime | None:
    """When the destination was last told of this group."""
    same = tellings.c.destination == telling.destination, tellings.c.group == telling.group
    at: datetime | None = tx.execute(sa.select(sa.func.max(tellings.c.frozen_at)).where(*same)).scalar_one()
    return at


def hold(tx: sa.Connection, telling: Telling, until: datetime) -> None:
    """Says until when it may not be told: nobody is late before."""
    tx.execute(sa.update(tellings).where(tellings.c.id == telling.id).values(due_at=until))


def freeze(tx: sa.Connection, telling: Telling, now: datetime) -> list[Told]:
    """Closes it, if it is not closed, and returns what it tells, in the order in which it came."""
    is_open = tellings.c.id == telling.id, tellings.c.frozen_at.is_(None)
    tx.execute(sa.update(tellings).where(*is_open).values(frozen_at=now))
    query = (
        sa.select(notices, stories.c.story_id, telling_notices.c.remark)
        .join_from(telling_notices, notices)
        .join(stories, stories.c.id == notices.c.story, isouter=True)
        .where(telling_notices.c.telling == telling.id)
        .order_by(notices.c.id)
    )
    names = Told.__dataclass_fields__
    return [Told(**{name: getattr(row, name) for name in names}) for row in tx.execute(query)]


def take_back(tx: sa.Connection, notice: int, now: datetime) -> list[Heard]:
    """Spares people a notice that they have not heard of, because it is over; returns who has heard, or may have."""
    rows = tx.execute(
        sa.select(tellings, steps.c.state)
        .join_from(tellings, telling_notices, telling_notices.c.telling == tellings.c.id)
        .join(steps, steps.c.id == tellings.c.step)
        .where(telling_notices.c.notice == notice)
        .order_by(tellings.c.id)
    ).all()
    heard = [Heard(row.destination, ALONE in row.group) for row in rows if not _spares(tx, row, notice, now)]
    return list(dict.fromkeys(heard))


def late(tx: sa.Connection, audience: Audience, before: datetime) -> list[int]:
    """The tellings to others than the fallback that were due before then and are not told yet, nor passed on."""
    query = (
        sa.select(tellings.c.id)
        .join(steps, steps.c.id == tellings.c.step)
        .where(
            tellings.c.passed_on_at.is_(None),
            tellings.c.due_at < before,
            tellings.c.destination != audience.fallback,
            steps.c.kind == StepKind.NOTIFY,
            steps.c.state.not_in(ENDED_STEPS),
        )
    )
    return list(tx.execute(query).scalars())


def pass_on(tx: sa.Connection, key: int, audience: Audience, now: datetime, why: str) -> bool:
    """Has the fallback told what another could not be told, once; False where it was, or where there is none.

    The telling is frozen by that: what comes later is late by itself, or it is not.
    """
    fallback = audience.fallback
    row = tx.execute(
        sa.update(tellings)
        .where(tellings.c.id == key, tellings.c.passed_on_at.is_(None), tellings.c.destination != fallback)
        .values(
            passed_on_at=now, frozen_at=sa.func.coalesce(tellings.c.frozen_at, sa.literal(now, UtcTime()))
        )
        .returning(tellings)
    ).one_or_none()
    if row is None or fallback is None:
        return False
    for notice in _unheard(tx, key, fallback):
        group = row.group.partition(ALONE)[0]
        join(
            tx, fallback, group, notice, now, alone=audience.every is None, remark=f"{row.destination} {why}"
        )
    return True


def _open(tx: sa.Connection, destination: str, group: str) -> int | None:
    # the row is locked by that: its telling is frozen before, or together with what joins it now
    key: int | None = tx.execute(
        sa.update(tellings)
        .where(
            tellings.c.destination == destination, tellings.c.group == group, tellings.c.frozen_at.is_(None)
        )
        .values(joined=tellings.c.joined + 1)
        .returning(tellings.c.id)
    ).scalar_one_or_none()
    return key


def _begin(tx: sa.Connection, destination: str, group: str, now: datetime) -> int | None:
    key: int | None = tx.execute(
        insert(tx, tellings)
        .values(destination=destination, group=group, joined=1, due_at=now)
        .on_conflict_do_nothing()
        .returning(tellings.c.id)
    ).scalar_one_or_none()
    if key is None:
        return None
    step = tx.execute(
        sa.insert(steps)
        .values(
            kind=StepKind.NOTIFY,
            destination=destination,
            state=StepState.PENDING,
            next_at=now,
            created_at=now,
            trace=tracing.current(),
        )
        .returning(steps.c.id)
    ).scalar_one()
    tx.execute(sa.update(tellings).where(tellings.c.id == key).values(step=step))
    return key


def _spares(tx: sa.Connection, row: Any, notice: int, now: datetime) -> bool:
    """Whether the one telling leaves the notice out; what is just being told counts as told: better an end without
    a beginning than the other way round.
    """
    link = telling_notices.c.telling == row.id, telling_notices.c.notice == notice
    is_open = tellings.c.id == row.id, tellings.c.frozen_at.is_(None)
    left = tx.execute(
        sa.update(tellings).where(*is_open).values(joined=tellings.c.joined - 1).returning(tellings.c.joined)
    ).scalar_one_or_none()
    if left is None:
        return row.state in (StepState.DEAD, StepState.CANCELLED) or _cancels(tx, row, now)
    tx.execute(sa.delete(telling_notices).where(*link))
    if not tx.execute(sa.select(sa.exists().where(telling_notices.c.telling == row.id))).scalar_one():
        tx.execute(sa.delete(tellings).where(tellings.c.id == row.id))
        tx.execute(sa.delete(steps).where(steps.c.id == row.step, steps.c.state.in_(_WAITING)))
    return True


def _cancels(tx: sa.Connection, row: Any, now: datetime) -> bool:
    """Whether a message that was tried in vain, and tells of this alone, is not tried again."""
    others = sa.select(sa.func.count()).where(telling_notices.c.telling == row.id)
    alone = tx.execute(others).scalar_one() == 1
    is_pending = steps.c.id == row.step, steps.c.state == StepState.PENDING
    values = {"state": StepState.CANCELLED, "next_at": None, "ended_at": now, "remark": "it was over before"}
    return alone and tx.execute(sa.update(steps).where(*is_pending).values(**values)).rowcount == 1


def _unheard(tx: sa.Connection, key: int, fallback: str) -> list[int]:
    heard = (
        sa.select(telling_notices.c.notice)
        .join(tellings, tellings.c.id == telling_notices.c.telling)
        .where(tellings.c.destination == fallback)
    )
    query = sa.select(telling_notices.c.notice).where(
        telling_notices.c.telling == key, telling_notices.c.notice.not_in(heard)
    )
    return list(tx.execute(query.order_by(telling_notices.c.notice)).scalars())


def _telling(row: Any) -> Telling:
    return Telling(row.id, row.destination, row.group, row.due_at, row.frozen_at)
