"""The step machine's transitions, each one conditional statement (or one transaction around a few).

Every function takes an open write transaction; the order of locks is story, then step, and lanes alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from service import tracing
from service.domain.states import ENDED_STEPS, Intent, Outcome, StepKind, StepState
from service.domain.steps import ClaimedStep, Lane, LeaseLost
from service.ledger.engine import insert
from service.ledger.revisions import later_is_made
from service.ledger.tables import UtcTime, attempts, is_busy, is_pending, lanes, steps

_DIED = "its worker died or lost its lease"


@dataclass(frozen=True)
class NewStep:
    """A step to be made: due at once."""

    lane: Lane
    story: int | None
    revision: int = 1
    route: str = ""
    reference: Mapping[str, Any] | None = None
    instead_of: str | None = None


def add(tx: sa.Connection, wanted: Sequence[NewStep], now: datetime) -> None:
    """Makes the steps that are not there yet."""
    for step in wanted:
        tx.execute(
            insert(tx, steps)
            .values(
                story=step.story,
                kind=step.lane.kind,
                destination=step.lane.destination,
                revision=step.revision,
                route=step.route,
                reference=step.reference,
                instead_of=step.instead_of,
                state=StepState.PENDING,
                next_at=now,
                created_at=now,
                trace=tracing.current(),
            )
            .on_conflict_do_nothing()
        )


def repeat(tx: sa.Connection, ids: Sequence[int], now: datetime) -> list[int]:
    """Makes ended steps due again as a wanted repeat, to publish; returns those that were."""
    return list(
        tx.execute(
            sa.update(steps)
            .where(steps.c.id.in_(ids), steps.c.state.in_(ENDED_STEPS))
            .values(
                state=StepState.PENDING,
                intent=Intent.PUBLISH,
                remark=None,
                next_at=now,
                attempts=0,
                waits=0,
                repeat=steps.c.repeat + 1,
                asked_at=now,
                ended_at=None,
                last_error=None,
            )
            .returning(steps.c.id)
        ).scalars()
    )


def due_lanes(tx: sa.Connection, now: datetime) -> list[Lane]:
    """The lanes in which something is due."""
    rows = tx.execute(
        sa.select(steps.c.kind, steps.c.destination).where(is_pending, steps.c.next_at <= now).distinct()
    )
    return [Lane(StepKind(row.kind), row.destination) for row in rows]


def oldest_due(tx: sa.Connection, now: datetime) -> datetime | None:
    """Since when the oldest step is due that may be worked on.

    Those of paused lanes wait for good reason, and those of lanes whose place asked for a pause.
    """
    waits = sa.or_(lanes.c.circuit != "closed", lanes.c.not_before > now)
    paused = sa.exists().where(
        lanes.c.kind == steps.c.kind, lanes.c.destination == steps.c.destination, waits
    )
    query = sa.select(steps.c.next_at).where(is_pending, steps.c.next_at <= now, ~paused)
    oldest: datetime | None = tx.execute(query.order_by(steps.c.next_at).limit(1)).scalar_one_or_none()
    return oldest


def busy(tx: sa.Connection, lane: Lane) -> int:
    """How many steps of the lane are queued or running."""
    return tx.execute(
        sa.select(sa.func.count()).select_from(steps).where(*_in_lane(lane), is_busy)
    ).scalar_one()


def take_due(tx: sa.Connection, lane: Lane, room: int, now: datetime) -> list[int]:
    """Marks up to `room` due steps of the lane as queued, oldest first; returns those that we marked.

    Steps that somebody holds are left for the next time: who waits with many held would invite a deadlock.
    """
    oldest = (
        sa.select(steps.c.id)
        .where(*_in_lane(lane), is_pending, steps.c.next_at <= now)
        .order_by(steps.c.next_at)
        .limit(room)
        .with_for_update(skip_locked=True)
    )
    ids = tx.execute(oldest).scalars().all()
    if not ids:
        return []
    return list(
        tx.execute(
            sa.update(steps)
            .where(steps.c.id.in_(ids), steps.c.state == StepState.PENDING)
            .values(state=StepState.QUEUED, queued_at=now)
            .returning(steps.c.id)
        ).scalars()
    )


def put_back(tx: sa.Connection, ids: Sequence[int], queued_at: datetime) -> None:
    """Makes steps pending again that we marked at `queued_at` but could not enqueue.

    Those that somebody holds at this moment stay queued, for the sweep.
    """
    ours = sa.select(steps.c.id).where(
        steps.c.id.in_(ids), steps.c.state == StepState.QUEUED, steps.c.queued_at == queued_at
    )
    held = tx.execute(ours.with_for_update(skip_locked=True)).scalars().all()
    tx.execute(sa.update(steps).where(steps.c.id.in_(held)).values(state=StepState.PENDING))


def queued(tx: sa.Connection, kind: StepKind) -> int:
    """How many steps of the kind are queued."""
    query = sa.select(sa.func.count()).select_from(steps)
    return tx.execute(
        query.where(steps.c.kind == kind, is_busy, steps.c.state == StepState.QUEUED)
    ).scalar_one()


def take_stale(
    tx: sa.Connection, now: datetime, queued_for: float, limit: int, patient: Sequence[StepKind] = ()
) -> list[tuple[int, StepKind]]:
    """Steps whose job must have been lost: queued for longer than `queued_for` seconds, or with a lapsed lease.

    Their `queued_at` moves, so that the next sweep leaves them alone for as long; generation and state stay.
    Queued steps of a `patient` kind are left: as many jobs as steps wait there, so none was lost.
    """
    before = now - timedelta(seconds=queued_for)
    lost = sa.or_(
        sa.and_(steps.c.state == StepState.QUEUED, steps.c.queued_at < before, steps.c.kind.not_in(patient)),
        sa.and_(
            steps.c.state == StepState.RUNNING,
            steps.c.lease_until < now,
            steps.c.queued_at < before,
        ),
    )
    query = sa.select(steps.c.id).where(is_busy, lost).limit(limit).with_for_update(skip_locked=True)
    ids = tx.execute(query).scalars().all()
    if not ids:
        return []
    rows = tx.execute(
        sa.update(steps)
        .where(steps.c.id.in_(ids), lost)
        .values(queued_at=now)
        .returning(steps.c.id, steps.c.kind)
    )
    return [(row.id, StepKind(row.kind)) for row in rows]


def claim(tx: sa.Connection, step_id: int, now: datetime, lease: float) -> ClaimedStep | None:
    """Takes the lease of a queued step, or of a running one whose lease lapsed. None: a stale double.

    The attempt is counted now, so that a step which kills its worker comes to an end as well.
    """
    row = tx.execute(
        sa.update(steps)
        .where(
            steps.c.id == step_id,
            sa.or_(
                steps.c.state == StepState.QUEUED,
                sa.and_(steps.c.state == StepState.RUNNING, steps.c.lease_until < now),
            ),
        )
        .values(
            state=StepState.RUNNING,
            generation=steps.c.generation + 1,
            attempts=steps.c.attempts + 1,
            seen_hints=steps.c.hints,
            waiting_for=None,
            lease_until=now + timedelta(seconds=lease),
        )
        .returning(steps)
    ).one_or_none()
    if row is None:
        return None
    _close_lost_attempts(tx, step_id, now)
    claimed = _claimed(row)
    tx.execute(
        sa.insert(attempts).values(
            step=step_id,
            generation=claimed.generation,
            kind=row.kind,
            destination=row.destination,
            intent=row.intent,
            outcome=Outcome.RUNNING,
            started_at=now,
        )
    )
    return claimed


def renew(tx: sa.Connection, step: ClaimedStep, now: datetime, lease: float) -> bool:
    """Lengthens the lease; False when another worker holds the step by now."""
    changed = tx.execute(
        sa.update(steps).where(*_held(step)).values(lease_until=now + timedelta(seconds=lease))
    )
    return changed.rowcount == 1


def save_reference(tx: sa.Connection, step: ClaimedStep, reference: Mapping[str, Any]) -> None:
    """Keeps what the place told us so far. Raises LeaseLost."""
    changed = tx.execute(sa.update(steps).where(*_held(step)).values(reference=dict(reference)))
    if changed.rowcount != 1:
        raise LeaseLost


def end(
    tx: sa.Connection, step: ClaimedStep, now: datetime, state: StepState, values: Mapping[str, Any]
) -> bool:
    """Ends the attempt's step as done, dead or cancelled. Raises LeaseLost, so that the transaction rolls back.

    A step that was asked for meanwhile becomes pending instead of done, and one that is to do the contrary by now
    becomes pending however this attempt went. Returns whether it is over.
    """
    hinted = sa.and_(steps.c.hints != steps.c.seen_hints, sa.literal(state == StepState.DONE))
    asked_again = sa.or_(hinted, _means_otherwise(step))
    became = tx.execute(
        sa.update(steps)
        .where(*_held(step))
        .values(
            state=sa.case((asked_again, StepState.PENDING.value), else_=state.value),
            next_at=sa.case((asked_again, _time(now)), else_=None),
            attempts=sa.case((asked_again, 0), else_=steps.c.attempts),
            ended_at=sa.case((asked_again, None), else_=_time(now)),
            lease_until=None,
            **values,
        )
        .returning(steps.c.state)
    ).scalar_one_or_none()
    if became is None:
        raise LeaseLost
    return became in ENDED_STEPS


def postpone(
    tx: sa.Connection,
    step: ClaimedStep,
    now: datetime,
    next_at: datetime,
    *,
    spends: bool,
    waits: bool = False,
    error: str | None,
) -> None:
    """Puts the step back to pending until `next_at`, or now if it was asked for meanwhile. Raises LeaseLost.

    Now, too, where a later revision is made: then it has nothing to wait for, and ends at its next try.
    """
    asked_again = sa.or_(steps.c.hints != steps.c.seen_hints, _means_otherwise(step), later_is_made(step))
    left = steps.c.attempts if spends else steps.c.attempts - 1
    values: dict[str, Any] = {
        "state": StepState.PENDING,
        "next_at": sa.case((asked_again, _time(now)), else_=_time(next_at)),
        "attempts": sa.case((_means_otherwise(step), 0), else_=left),
        "lease_until": None,
    }
    if waits:
        values["waits"] = steps.c.waits + 1
    if error is not None:
        values["last_error"] = error
    if tx.execute(sa.update(steps).where(*_held(step)).values(**values)).rowcount != 1:
        raise LeaseLost


def tell_attempt(tx: sa.Connection, step: ClaimedStep, detail: str) -> None:
    """Writes how far the running attempt is."""
    tx.execute(
        sa.update(attempts)
        .where(
            attempts.c.step == step.id,
            attempts.c.generation == step.generation,
            attempts.c.outcome == Outcome.RUNNING,
        )
        .values(detail=detail)
    )


def end_attempt(tx: sa.Connection, step: ClaimedStep, now: datetime, outcome: Outcome, detail: str) -> None:
    """Writes how the attempt ended and what the other side said."""
    tx.execute(
        sa.update(attempts)
        .where(attempts.c.step == step.id, attempts.c.generation == step.generation)
        .values(outcome=outcome, detail=detail, ended_at=now)
    )


def recent_tries(tx: sa.Connection, lane: Lane, since: datetime) -> tuple[int, int]:
    """How many attempts of the lane ended since then, and how many of them failed."""
    failed = attempts.c.outcome.in_((Outcome.RETRY, Outcome.DEAD))
    row = tx.execute(
        sa.select(sa.func.count(), sa.func.count(sa.case((failed, 1)))).where(
            attempts.c.kind == lane.kind,
            attempts.c.destination == lane.destination,
            attempts.c.started_at >= since,
            attempts.c.outcome.in_((Outcome.DONE, Outcome.RETRY, Outcome.DEAD)),
        )
    ).one()
    return row[0], row[1]


def _time(value: datetime) -> sa.BindParameter[datetime]:
    # within CASE SQLAlchemy would guess its own type, whose text in SQLite sorts otherwise than ours
    return sa.literal(value, UtcTime())


def _in_lane(lane: Lane) -> tuple[sa.ColumnElement[bool], ...]:
    return steps.c.kind == lane.kind, steps.c.destination == lane.destination


def _held(step: ClaimedStep) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        steps.c.id == step.id,
        steps.c.generation == step.generation,
        steps.c.state == StepState.RUNNING,
    )


def _means_otherwise(step: ClaimedStep) -> sa.ColumnElement[bool]:
    """It was claimed to publish and is to withdraw by now, or the other way round."""
    return steps.c.intent != step.intent


def _close_lost_attempts(tx: sa.Connection, step_id: int, now: datetime) -> None:
    tx.execute(
        sa.update(attempts)
        .where(attempts.c.step == step_id, attempts.c.outcome == Outcome.RUNNING)
        .values(
            outcome=Outcome.LOST,
            ended_at=now,
            detail=sa.case(
                (attempts.c.detail == "", _DIED), else_=sa.literal(f"{_DIED}: ") + attempts.c.detail
            ),
        )
    )


def _claimed(row: Any) -> ClaimedStep:
    return ClaimedStep(
        id=row.id,
        lane=Lane(StepKind(row.kind), row.destination),
        story=row.story,
        revision=row.revision,
        route=row.route,
        generation=row.generation,
        attempts=row.attempts,
        waits=row.waits,
        hints=row.seen_hints,
        repeat=row.repeat,
        created_at=row.created_at,
        intent=Intent(row.intent),
        reference=row.reference or {},
        instead_of=row.instead_of,
        asked_at=row.asked_at,
        begun_at=row.begun_at,
        trace=row.trace,
    )
