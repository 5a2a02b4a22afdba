"""Lanes: the lock, the circuit and the waiting time of one kind of work towards one destination."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from service.domain.states import Circuit, StepKind, StepState
from service.domain.steps import Lane, Opens
from service.ledger import troubles
from service.ledger.engine import insert
from service.ledger.tables import is_busy, lanes, steps

REFUSED = "refused"
NO_CREDIT = "no_credit"
DISK_FULL = "disk_full"
FAILING = "failing"
SWITCHED_OFF = "switched_off"
PAUSED = "paused"
"""Off because a person wants it so: only a person lets it pass again."""


@dataclass(frozen=True)
class LaneState:
    """What the ledger knows of a lane; a lane it never heard of is closed."""

    lane: Lane
    circuit: Circuit = Circuit.CLOSED
    reason: str | None = None
    message: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    probe_at: datetime | None = None
    probe_delay: float | None = None
    not_before: datetime | None = None
    fingerprint: str | None = None

    @property
    def is_paused(self) -> bool:
        """Whether a person has paused it."""
        return self.circuit == Circuit.OFF and self.reason == PAUSED

    def room(self, limit: int, busy: int, now: datetime) -> int:
        """How many more steps may be queued: a probe at a time while the circuit is open."""
        if self.circuit == Circuit.OFF or (self.not_before is not None and now < self.not_before):
            return 0
        if self.circuit == Circuit.OPEN:
            due = self.probe_at is None or self.probe_at <= now
            return 1 if due and busy == 0 else 0
        return max(0, limit - busy)


def lock(tx: sa.Connection, lane: Lane) -> LaneState:
    """Takes the lane for this transaction, so that two dispatchers never fill the same room."""
    tx.execute(
        insert(tx, lanes).values(kind=lane.kind, destination=lane.destination).on_conflict_do_nothing()
    )
    return _state(tx.execute(sa.select(lanes).where(*_is(lane)).with_for_update()).one())


def all_lanes(tx: sa.Connection) -> list[LaneState]:
    """Every lane that the ledger knows."""
    return [_state(row) for row in tx.execute(sa.select(lanes).order_by(lanes.c.kind, lanes.c.destination))]


def open_circuit(
    tx: sa.Connection, lane: Lane, opens: Opens, now: datetime, *, first_delay: float, fingerprint: str | None
) -> bool:
    """Opens a closed circuit; the first probe comes after `first_delay` seconds. False: it was open already."""
    tx.execute(
        insert(tx, lanes).values(kind=lane.kind, destination=lane.destination).on_conflict_do_nothing()
    )
    changed = tx.execute(
        sa.update(lanes)
        .where(*_is(lane), lanes.c.circuit == Circuit.CLOSED)
        .values(
            circuit=Circuit.OPEN,
            reason=opens.reason,
            message=opens.message,
            opened_at=now,
            probe_delay=first_delay,
            probe_at=now + timedelta(seconds=first_delay),
            fingerprint=fingerprint,
        )
    )
    return changed.rowcount == 1


def probe_failed(tx: sa.Connection, state: LaneState, now: datetime, longest: float) -> None:
    """Doubles the time to the next probe, up to `longest` seconds."""
    delay = min(longest, (state.probe_delay or 1) * 2)
    tx.execute(
        sa.update(lanes)
        .where(*_is(state.lane), lanes.c.circuit == Circuit.OPEN)
        .values(probe_delay=delay, probe_at=now + timedelta(seconds=delay))
    )


def switch_off(tx: sa.Connection, lane: Lane) -> bool:
    """Ends the probing; False when it was off or closed already."""
    changed = tx.execute(
        sa.update(lanes).where(*_is(lane), lanes.c.circuit == Circuit.OPEN).values(circuit=Circuit.OFF)
    )
    return changed.rowcount == 1


def close_circuit(tx: sa.Connection, lane: Lane, now: datetime) -> bool:
    """Lets everything pass again; False when it was closed already, or when a person has paused it."""
    by_itself = lanes.c.circuit != Circuit.CLOSED, lanes.c.reason.is_distinct_from(PAUSED)
    return _close(tx, lane, now, *by_itself)


def pause(tx: sa.Connection, lane: Lane, who: str, now: datetime) -> bool:
    """Has the lane wait until somebody resumes it, whatever its circuit was; False when it was paused already.

    What is queued goes back to waiting, so that only what runs at this moment still reaches the place.
    """
    if lock(tx, lane).is_paused:
        return False
    values = {"circuit": Circuit.OFF, "reason": PAUSED, "message": f"paused by {who}", "opened_at": now}
    none = dict.fromkeys(("probe_at", "probe_delay", "fingerprint"))
    tx.execute(sa.update(lanes).where(*_is(lane)).values(**values, **none))
    troubles.end_of_lane(tx, lane, now, paused_by=f"paused by {who}")
    in_lane = steps.c.kind == lane.kind, steps.c.destination == lane.destination
    # those that somebody holds are being claimed: their worker sees the pause itself
    queued = sa.select(steps.c.id).where(*in_lane, is_busy, steps.c.state == StepState.QUEUED)
    held = tx.execute(queued.with_for_update(skip_locked=True)).scalars().all()
    tx.execute(sa.update(steps).where(steps.c.id.in_(held)).values(state=StepState.PENDING))
    return True


def resume(tx: sa.Connection, lane: Lane, now: datetime) -> bool:
    """Lets a lane that is paused, off or open pass again because a person says so; False when it was closed."""
    return _close(tx, lane, now, lanes.c.circuit != Circuit.CLOSED)


def read(tx: sa.Connection, lane: Lane) -> LaneState:
    """The lane as it stands, not held."""
    row = tx.execute(sa.select(lanes).where(*_is(lane))).one_or_none()
    return LaneState(lane) if row is None else _state(row)


def hold_until(tx: sa.Connection, lane: Lane, until: datetime) -> None:
    """Lets nothing of the lane start before then: the other side asked for it (Retry-After)."""
    tx.execute(
        insert(tx, lanes).values(kind=lane.kind, destination=lane.destination).on_conflict_do_nothing()
    )
    later = sa.or_(lanes.c.not_before.is_(None), lanes.c.not_before < until)
    tx.execute(sa.update(lanes).where(*_is(lane), later).values(not_before=until))


def close_changed(tx: sa.Connection, fingerprints: Mapping[Lane, str | None], now: datetime) -> list[Lane]:
    """Closes the circuits that were opened under other settings than today's; returns their lanes.

    None is a fingerprint like any other: of lanes that depend on no settings, or whose destination is gone.
    """
    changed = [
        state.lane
        for state in all_lanes(tx)
        if state.circuit != Circuit.CLOSED
        and not state.is_paused
        and state.lane in fingerprints
        and fingerprints[state.lane] != state.fingerprint
    ]
    return [lane for lane in changed if close_circuit(tx, lane, now)]


def expired(states: Sequence[LaneState], now: datetime, off_after: float) -> list[LaneState]:
    """Circuits of deliver lanes that have been open for longer than `off_after` seconds."""
    before = now - timedelta(seconds=off_after)
    return [
        state
        for state in states
        if state.circuit == Circuit.OPEN
        and state.lane.kind in (StepKind.DELIVER, StepKind.NOTIFY, StepKind.PROGRESS, StepKind.ASK)
        and state.opened_at is not None
        and state.opened_at < before
        and state.probe_at is not None
        and state.probe_at > now  # a probe failed lately; a lane that nobody needed was not asked
    ]


def _close(tx: sa.Connection, lane: Lane, now: datetime, *where: sa.ColumnElement[bool]) -> bool:
    changed = tx.execute(sa.update(lanes).where(*_is(lane), *where).values(**_closed(now)))
    if changed.rowcount != 1:
        return False
    troubles.end_of_lane(tx, lane, now)
    return True


def _is(lane: Lane) -> tuple[sa.ColumnElement[bool], ...]:
    return lanes.c.kind == lane.kind, lanes.c.destination == lane.destination


def _closed(now: datetime) -> dict[str, Any]:
    return {
        "circuit": Circuit.CLOSED,
        "reason": None,
        "message": None,
        "opened_at": None,
        "closed_at": now,
        "probe_at": None,
        "probe_delay": None,
    }


def _state(row: Any) -> LaneState:
    return LaneState(
        lane=Lane(StepKind(row.kind), row.destination),
        circuit=Circuit(row.circuit),
        reason=row.reason,
        message=row.message,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        probe_at=row.probe_at,
        probe_delay=row.probe_delay,
        not_before=row.not_before,
        fingerprint=row.fingerprint,
    )
