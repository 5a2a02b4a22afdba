"""Replays of many stories: which stories are chosen, how far each has come, what became of each story."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from service.domain.bulk_replays import Choice, how_many, read_choice
from service.domain.states import Circuit, StepKind
from service.ledger.bulk_choosing import Place, Total
from service.ledger.bulk_tables import bulk_replayed, bulk_replays
from service.ledger.tables import is_busy, is_pending, lanes, steps, stories


class BulkState(StrEnum):
    """Where a bulk replay stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class BulkReplay:
    """A replay of many stories. `cursor_at`, `cursor`: time and key of the last story that was seen to.

    Not `exact`: at least `total` stories were chosen.
    """

    id: int
    who: str
    choice: Choice
    state: BulkState
    total: int
    exact: bool
    cursor_at: datetime | None
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

    @property
    def chosen(self) -> str:
        """How many stories were chosen, for people."""
        return how_many(self.total, exact=self.exact)

    @property
    def place(self) -> Place | None:
        """How far it has come, None at its beginning."""
        return None if self.cursor_at is None else (self.cursor_at, self.cursor)

    def has_passed(self, place: Place) -> bool:
        """Whether it has seen to what stands there."""
        return self.place is not None and self.place >= place


@dataclass(frozen=True)
class Fate:
    """What became of one story: where it goes, or why it was left out."""

    story: int
    name: str
    title: str
    skipped: bool
    detail: str


def add(tx: sa.Connection, who: str, choice: Choice, total: Total, now: datetime) -> BulkReplay:
    """Makes a bulk replay, which runs from now on."""
    row = tx.execute(
        sa.insert(bulk_replays)
        .values(
            who=who,
            choice=choice.as_json(),
            state=BulkState.RUNNING,
            total=total.count,
            exact=total.exact,
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


def hold_off(tx: sa.Connection) -> None:
    """Lets no other transaction make a bulk replay until this one ends: SQLite has one writer anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text("LOCK TABLE bulk_replays IN SHARE ROW EXCLUSIVE MODE"))


def begun(tx: sa.Connection, choice: Choice, since: datetime) -> BulkReplay | None:
    """One of the same choice that is under way or was made after `since`, unless it was cancelled; else one under way
    that meets it.
    """
    running = bulk_replays.c.state == BulkState.RUNNING
    recent = (bulk_replays.c.created_at > since) & (bulk_replays.c.state == BulkState.DONE)
    rows = tx.execute(sa.select(bulk_replays).where(running | recent).order_by(bulk_replays.c.id))
    found = [_row(row) for row in rows]
    same = [each for each in found if each.choice == choice]
    met = [each for each in found if each.state == BulkState.RUNNING and each.choice.meets(choice)]
    return next(iter(same + met), None)


def newest(tx: sa.Connection, limit: int, before: int | None = None) -> list[BulkReplay]:
    """Bulk replays, the newest first, older than the key `before`."""
    query = sa.select(bulk_replays).order_by(bulk_replays.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(bulk_replays.c.id < before)
    return [_row(row) for row in tx.execute(query)]


def note(tx: sa.Connection, bulk: BulkReplay, at: Place, why_not: str, detail: str, now: datetime) -> None:
    """Writes what became of the story at that place and moves the cursor of a held bulk replay there."""
    story = at[1]
    column = bulk_replays.c.skipped if why_not else bulk_replays.c.replayed
    tx.execute(
        sa.insert(bulk_replayed).values(
            bulk=bulk.id, story=story, skipped=bool(why_not), detail=why_not or detail
        )
    )
    _change(tx, bulk.id, cursor_at=at[0], cursor=story, moved_at=now, **{column.name: column + 1})


def pass_by(tx: sa.Connection, bulk: BulkReplay, to: Place, now: datetime) -> None:
    """Moves the cursor of a held bulk replay on, where nothing up to there is left to see to."""
    if not bulk.has_passed(to):
        _change(tx, bulk.id, cursor_at=to[0], cursor=to[1], moved_at=now)


def has_seen(tx: sa.Connection, key: int, story: int) -> bool:
    """Whether the story's turn was before: its time may have changed since."""
    seen = sa.exists().where(bulk_replayed.c.bulk == key, bulk_replayed.c.story == story)
    return bool(tx.execute(sa.select(seen)).scalar_one())


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
    """What became of its stories, the newest first, before the story of that key."""
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


def _change(tx: sa.Connection, key: int, **values: Any) -> None:
    tx.execute(sa.update(bulk_replays).where(bulk_replays.c.id == key).values(**values))


def _row(row: Any) -> BulkReplay:
    values = {name: getattr(row, name) for name in BulkReplay.__dataclass_fields__}
    values["choice"] = read_choice(row.choice)
    values["state"] = BulkState(row.state)
    return BulkReplay(**values)
