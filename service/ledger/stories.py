"""Stories in the ledger: how they come in, what the Story API said of them, how they end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from service.domain.notices import NoticeKind
from service.domain.states import (
    ENDED_STEPS,
    UNFINISHED_STORIES,
    Intent,
    NoticedBy,
    Origin,
    StepKind,
    StepState,
    StoryState,
)
from service.ledger.engine import insert
from service.ledger.tables import notices, rates, steps, stories, videos


class Answer(Protocol):
    """What the Story API said of a story, parsed."""

    @property
    def id(self) -> str:
        """The Story API's id."""

    @property
    def title(self) -> str:
        """The title, '' for none."""

    @property
    def progress(self) -> int | None:
        """Percent."""

    @property
    def used_credits(self) -> float | None:
        """What was charged so far."""

    @property
    def raw(self) -> Mapping[str, Any]:
        """The whole answer as it came."""


@dataclass(frozen=True)
class StoryRow:
    """A story as the ledger has it. `id` is the ledger's key, `story_id` the Story API's."""

    id: int
    submission_id: str
    story_id: str | None
    origin: str
    kind: str
    state: StoryState
    route: str | None
    title: str
    request: Mapping[str, Any]
    labels: Mapping[str, Any]
    expected_seconds: int | None
    estimated_credits: int | None
    used_credits: float | None
    api_status: str | None
    progress: int | None
    message: str | None
    snapshot: Mapping[str, Any]
    video_identity: str | None
    revision: int
    webhook_at: datetime | None
    webhook_status: str | None
    noticed_by: str | None
    polls: int
    not_found: int
    not_found_since: datetime | None
    next_poll_at: datetime | None
    open_since: datetime | None
    finished_at: datetime | None
    settled_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """What people call it: the Story API's id, or our submission's while that is unknown."""
        return self.story_id or f"submission {self.submission_id}"

    @property
    def about(self) -> str:
        """Its name in the audit log and in addresses: the Story API's id, or our submission's."""
        return self.story_id or self.submission_id

    @property
    def heading(self) -> str:
        """What people know it by: its title, else the start of its idea (both untrusted), else its name."""
        idea = str(self.snapshot.get("idea") or self.request.get("idea") or "")
        return self.title.strip() or " ".join(idea.split())[:80] or self.name


@dataclass(frozen=True)
class NewStory:
    """A story that comes into the ledger."""

    submission_id: str
    origin: Origin
    state: StoryState
    story_id: str | None = None
    kind: str = ""
    route: str | None = None
    title: str = ""
    request: Mapping[str, Any] | None = None
    request_digest: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    expected_seconds: int | None = None
    estimated_credits: int | None = None
    next_poll_at: datetime | None = None


@dataclass(frozen=True)
class VideoRow:
    """One revision's video and where its files are in the video store."""

    story: int
    revision: int
    prefix: str
    sha256: str
    bytes: int
    seconds: float
    width: int
    height: int
    video_codec: str
    audio_codec: str | None
    has_poster: bool
    has_captions: bool
    removed_at: datetime | None = None


def add(tx: sa.Connection, story: NewStory, now: datetime) -> int | None:
    """Writes the story; returns its key, None when a story of that Story API id is there already."""
    values = {name: getattr(story, name) for name in NewStory.__dataclass_fields__}
    inserted = insert(tx, stories).values(**values, created_at=now, updated_at=now)
    return tx.execute(inserted.on_conflict_do_nothing().returning(stories.c.id)).scalar_one_or_none()


def lock(tx: sa.Connection, key: int) -> StoryRow:
    """Reads the story and holds it for this transaction: always the first lock that is taken."""
    return _row(tx.execute(sa.select(stories).where(stories.c.id == key).with_for_update()).one())


def lock_if_there(tx: sa.Connection, key: int) -> StoryRow | None:
    """As `lock`, None for a story that is gone."""
    return _maybe(tx.execute(sa.select(stories).where(stories.c.id == key).with_for_update()).one_or_none())


def read(tx: sa.Connection, key: int) -> StoryRow | None:
    """The story of that ledger key."""
    return _maybe(tx.execute(sa.select(stories).where(stories.c.id == key)).one_or_none())


def of_step(tx: sa.Connection, step: int) -> StoryRow | None:
    """The story that a step belongs to."""
    query = sa.select(stories).join(steps, steps.c.story == stories.c.id).where(steps.c.id == step)
    return _maybe(tx.execute(query).one_or_none())


def find(tx: sa.Connection, story_id: str) -> StoryRow | None:
    """The story of that Story API id."""
    return _maybe(tx.execute(sa.select(stories).where(stories.c.story_id == story_id)).one_or_none())


