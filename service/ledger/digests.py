"""What the ledger tells of a day, for the daily digest."""

from collections import Counter
from datetime import datetime
from statistics import median_low

import sqlalchemy as sa

from service.domain.digest import SHOWN, Day, Named, Numbers
from service.domain.notices import NoticeKind
from service.domain.results import RESULT_OF
from service.domain.states import Origin, StoryState
from service.ledger import approvals, overview, troubles
from service.ledger.tables import notices, stories

MOST_TIMES = 20_000
"""Stories that the times are taken of: the newest of the day."""

_UNTOLD = (NoticeKind.DIGEST, NoticeKind.RESOLVED, NoticeKind.LANE_RECOVERED)
"""Notices that tell of nothing bad."""

_OF_STORIES = (
    NoticeKind.STORY_FAILED,
    NoticeKind.STORY_UNKNOWN,
    NoticeKind.STORY_GIVEN_UP,
    NoticeKind.STORY_UNCONFIRMED,
    NoticeKind.DELIVERY_DEAD,
)


def read(tx: sa.Connection, day: Day) -> Numbers:
    """The numbers of the day, and of now what lasts; each by an index on the time."""
    results, credits_used = _came(tx, day)
    times = _times(tx, day)
    finished, missed = _webhooks(tx, day)
    slowest = max(times, key=lambda each: each[0], default=None)
    return Numbers(
        results=results,
        credits=credits_used,
        published=len(times),
        typical=median_low([took for took, _ in times]) if times else 0.0,
        slowest=slowest[0] if slowest is not None else 0.0,
        slowest_story=slowest[1] if slowest is not None else None,
        finished=finished,
        missed=missed,
        noted=_noted(tx, day),
        worst=_worst(tx, day),
        troubles=[(row.title, row.opened_at) for row in troubles.open_ones(tx)],
        questions=approvals.count_open(tx),
    )


def _came(tx: sa.Connection, day: Day) -> tuple[dict[str, int], float]:
    query = sa.select(
        stories.c.state, sa.func.count(), sa.func.coalesce(sa.func.sum(stories.c.used_credits), 0)
    ).where(*_within(stories.c.created_at, day))
    found: Counter[str] = Counter()
    spent = 0.0
    for state, count, charged in tx.execute(query.group_by(stories.c.state)):
        found[RESULT_OF[StoryState(state)]] += count
        spent += float(charged)
    return dict(found), spent


def _times(tx: sa.Connection, day: Day) -> list[tuple[float, Named]]:
    """Seconds from the news to the last destination, and the story."""
    told = sa.case(
        (stories.c.webhook_at < stories.c.finished_at, stories.c.webhook_at), else_=stories.c.finished_at
    )
    query = (
        sa.select(
            overview.seconds_between(tx, told, stories.c.published_at),
            stories.c.title,
            stories.c.submission_id,
        )
        .where(*_within(stories.c.finished_at, day), stories.c.published_at.is_not(None))
        .order_by(stories.c.finished_at.desc())
        .limit(MOST_TIMES)
    )
    return [(float(row[0]), Named(row.title, row.submission_id)) for row in tx.execute(query)]


def _webhooks(tx: sa.Connection, day: Day) -> tuple[int, int]:
    query = sa.select(sa.func.count(), sa.func.count(sa.case((stories.c.webhook_at.is_(None), 1)))).where(
        *_within(stories.c.finished_at, day), stories.c.origin == Origin.SUBMITTED
    )
    row = tx.execute(query).one()
    return row[0], row[1]


def _noted(tx: sa.Connection, day: Day) -> dict[str, int]:
    query = sa.select(notices.c.kind, sa.func.count()).where(
        *_within(notices.c.created_at, day), notices.c.kind.not_in(_UNTOLD)
    )
    return {row[0]: row[1] for row in tx.execute(query.group_by(notices.c.kind))}


def _worst(tx: sa.Connection, day: Day) -> list[Named]:
    query = (
        sa.select(notices.c.title, stories.c.submission_id)
        .join_from(notices, stories, notices.c.story == stories.c.id)
        .where(*_within(notices.c.created_at, day), notices.c.kind.in_(_OF_STORIES))
        .order_by(notices.c.created_at.desc(), notices.c.id.desc())
        .limit(SHOWN)
    )
    return [Named(row.title, row.submission_id) for row in tx.execute(query)]


def _within(column: sa.Column[datetime], day: Day) -> tuple[sa.ColumnElement[bool], ...]:
    return column >= day.begins, column < day.ends
