"""Deletes what is not to be kept: stories with all that belongs to them, and old parts of what stays.

Files are deleted after the commit that says that they are gone, from a list that a killed process leaves behind
for the next one: no row ever points to a file that was deleted, and no file is forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.states import ENDED_STEPS, UNFINISHED_STORIES, StepKind, StepState
from service.domain.video_names import video_prefix
from service.ledger import forgotten, stories, submit_keys, telling_steps
from service.ledger.engine import insert
from service.ledger.retention_tables import discarded_files
from service.ledger.stories import StoryRow
from service.ledger.tables import notices, receipts, steps, videos
from service.ledger.tables import stories as stories_table

FILES = ("video.mp4", "poster.jpg", "captions.vtt")
"""What may lie under a video's prefix."""

PRUNED = "storyrelay_pruned_at"
"""In a snapshot that was cut to what a withdrawal needs: when."""

_KEPT_OF_SNAPSHOT = ("status", "title", "aspect_ratio", "used_credits", "created_at")


class StillRunning(Exception):
    """A worker is just at a step of the story; what it puts somewhere would be left there."""


@dataclass(frozen=True)
class Forgotten:
    """A story that is gone from the ledger, and where its files are that are to be deleted now."""

    story: StoryRow
    prefixes: Sequence[str]
    receipts: int


def forget_story(tx: sa.Connection, key: int, now: datetime) -> Forgotten:
    """Deletes the story, its steps, attempts, notices, receipts and videos; its files are listed as discarded.

    Of its id a digest stays, so that no webhook brings it back; who tracks it does. The key that a program submitted
    it under stays in use for its time, without the answer, which names the story.

    Steps that wait are deleted with it: their jobs find nothing. Raises StillRunning, sqlalchemy's NoResultFound
    for a story that is not there.
    """
    row = stories.lock(tx, key)
    telling = list(tx.execute(telling_steps.of_story(key)).scalars())
    mine = sa.or_(steps.c.story == key, steps.c.id.in_(telling))
    running = sa.exists().where(mine, steps.c.state == StepState.RUNNING)
    if tx.execute(sa.select(running)).scalar_one():
        raise StillRunning(f"a step of story {row.name} is just running; try again when it has ended")
    prefixes = list(
        tx.execute(
            sa.select(videos.c.prefix).where(videos.c.story == key, videos.c.removed_at.is_(None))
        ).scalars()
    )
    _discard(tx, prefixes, now)
    prefixes += discard_unfinished(tx, row, now)
    submit_keys.forget(tx, key)
    # the foreign key would keep them, with the bodies that name the story
    gone = tx.execute(sa.delete(receipts).where(receipts.c.story == key)).rowcount
    tx.execute(sa.delete(stories_table).where(stories_table.c.id == key))
    telling_steps.drop_empty(tx, telling)
    forgotten.note(tx, row.story_id, now)
    return Forgotten(row, prefixes, gone)


def discard_unfinished(tx: sa.Connection, row: StoryRow, now: datetime) -> list[str]:
    """Lists what killed downloads of a locked story may have stored without a row; returns the prefixes.

    Not that of a download that is running: its worker stores and records it, or lists it here when it ends.
    """
    if row.story_id is None:
        return []
    stored = sa.exists().where(
        videos.c.story == steps.c.story,
        videos.c.revision == steps.c.revision,
        videos.c.removed_at.is_(None),
    )
    mine = steps.c.story == row.id, steps.c.kind == StepKind.DOWNLOAD, steps.c.state != StepState.RUNNING
    revisions = tx.execute(sa.select(steps.c.revision).where(*mine, ~stored).distinct()).scalars()
    prefixes = [free_prefix(tx, video_prefix(row.story_id, revision)) for revision in revisions]
    _discard(tx, prefixes, now)
    return prefixes


def is_over(tx: sa.Connection, key: int) -> bool:
    """Whether nothing is left to do about a story: it has ended, and so have all its steps."""
    return bool(tx.execute(sa.select(sa.exists().where(stories_table.c.id == key, *over()))).scalar_one())


def remove_videos(tx: sa.Connection, key: int, now: datetime) -> list[str]:
    """Says of a locked story's videos that their files are gone; returns the prefixes, which are discarded."""
    rows = tx.execute(
        sa.update(videos)
        .where(videos.c.story == key, videos.c.removed_at.is_(None))
        .values(removed_at=now)
        .returning(videos.c.prefix)
    )
    prefixes = list(rows.scalars())
    _discard(tx, prefixes, now)
    return prefixes


