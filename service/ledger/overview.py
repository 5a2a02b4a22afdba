"""What the overview shows: how fast stories are published, what waits, and how each destination does."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from service.domain.states import Outcome, StepKind, StepState, StoryState
from service.ledger.tables import attempts, is_pending, steps, stories

MOST_TIMES = 5000


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
    """How the deliveries to one destination ended lately."""

    done: int = 0
    failed: int = 0
    last_done: datetime | None = None
    last_failed: datetime | None = None


def publishing_seconds(tx: sa.Connection, since: datetime) -> list[float]:
    """Seconds from the first news that a story was finished to its last delivery; the newest 5,000, sorted."""
    query = (
        sa.select(stories.c.finished_at, stories.c.settled_at)
        .where(stories.c.finished_at >= since, stories.c.state == StoryState.SETTLED)
        .order_by(stories.c.finished_at.desc())
        .limit(MOST_TIMES)
    )
    return sorted(
        (row.settled_at - row.finished_at).total_seconds()
        for row in tx.execute(query)
        if row.settled_at is not None
    )


def waiting(tx: sa.Connection, now: datetime) -> list[Waiting]:
    """Each kind of work that has something left, in the order of a story's way."""
    due = {
        row.kind: (row.due, row.oldest)
        for row in tx.execute(
            sa.select(
                steps.c.kind, sa.func.count().label("due"), sa.func.min(steps.c.next_at).label("oldest")
            )
            .where(is_pending, steps.c.next_at <= now)
            .group_by(steps.c.kind)
        )
    }
    others = sa.select(steps.c.kind, steps.c.state, sa.func.count()).group_by(steps.c.kind, steps.c.state)
    counted = {
        (kind, state): count
        for kind, state, count in tx.execute(
            others.where(steps.c.state.in_((StepState.QUEUED, StepState.RUNNING, StepState.DEAD)))
        )
    }
    found = []
    for kind in StepKind:
        count, oldest = due.get(kind, (0, None))
        under_way = counted.get((kind, StepState.QUEUED), 0) + counted.get((kind, StepState.RUNNING), 0)
        found.append(Waiting(kind, count, oldest, under_way, counted.get((kind, StepState.DEAD), 0)))
    return found


def health(tx: sa.Connection, since: datetime) -> dict[str, Health]:
    """How deliveries ended since then, by destination."""
    done, failed = attempts.c.outcome == Outcome.DONE, attempts.c.outcome.in_((Outcome.RETRY, Outcome.DEAD))
    query = (
        sa.select(
            attempts.c.destination,
            sa.func.count(sa.case((done, 1))).label("done"),
            sa.func.count(sa.case((failed, 1))).label("failed"),
            sa.func.max(sa.case((done, attempts.c.ended_at))).label("last_done"),
            sa.func.max(sa.case((failed, attempts.c.ended_at))).label("last_failed"),
        )
        .where(attempts.c.kind == StepKind.DELIVER, attempts.c.started_at >= since)
        .group_by(attempts.c.destination)
    )
    return {
        row.destination: Health(row.done, row.failed, row.last_done, row.last_failed)
        for row in tx.execute(query)
    }


def credits_by_day(tx: sa.Connection, since: datetime) -> dict[date, float]:
    """Credits that the Story API charged, by the day (UTC) on which the story came in."""
    day = (
        sa.func.to_char(sa.func.timezone("UTC", stories.c.created_at), "YYYY-MM-DD")
        if tx.dialect.name == "postgresql"
        else sa.func.substr(sa.cast(stories.c.created_at, sa.Text), 1, 10)
    ).label("day")
    query = (
        sa.select(day, sa.func.sum(stories.c.used_credits))
        .where(stories.c.created_at >= since, stories.c.used_credits.is_not(None))
        .group_by(day)
    )
    return {date.fromisoformat(text): float(total) for text, total in tx.execute(query)}
