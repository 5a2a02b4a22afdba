"""Replays of many stories: which stories are chosen, how far each has come, what became of each story."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from service.domain.bulk_replays import Choice, Clock, Wanted, read_choice
from service.domain.states import Circuit, StepKind
from service.ledger.bulk_tables import bulk_replayed, bulk_replays
from service.ledger.tables import is_busy, is_dead, is_pending, lanes, steps, stories


class BulkState(StrEnum):
    """Where a bulk replay stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class BulkReplay:
    """A replay of many stories. `cursor`: the ledger's key of the last story that was seen to."""

    id: int
    who: str
    choice: Choice
    state: BulkState
    total: int
    cursor: int
    replayed: int
    skipped: int
    created_at: datetime
    moved_at: datetime
    ended_at: datetime | None

    @property
    def seen(self) -> int:
        """How many stories were seen to."""
        return self.replayed + self.skipped


@dataclass(frozen=True)
class Fate:
    """What became of one story: where it goes, or why it was left out."""

    story: int
    name: str
    title: str
    skipped: bool
    detail: str


def count(tx: sa.Connection, choice: Choice, most: int) -> int:
    """How many stories are chosen, counted up to `most`."""
    some = _chosen(choice).limit(most).subquery()
    return tx.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()


def next_stories(tx: sa.Connection, choice: Choice, after: int, limit: int) -> list[int]:
    """The ledger's keys of the chosen stories that come after this one, in their order."""
    query = _chosen(choice).where(stories.c.id > after).order_by(stories.c.id).limit(limit)
    return [row.id for row in tx.execute(query)]


def add(tx: sa.Connection, who: str, choice: Choice, total: int, now: datetime) -> BulkReplay:
    """Makes a bulk replay, which runs from now on."""
    row = tx.execute(
        sa.insert(bulk_replays)
        .values(
            who=who,
            choice=choice.as_json(),
            state=BulkState.RUNNING,
            total=total,
            created_at=now,
            moved_at=now,
        )
        .returning(bulk_replays)
    ).one()
    return _row(row)


def read(tx: sa.Connection, key: int) -> BulkReplay | None:
    """The bulk replay of that key."""
    row = tx.execute(sa.select(bulk_replays).where(bulk_replays.c.id == key)).one_or_none()
    return None if row is None else _row(row)


def hold(tx: sa.Connection, key: int) -> BulkReplay | None:
    """Like `read`, and holds it for this transaction: taken before any story."""
    query = sa.select(bulk_replays).where(bulk_replays.c.id == key).with_for_update()
    row = tx.execute(query).one_or_none()
    return None if row is None else _row(row)


def running(tx: sa.Connection) -> list[BulkReplay]:
    """Those that are under way, the oldest first."""
    query = sa.select(bulk_replays).where(bulk_replays.c.state == BulkState.RUNNING)
    return [_row(row) for row in tx.execute(query.order_by(bulk_replays.c.id))]


def newest(tx: sa.Connection, limit: int, before: int | None = None) -> list[BulkReplay]:
    """Bulk replays, the newest first, older than the key `before`."""
    query = sa.select(bulk_replays).order_by(bulk_replays.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(bulk_replays.c.id < before)
    return [_row(row) for row in tx.execute(query)]


def note(tx: sa.Connection, bulk: BulkReplay, story: int, why_not: str, detail: str, now: datetime) -> None:
    """Writes what became of a story and moves the cursor of a held bulk replay there."""
    column = bulk_replays.c.skipped if why_not else bulk_replays.c.replayed
    tx.execute(
        sa.insert(bulk_replayed).values(
            bulk=bulk.id, story=story, skipped=bool(why_not), detail=why_not or detail
        )
    )
    _change(tx, bulk.id, cursor=story, moved_at=now, **{column.name: column + 1})


def end(tx: sa.Connection, key: int, state: BulkState, now: datetime) -> bool:
    """Ends one that is running; False when it had ended."""
    changed = tx.execute(
        sa.update(bulk_replays)
        .where(bulk_replays.c.id == key, bulk_replays.c.state == BulkState.RUNNING)
        .values(state=state, ended_at=now)
    )
    return changed.rowcount == 1


def reasons(tx: sa.Connection, key: int) -> Mapping[str, int]:
    """Why stories were left out, and how many for each reason."""
    query = (
        sa.select(bulk_replayed.c.detail, sa.func.count())
        .where(bulk_replayed.c.bulk == key, bulk_replayed.c.skipped)
        .group_by(bulk_replayed.c.detail)
        .order_by(sa.func.count().desc(), bulk_replayed.c.detail)
        .limit(20)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def fates(tx: sa.Connection, key: int, limit: int, before: int | None = None) -> list[Fate]:
    """What became of its stories, the last ones first, before the story of that key."""
    query = (
        sa.select(bulk_replayed, stories.c.story_id, stories.c.submission_id, stories.c.title)
        .join(stories, stories.c.id == bulk_replayed.c.story)
        .where(bulk_replayed.c.bulk == key)
        .order_by(bulk_replayed.c.story.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(bulk_replayed.c.story < before)
    return [
        Fate(row.story, row.story_id or row.submission_id, row.title, row.skipped, row.detail)
        for row in tx.execute(query)
    ]


def waiting(tx: sa.Connection, now: datetime, most: int) -> int:
    """How many steps of stories are under way or due in lanes that work, counted up to `most`.

    What a paused place has not got does not count: it keeps nobody else waiting.
    """
    shut = sa.select(lanes.c.kind, lanes.c.destination).where(lanes.c.circuit != Circuit.CLOSED)
    open_ = sa.tuple_(steps.c.kind, steps.c.destination).not_in(shut)
    found = 0
    for left in (is_busy, sa.and_(is_pending, steps.c.next_at <= now)):  # each has an index of its own
        some = sa.select(steps.c.id).where(left, open_, steps.c.kind != StepKind.NOTIFY).limit(most)
        found += tx.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()
    return min(found, most)


def _chosen(choice: Choice) -> sa.Select[tuple[int]]:
    at = stories.c.created_at if choice.by == Clock.CREATED else stories.c.finished_at
    query = sa.select(stories.c.id).where(at >= choice.since, at < choice.until)
    state = choice.wanted.story_state
    if state is not None:
        query = query.where(stories.c.state == state)
    if choice.wanted == Wanted.DEAD:
        query = query.where(stories.c.id.in_(_given_up(choice.destination)))
    if choice.route is not None:
        by_route = sa.exists().where(steps.c.story == stories.c.id, steps.c.route == choice.route)
        query = query.where(sa.or_(stories.c.route == choice.route, by_route))
    return query


def _given_up(destination: str | None) -> sa.Select[Any]:
    dead: Sequence[sa.ColumnElement[bool]] = (is_dead, steps.c.kind == StepKind.DELIVER)
    query = sa.select(steps.c.story).where(*dead, steps.c.story.is_not(None))
    return query if destination is None else query.where(steps.c.destination == destination)


def _change(tx: sa.Connection, key: int, **values: Any) -> None:
    tx.execute(sa.update(bulk_replays).where(bulk_replays.c.id == key).values(**values))


def _row(row: Any) -> BulkReplay:
    values = {name: getattr(row, name) for name in BulkReplay.__dataclass_fields__}
    values["choice"] = read_choice(row.choice)
    values["state"] = BulkState(row.state)
    return BulkReplay(**values)