def lock_by_id(tx: sa.Connection, story_id: str) -> StoryRow | None:
    """Like `find`, and holds the story for this transaction."""
    query = sa.select(stories).where(stories.c.story_id == story_id).with_for_update()
    return _maybe(tx.execute(query).one_or_none())


def unanswered_twin(tx: sa.Connection, digest: str, since: datetime) -> StoryRow | None:
    """A submission of the same request, made since then, of which we don't know whether it was accepted."""
    query = (
        sa.select(stories)
        .where(
            stories.c.request_digest == digest,
            stories.c.created_at >= since,
            stories.c.state.in_((StoryState.SUBMITTING, StoryState.UNCONFIRMED)),
        )
        .order_by(stories.c.id.desc())
        .limit(1)
    )
    return _maybe(tx.execute(query).one_or_none())


def change(tx: sa.Connection, key: int, now: datetime, **values: Any) -> None:
    """Writes columns of a story that the caller has locked."""
    tx.execute(sa.update(stories).where(stories.c.id == key).values(updated_at=now, **values))


def record_answer(tx: sa.Connection, row: StoryRow, answer: Answer, status: str, now: datetime) -> None:
    """Keeps the Story API's last answer; a title of ours stays when the answer has none."""
    change(
        tx,
        row.id,
        now,
        api_status=status,
        snapshot=dict(answer.raw),
        snapshot_cut_at=None,
        title=answer.title or row.title,
        progress=answer.progress,
        used_credits=answer.used_credits if answer.used_credits is not None else row.used_credits,
        polls=row.polls + 1,
        not_found=0,
        not_found_since=None,
    )


def noticed(row: StoryRow) -> NoticedBy:
    """What told us first that the story is finished."""
    return NoticedBy.WEBHOOK if row.webhook_at is not None else NoticedBy.POLL