def cut_snapshot(tx: sa.Connection, row: StoryRow, now: datetime) -> None:
    """Keeps of a locked story's last answer what its withdrawal or another delivery can't do without."""
    kept = _stub(row.snapshot, row.story_id) | {PRUNED: now.isoformat()}
    tx.execute(
        sa.update(stories_table)
        .where(stories_table.c.id == row.id)
        .values(snapshot=kept, snapshot_cut_at=now)
    )


def free_prefix(tx: sa.Connection, wanted: str) -> str:
    """A prefix for new files of which none is discarded: nobody deletes what will be put there."""
    prefix, number = wanted, 1
    while tx.execute(sa.select(sa.exists().where(discarded_files.c.prefix == prefix))).scalar_one():
        number += 1
        prefix = f"{wanted}-{number}"
    return prefix


def discarded(tx: sa.Connection, limit: int) -> list[str]:
    """Prefixes whose files are still to be deleted, the oldest first."""
    left = sa.select(discarded_files.c.prefix).where(discarded_files.c.cleared_at.is_(None))
    query = left.order_by(discarded_files.c.discarded_at).limit(limit)
    return list(tx.execute(query).scalars())


def cleared(tx: sa.Connection, prefix: str, now: datetime) -> None:
    """Says that nothing lies under the prefix any more. The row stays: the prefix is not used again."""
    tx.execute(sa.update(discarded_files).where(discarded_files.c.prefix == prefix).values(cleared_at=now))


def page_of_stories(
    tx: sa.Connection, before: datetime, after: int, limit: int, *, what: str = "stories"
) -> tuple[list[int], int | None]:
    """Keys of up to `limit` stories that are over and were not changed since `before`, with keys above `after`.

    `what`: `stories`, or only those with `videos` or `snapshots` left. Also the key to go on after, None at the end.
    """
    columns = (stories_table.c.id, stories_table.c.updated_at, stories_table.c.created_at)
    page = tx.execute(
        sa.select(*columns).where(stories_table.c.id > after).order_by(stories_table.c.id).limit(limit)
    ).all()
    old = [row.id for row in page if row.updated_at < before]
    more = page[-1].id if len(page) == limit and page[-1].created_at < before else None
    if not old:
        return [], more
    query = sa.select(stories_table.c.id).where(stories_table.c.id.in_(old), *over(), *_HAS[what])
    return list(tx.execute(query.order_by(stories_table.c.id)).scalars()), more


def open_step(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """That there is such a step which has not ended."""
    return sa.exists().where(*conditions, steps.c.state.not_in(ENDED_STEPS))


def over() -> tuple[sa.ColumnElement[bool], ...]:
    """That nothing is left to do about a story: it has ended, and so have all its steps and its notices."""
    return (
        stories_table.c.state.not_in(UNFINISHED_STORIES),
        ~open_step(steps.c.story == stories_table.c.id),
        ~sa.exists().where(notices.c.story == stories_table.c.id, telling_steps.are_open(notices.c.id)),
    )


_HAS: Mapping[str, tuple[sa.ColumnElement[bool], ...]] = {
    "stories": (),
    "videos": (sa.exists().where(videos.c.story == stories_table.c.id, videos.c.removed_at.is_(None)),),
    "snapshots": (
        stories_table.c.snapshot.is_not(None),
        stories_table.c.snapshot_cut_at.is_(None),  # read without the answer, which is long
    ),
}


def forget_cleared(tx: sa.Connection, before: datetime) -> None:
    """Drops what was deleted before then from the list of discarded prefixes."""
    tx.execute(sa.delete(discarded_files).where(discarded_files.c.cleared_at < before))


def _discard(tx: sa.Connection, prefixes: Sequence[str], now: datetime) -> None:
    for prefix in prefixes:
        row = insert(tx, discarded_files).values(prefix=prefix, discarded_at=now)
        tx.execute(row.on_conflict_do_nothing())


def _stub(snapshot: Mapping[str, Any], story_id: str | None) -> dict[str, Any]:
    inner = snapshot.get("data")
    told = {**snapshot, **(inner if isinstance(inner, dict) else {})}
    return {"id": story_id} | {name: told[name] for name in _KEPT_OF_SNAPSHOT if name in told}
