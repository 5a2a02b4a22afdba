"""What metrics are made of: tallies, which are summed up as they come, and how much waits just now."""

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.ledger.engine import insert
from service.ledger.metrics_tables import tallies, totals
from service.ledger.tables import heartbeats, is_busy, is_pending, lanes, steps

FOLD_BATCH = 2000
"""Tallies that one transaction sums up: webhooks wait for SQLite's one writer for so long."""

SUM, BEYOND = "sum", "+Inf"

BOUNDS = {
    "attempts": (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
    "published": (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 21600, 86400),
}
"""Upper bounds in seconds of the buckets of what is shown as a histogram."""


@dataclass(frozen=True, order=True)
class Series:
    """What is counted together."""

    name: str
    kind: str = ""
    destination: str = ""
    outcome: str = ""


@dataclass(frozen=True)
class Histogram:
    """How often something was within each bound (not cumulated, the last one beyond all), and its sum in seconds."""

    buckets: Sequence[float]
    sum: float


@dataclass(frozen=True)
class WaitingSteps:
    """Steps of one lane in one state that has something left to do."""

    kind: str
    destination: str
    state: str
    count: int


def add(tx: sa.Connection, counted: Iterable[tuple[Series, float]]) -> None:
    """Writes tallies of what no table tells."""
    rows = [{**vars(series), "value": value} for series, value in counted]
    if rows:
        tx.execute(sa.insert(tallies), rows)


def fold(tx: sa.Connection, limit: int = FOLD_BATCH) -> int:
    """Moves up to `limit` tallies into the totals; returns how many.

    One transaction takes them away and adds them, so it may be killed or run twice; those that another one has
    just taken are left.
    """
    chosen = sa.select(tallies.c.id).order_by(tallies.c.id).limit(limit).with_for_update(skip_locked=True)
    taken = tx.execute(
        sa.delete(tallies)
        .where(tallies.c.id.in_(chosen.scalar_subquery()))
        .returning(tallies.c.name, tallies.c.kind, tallies.c.destination, tallies.c.outcome, tallies.c.value)
    ).all()
    sums: dict[tuple[Series, str], float] = defaultdict(float)
    for name, kind, destination, outcome, value in taken:
        series = Series(name, kind, destination, outcome)
        sums[series, SUM] += value
        if name in BOUNDS:
            sums[series, _bucket(name, value)] += 1
    for (series, part), value in sorted(sums.items()):  # in one order for all: nobody waits in a circle
        row = insert(tx, totals).values(**vars(series), part=part, value=value)
        tx.execute(
            row.on_conflict_do_update(
                index_elements=list(totals.primary_key.columns),
                set_={"value": totals.c.value + row.excluded.value},
            )
        )
    return len(taken)


def read(tx: sa.Connection) -> tuple[dict[Series, float], dict[Series, Histogram]]:
    """The totals: plain sums, and histograms."""
    parts: dict[Series, dict[str, float]] = defaultdict(dict)
    for row in tx.execute(sa.select(totals)):
        parts[Series(row.name, row.kind, row.destination, row.outcome)][row.part] = row.value
    plain = {series: found[SUM] for series, found in parts.items() if series.name not in BOUNDS}
    timed = {
        series: _histogram(series.name, found) for series, found in parts.items() if series.name in BOUNDS
    }
    return plain, timed


def unfolded(tx: sa.Connection) -> int:
    """How many tallies wait for their sum, about: the span of their keys."""
    first, last = tx.execute(sa.select(sa.func.min(tallies.c.id), sa.func.max(tallies.c.id))).one()
    return 0 if first is None else last - first + 1


def waiting(tx: sa.Connection) -> list[WaitingSteps]:
    """How many steps of each lane wait, are queued or run."""
    lane = steps.c.kind, steps.c.destination
    pending = sa.select(*lane, sa.literal("pending"), sa.func.count()).where(is_pending).group_by(*lane)
    busy = sa.select(*lane, steps.c.state, sa.func.count()).where(is_busy).group_by(*lane, steps.c.state)
    return [WaitingSteps(*row) for query in (pending, busy) for row in tx.execute(query)]


def oldest_due(tx: sa.Connection, now: datetime) -> dict[tuple[str, str], float]:
    """Of each lane, for how many seconds its oldest step has been due; lanes with nothing due are absent."""
    oldest = (
        sa.select(sa.func.min(steps.c.next_at))
        .where(steps.c.kind == lanes.c.kind, steps.c.destination == lanes.c.destination, is_pending)
        .scalar_subquery()
    )
    rows = tx.execute(sa.select(lanes.c.kind, lanes.c.destination, oldest.label("at")))
    return {
        (row.kind, row.destination): (now - row.at).total_seconds()
        for row in rows
        if row.at is not None and row.at <= now
    }


def beats(tx: sa.Connection) -> dict[str, datetime]:
    """When each process that signs on in the ledger was last alive."""
    return {row.name: row.at for row in tx.execute(sa.select(heartbeats))}


def _bucket(name: str, value: float) -> str:
    bounds = BOUNDS[name]
    at = bisect_left(bounds, value)
    return str(float(bounds[at])) if at < len(bounds) else BEYOND


def _histogram(name: str, found: dict[str, float]) -> Histogram:
    parts = [str(float(bound)) for bound in BOUNDS[name]] + [BEYOND]
    return Histogram([found.get(part, 0.0) for part in parts], found.get(SUM, 0.0))


def cumulated(name: str, histogram: Histogram) -> list[tuple[str, float]]:
    """The buckets as Prometheus wants them: upper bound, and how many were within it."""
    bounds = [str(float(bound)) for bound in BOUNDS[name]] + [BEYOND]
    return list(zip(bounds, itertools.accumulate(histogram.buckets), strict=True))