def take_due_polls(tx: sa.Connection, now: datetime, limit: int, hold: float) -> list[StoryRow]:
    """Stories whose poll is due, oldest first; each is ours alone for `hold` seconds."""
    query = (
        sa.select(stories.c.id)
        .where(stories.c.next_poll_at <= now)
        .order_by(stories.c.next_poll_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = tx.execute(query).scalars().all()
    if not ids:
        return []
    rows = tx.execute(
        sa.update(stories)
        .where(stories.c.id.in_(ids), stories.c.next_poll_at <= now)
        .values(next_poll_at=now + timedelta(seconds=hold))
        .returning(stories)
    )
    return [_row(row) for row in rows]


def free_slots(tx: sa.Connection, name: str, wanted: int, rate: float, now: datetime) -> list[datetime]:
    """Up to `wanted` moments within the next 10 s at which a call may be made, `rate` a second in all processes.

    They are the caller's until its transaction ends; `use_slots` keeps those that it fills.
    """
    tx.execute(insert(tx, rates).values(name=name, next_at=now).on_conflict_do_nothing())
    held = sa.select(rates.c.next_at).where(rates.c.name == name).with_for_update()
    first = max(now, tx.execute(held).scalar_one())
    room = math.ceil(max(0.0, 10 - (first - now).total_seconds()) * rate)  # also below one in 10 s
    return [first + timedelta(seconds=n / rate) for n in range(min(wanted, room))]


def use_slots(tx: sa.Connection, name: str, used: Sequence[datetime], rate: float) -> None:
    """Takes the filled ones of `free_slots`."""
    if used:
        free = used[-1] + timedelta(seconds=1 / rate)
        tx.execute(sa.update(rates).where(rates.c.name == name).values(next_at=free))


def silent_submissions(
    tx: sa.Connection, state: StoryState, before: datetime, untold: NoticeKind | None = None
) -> list[StoryRow]:
    """The oldest 200 submissions that have been in this state since before then.

    With `untold`, those of which no such notice tells yet.
    """
    query = (
        sa.select(stories)
        .where(stories.c.state == state, stories.c.created_at < before)
        .order_by(stories.c.id)
        .limit(200)
    )
    if untold is not None:
        query = query.where(~sa.exists().where(notices.c.story == stories.c.id, notices.c.kind == untold))
    return [_row(row) for row in tx.execute(query)]


def add_video(tx: sa.Connection, video: VideoRow, now: datetime) -> None:
    """Records the video of a revision; one that is there already stays, unless its files were removed."""
    values = {name: getattr(video, name) for name in VideoRow.__dataclass_fields__}
    tx.execute(
        insert(tx, videos)
        .values(**values, created_at=now)
        .on_conflict_do_update(
            index_elements=[videos.c.story, videos.c.revision],
            set_=values,
            where=videos.c.removed_at.is_not(None),
        )
    )


def read_video(tx: sa.Connection, key: int, revision: int) -> VideoRow | None:
    """The video of one revision, None while there is none."""
    query = sa.select(videos).where(videos.c.story == key, videos.c.revision == revision)
    row = tx.execute(query).one_or_none()
    return (
        None
        if row is None
        else VideoRow(**{name: getattr(row, name) for name in VideoRow.__dataclass_fields__})
    )


def delivered_sha256(tx: sa.Connection, key: int, before: int) -> str | None:
    """SHA-256 of the newest video below revision `before` that destinations were to get, None for none."""
    query = (
        sa.select(videos.c.sha256)
        .join(steps, sa.and_(steps.c.story == videos.c.story, steps.c.revision == videos.c.revision))
        .where(videos.c.story == key, videos.c.revision < before, steps.c.kind == StepKind.DELIVER)
        .order_by(videos.c.revision.desc())
        .limit(1)
    )
    return tx.execute(query).scalar_one_or_none()


def settle_if_over(tx: sa.Connection, key: int, now: datetime) -> bool:
    """Settles a locked story when none of its downloads and deliveries is left to do."""
    left = sa.exists().where(
        steps.c.story == key,
        steps.c.kind.in_((StepKind.DOWNLOAD, StepKind.DELIVER)),
        steps.c.state.not_in(ENDED_STEPS),
    )
    published = sa.select(sa.func.max(steps.c.ended_at)).where(
        steps.c.story == key,
        steps.c.kind == StepKind.DELIVER,
        steps.c.state == StepState.DONE,
        steps.c.intent == Intent.PUBLISH,
    )
    changed = tx.execute(
        sa.update(stories)
        .where(stories.c.id == key, stories.c.state == StoryState.SETTLING, ~left)
        .values(
            state=StoryState.SETTLED,
            settled_at=now,
            updated_at=now,
            # a failed story that was asked for again is no measure of how long one takes from webhook to published
            published_at=sa.case(
                (stories.c.open_since < stories.c.finished_at, stories.c.published_at),
                else_=sa.func.coalesce(stories.c.published_at, published.scalar_subquery()),
            ),
        )
    )
    return changed.rowcount == 1


def of_keys(tx: sa.Connection, keys: Sequence[int]) -> list[StoryRow]:
    """The stories with these ledger keys that are there, in the keys' order."""
    rows = {row.id: row for row in tx.execute(sa.select(stories).where(stories.c.id.in_(keys)))}
    return [_row(rows[key]) for key in keys if key in rows]


def counts(tx: sa.Connection) -> dict[str, int]:
    """How many stories there are by state."""
    query = sa.select(stories.c.state, sa.func.count()).group_by(stories.c.state)
    return {row[0]: row[1] for row in tx.execute(query)}


def missed_webhooks(tx: sa.Connection, since: datetime) -> tuple[int, int]:
    """How many submissions of ours finished since then, and to how many of them no webhook ever came.

    Stories of others are not counted: whether anyone is told of them is not known here.
    """
    query = sa.select(sa.func.count(), sa.func.count(sa.case((stories.c.webhook_at.is_(None), 1)))).where(
        stories.c.finished_at >= since, stories.c.origin == Origin.SUBMITTED
    )
    row = tx.execute(query).one()
    return row[0], row[1]


def missed_of_newest(tx: sa.Connection, since: datetime, count: int) -> tuple[int, int]:
    """The same of the newest `count` submissions that finished since then."""
    ours = stories.c.finished_at > since, stories.c.origin == Origin.SUBMITTED
    newest = sa.select(stories.c.webhook_at).where(*ours).order_by(stories.c.finished_at.desc()).limit(count)
    found = tx.execute(newest).scalars().all()
    return len(found), sum(at is None for at in found)


def credits_used(tx: sa.Connection, since: datetime) -> float:
    """What the Story API charged for the stories that came into the ledger since then, as far as it said so."""
    query = sa.select(sa.func.sum(stories.c.used_credits)).where(stories.c.created_at >= since)
    return tx.execute(query).scalar_one() or 0.0


def unfinished(tx: sa.Connection) -> int:
    """How many stories still need something to happen."""
    query = sa.select(sa.func.count()).select_from(stories).where(stories.c.state.in_(UNFINISHED_STORIES))
    return tx.execute(query).scalar_one()


def _maybe(row: Any) -> StoryRow | None:
    return None if row is None else _row(row)


def _row(row: Any) -> StoryRow:
    values = {name: getattr(row, name) for name in StoryRow.__dataclass_fields__}
    values["state"] = StoryState(row.state)
    for name in ("request", "labels", "snapshot"):
        values[name] = values[name] or {}
    return StoryRow(**values)
