"""What a delivery gives to a connector: the story, its files, their links, and how it keeps what it made."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from handlers.attempt import Attempt, while_down
from service.domain.delivery import Links, Publication, Reference, StoryFacts, Video, Withdrawal
from service.domain.progress import Line, Progress
from service.domain.steps import ClaimedStep, StepFailed
from service.ledger import deliveries, steps, stories
from service.ledger.progress_steps import Shown
from service.ledger.stories import StoryRow, VideoRow
from service.route_choice import language_of
from service.story_api import parse_story
from service.video_store import ObjectStore
from service.wiring import Relay

_DAY = 86400


@dataclass(frozen=True)
class StoredFiles:
    """A revision's files in the video store."""

    store: ObjectStore
    video_row: VideoRow

    def video(self) -> AbstractContextManager[Path]:
        """The MP4 file."""
        return self.store.local_copy(f"{self.video_row.prefix}/video.mp4")

    def poster(self) -> AbstractContextManager[Path] | None:
        """The JPEG poster."""
        if not self.video_row.has_poster:
            return None
        return self.store.local_copy(f"{self.video_row.prefix}/poster.jpg")

    def captions(self) -> str | None:
        """The WebVTT text."""
        if not self.video_row.has_captions:
            return None
        return self.store.read_bytes(f"{self.video_row.prefix}/captions.vtt").decode()


def story_facts(row: StoryRow, revision: int) -> StoryFacts:
    """The story as destinations see it, from the Story API's last answer and our own request."""
    story = parse_story(row.snapshot)
    return StoryFacts(
        id=story.id,
        title=row.title,
        idea=story.idea or str(row.request.get("idea") or ""),
        aspect_ratio=story.aspect_ratio,
        used_credits=story.used_credits,
        created_at=story.created_at,
        revision=revision,
        language=language_of(row),
        scenes=story.scenes,
        snapshot=row.snapshot,
        labels={str(name): str(value) for name, value in row.labels.items()},
    )


def publication(
    relay: Relay, step: ClaimedStep, row: StoryRow, attempt: Attempt, reference: Reference
) -> Publication:
    """One revision of the story for the step's destination. Raises StepFailed when its video is gone."""
    with relay.ledger.read() as tx:
        video = stories.read_video(tx, row.id, step.revision)
        elsewhere = deliveries.visible(tx, row.id, but=step.lane.destination, until=step.revision)
    if video is None:
        raise StepFailed("its video is gone from the ledger", permanent=True)
    if video.removed_at is not None:
        raise StepFailed(
            f"its video was pruned on {video.removed_at:%Y-%m-%d}; `storyrelay replay {row.name}` fetches it again, "
            "if the Story API still has it",
            permanent=True,
        )
    at = step.wanted_at  # so that a message that is sent again under its id is the same message
    return Publication(
        story=story_facts(row, step.revision),
        video=Video(video.sha256, video.bytes, video.seconds, video.width, video.height),
        links=media_links(relay, video, at),
        files=StoredFiles(relay.video_store(), video),
        route=step.route,
        destination=step.lane.destination,
        key=_key(row, step),
        message_id=_message_id(row, step),
        repeat=step.repeat,
        published_at=at,
        reference=reference,
        save=_saver(relay, step),
        check=attempt.check,
        elsewhere=elsewhere,
        unbroken=attempt.unbroken,
        sent=attempt.sent,
    )


def withdrawal(
    relay: Relay, step: ClaimedStep, row: StoryRow, attempt: Attempt, reference: Reference
) -> Withdrawal:
    """The story that is to disappear from the step's destination."""
    return Withdrawal(
        story=story_facts(row, step.revision),
        destination=step.lane.destination,
        key=_key(row, step),
        message_id=_message_id(row, step),
        at=step.wanted_at,
        reference=reference,
        save=_saver(relay, step),
        check=attempt.check,
    )


def progress_of(
    relay: Relay,
    step: ClaimedStep,
    row: StoryRow,
    attempt: Attempt,
    said: tuple[str, tuple[Line, ...]],
    own: Shown | None,
) -> Progress:
    """How the story stands, for the step's destination: `said` is the headline and the lines."""
    return Progress(
        story=story_facts(row, max(1, row.revision)),
        destination=step.lane.destination,
        key=_key(row, step),
        headline=said[0],
        lines=said[1],
        is_published=own is not None and own.begun and (own.called or not own.withdrawn),
        publication=own.reference if own is not None else {},
        reference=step.reference,
        save=_saver(relay, step),
        check=attempt.check,
    )


def _key(row: StoryRow, step: ClaimedStep) -> str:
    return f"storyrelay-{row.submission_id}-{step.lane.destination}"


def _message_id(row: StoryRow, step: ClaimedStep) -> str:
    return f"{row.submission_id}-{step.id}" + (f"-{step.repeat}" if step.repeat else "")


def media_links(relay: Relay, video: VideoRow, at: datetime) -> Links:
    """Signed addresses of a revision's files, good for as long as messages of the time `at` live."""
    expires_at = at.timestamp() + relay.settings.media_token_days * _DAY

    def link(name: str) -> str:
        return relay.media_urls.url_until(f"{video.prefix}/{name}", name, expires_at)

    return Links(
        video=link("video.mp4"),
        poster=link("poster.jpg") if video.has_poster else None,
        captions=link("captions.vtt") if video.has_captions else None,
    )


def _saver(relay: Relay, step: ClaimedStep) -> Callable[[Reference], None]:
    def write(reference: Reference) -> None:
        with relay.ledger.write() as tx:
            steps.save_reference(tx, step, reference)

    return lambda reference: while_down(partial(write, reference))
