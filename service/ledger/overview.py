"""What the overview shows: how fast stories are published, what waits, and how each destination does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from service.domain.states import Intent, Outcome, StepKind
from service.ledger.metrics import SUM
from service.ledger.metrics_tables import tallies, totals
from service.ledger.tables import attempts, is_busy, is_dead, is_pending, lanes, steps, stories

MOST_TIMES = 20_000
"""Stories that the times to publish are taken of: the newest."""


@dataclass(frozen=True)
class Waiting:
    """Work of one kind: steps that are due and since when the oldest is, that are under way, and that were given up."""

    kind: str
    due: int
    oldest: datetime | None
    under_way: int
    dead: int


@dataclass(frozen=True)
class Health:
    """How the publications at one destination went lately; withdrawals are none."""

    done: int = 0
    failed: int = 0
    last_done: datetime | None = None
    last_failed: datetime | None = None


@dataclass(frozen=True)
class Times:
    """Seconds from news to published, by nearest rank: half of so many stories took at most `typical`, 95 % `slow`."""

    count: int
    typical: float
    slow: float


@dataclass(frozen=True)
class Publishing:
    """Times of all stories together, None for no story, and by the day (UTC) on which they were finished."""

    all: Times | None = None
    by_day: Mapping[date, Times] = field(default_factory=dict)


@dataclass(frozen=True)
class Day:
    """The stories that came in on a day (UTC): how many by state, and what the Story API charged for them."""

    states: Mapping[str, int] = field(default_factory=dict)
    credits: float = 0.0


def states(tx: sa.Connection) -> dict[str, int]:
    """How many stories there are by state: the sums that triggers keep, for counting them would take too long."""
    summed = sa.select(totals.c.kind, totals.c.value).where(totals.c.name == "stories", totals.c.part == SUM)
    since = sa.select(tallies.c.kind, tallies.c.value).where(tallies.c.name == "stories")
    each = sa.union_all(summed, since).subquery()
    query = sa.select(each.c.kind, sa.func.sum(each.c.value)).group_by(each.c.kind)
    return {state: round(count) for state, count in tx.execute(query) if round(count)}


def publishing(tx: sa.Connection, since: datetime) -> Publishing:
    """How long it took from the first webhook, or what else first told of it, until a story was published.

    That is at the last of its destinations, for the first time: what was published again or withdrawn later on
    changes nothing of it.
    """
    newest = (
        sa.select(stories.c.finished_at, stories.c.webhook_at, stories.c.published_at)
        .where(stories.c.finished_at >= since, stories.c.published_at.is_not(None))
        .order_by(stories.c.finished_at.desc())
        .limit(MOST_TIMES)
        .subquery()
    )
    told = sa.case(
        (newest.c.webhook_at < newest.c.finished_at, newest.c.webhook_at), else_=newest.c.finished_at
    )
    query = sa.select(_day(tx, newest.c.finished_at), seconds_between(tx, told, newest.c.published_at))
    everything: list[float] = []
    daily: dict[str, list[float]] = {}
    for day, took in tx.execute(query):
        everything.append(float(took))
        daily.setdefault(day, []).append(float(took))
    if not everything:
        return Publishing()
    by_day = {date.fromisoformat(day): _times(found) for day, found in daily.items()}
    return Publishing(_times(everything), by_day)


def waiting(tx: sa.Connection, now: datetime) -> list[Waiting]:
    """Each kind of work in the order of a story's way. A withdrawal that was given up is not counted as given up."""
    pending = sa.select(
        steps.c.kind, sa.func.count().label("due"), sa.func.min(steps.c.next_at).label("oldest")
    )
    due = {
        row.kind: (row.due, row.oldest)
        for row in tx.execute(pending.where(is_pending, steps.c.next_at <= now).group_by(steps.c.kind))
    }
    counting = sa.select(steps.c.kind, sa.func.count()).group_by(steps.c.kind)
    under_way = _counts(tx, counting.where(is_busy))
    dead = _counts(tx, counting.where(is_dead, steps.c.intent == Intent.PUBLISH))
    found = []
    for kind in StepKind:
        count, oldest = due.get(kind, (0, None))
        found.append(Waiting(kind, count, oldest, under_way.get(kind, 0), dead.get(kind, 0)))
    return found


def health(tx: sa.Connection, since: datetime) -> dict[str, Health]:
    """How publications ended that began since then, by destination."""
    done, failed = attempts.c.outcome == Outcome.DONE, attempts.c.outcome.in_((Outcome.RETRY, Outcome.DEAD))
    # the attempts' index begins with kind and destination, so it takes the names, which are few
    names = tx.execute(sa.select(lanes.c.destination).where(lanes.c.kind == StepKind.DELIVER)).scalars().all()
    query = (
        sa.select(
            attempts.c.destination,
            sa.func.count(sa.case((done, 1))).label("done"),
            sa.func.count(sa.case((failed, 1))).label("failed"),
            sa.func.max(sa.case((done, attempts.c.ended_at))).label("last_done"),
            sa.func.max(sa.case((failed, attempts.c.ended_at))).label("last_failed"),
        )
        .where(
            attempts.c.kind == StepKind.DELIVER,
            attempts.c.destination.in_(names),
            attempts.c.started_at >= since,
            attempts.c.intent == Intent.PUBLISH,
        )
        .group_by(attempts.c.destination)
    )
    return {
        row.destination: Health(row.done, row.failed, row.last_done, row.last_failed)
        for row in tx.execute(query)
    }


def by_day(tx: sa.Connection, since: datetime) -> dict[date, Day]:
    """What came in since then, by day."""
    day = _day(tx, stories.c.created_at).label("day")
    query = (
        sa.select(
            day, stories.c.state, sa.func.count(), sa.func.coalesce(sa.func.sum(stories.c.used_credits), 0)
        )
        .where(stories.c.created_at >= since)
        .group_by(day, stories.c.state)
    )
    counted: dict[date, dict[str, int]] = {}
    spent: dict[date, float] = {}
    for text, state, count, credit in tx.execute(query):
        on = date.fromisoformat(text)
        counted.setdefault(on, {})[state] = count
        spent[on] = spent.get(on, 0.0) + float(credit)
    return {on: Day(found, spent[on]) for on, found in counted.items()}


def _counts(tx: sa.Connection, query: sa.Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in tx.execute(query)}


def _times(seconds: list[float]) -> Times:
    ordered = sorted(seconds)
    typical, slow = (ordered[(len(ordered) * share + 99) // 100 - 1] for share in (50, 95))
    return Times(len(ordered), typical, slow)


def _day(tx: sa.Connection, at: sa.ColumnElement[datetime | None]) -> sa.ColumnElement[str]:
    if tx.dialect.name == "postgresql":
        return sa.func.to_char(sa.func.timezone("UTC", at), "YYYY-MM-DD")
    return sa.func.substr(sa.cast(at, sa.Text), 1, 10)


def seconds_between(
    tx: sa.Connection, since: sa.ColumnElement[datetime | None], until: sa.ColumnElement[datetime | None]
) -> sa.ColumnElement[float]:
    """The seconds from one moment to a later one; 0 where it is earlier."""
    if tx.dialect.name == "postgresql":
        moment = sa.DateTime(timezone=True)
        span = sa.type_coerce(until, moment) - sa.type_coerce(since, moment)
        return sa.func.greatest(0.0, sa.extract("epoch", span))
    days = sa.func.julianday(until, type_=sa.Float) - sa.func.julianday(since, type_=sa.Float)
    return sa.func.max(0.0, days * 86400)
