"""The deliver step: hands a story to the connector of one destination."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from handlers.attempt import Attempt, settle
from service.connectors import Connector
from service.domain.delivery import DeliveryFailed, Links, Publication, Reference, StoryFacts, Video
from service.domain.notices import NoticeKind, Trouble
from service.domain.steps import ClaimedStep, Done, Later, Opens, StepFailed
from service.ledger import lanes, notices, steps, stories
from service.ledger.stories import StoryRow, VideoRow
from service.story_api import parse_story
from service.video_store import ObjectStore, StoreError
from service.wiring import Relay, Stop, UnknownDestination

EARLIER_REVISION_SECONDS = 5.0
"""How long a revision waits for the one before it, each time it looks."""

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


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done | Later:
    """Publishes one revision of a story to one destination. Raises StepFailed."""
    row = attempt.story()
    with relay.ledger.read() as tx:
        # not by the story's revision: one whose video turned out the same has no deliveries of its own
        superseded = steps.is_superseded(tx, step)
        earlier_runs, earlier_reference = steps.earlier(tx, step)
    if superseded:
        return Done("superseded by a later revision", remark="superseded", record=settle(step), reached=False)
    if earlier_runs:
        # the two would not see each other's publication and make two
        return Later("an earlier revision is just being published", EARLIER_REVISION_SECONDS, reached=False)
    try:
        connector = open_connector(relay, step.lane.destination, attempt.stop_reason)
        reference = step.reference or earlier_reference
        published = connector.publish(_publication(relay, step, row, attempt, reference))
    except DeliveryFailed as error:
        attempt.check()
        raise failure(error) from error
    except StoreError as error:
        attempt.check()
        raise StepFailed(f"its video can't be read: {error}", permanent=error.permanent) from error
    return Done(
        published.remark or "published",
        record=settle(step),
        reference=published.reference,
        url=published.url,
        remark=published.remark or None,
    )


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Tells people that the destination will not get the story; the others are not held up."""
    row = stories.lock(tx, step.story_key)
    destination = step.lane.destination
    trouble = Trouble(
        key=f"{NoticeKind.DELIVERY_DEAD}/{step.id}/{step.repeat}",
        kind=NoticeKind.DELIVERY_DEAD,
        title=f"Not delivered to {destination}: {row.title or row.name}",
        text=(
            f"Story {row.name} could not be published at {destination}: {message}\n"
            f"Once mended: storyrelay replay {row.name} --destination {destination}"
        ),
        story=row.id,
        about=destination,
    )
    notices.add(tx, trouble, relay.configuration.notices, now)
    stories.settle_if_over(tx, row.id, now)


def failure(error: DeliveryFailed) -> StepFailed:
    """What a connector's failure means for the step and for its lane."""
    if error.refused:
        return StepFailed(str(error), spends=False, opens=Opens(lanes.REFUSED, str(error)))
    return StepFailed(str(error), permanent=error.permanent, retry_after=error.retry_after)


def open_connector(relay: Relay, destination: str, stop: Stop | None = None) -> Connector:
    """The connector of a configured destination. Raises StepFailed when there is none of that name."""
    try:
        return relay.connector(destination, stop)
    except UnknownDestination as error:
        raise StepFailed(str(error), permanent=True) from error


def story_facts(row: StoryRow, revision: int) -> StoryFacts:
    """The story as destinations see it, from the Story API's last answer and our own request."""
    story = parse_story(row.snapshot)
    language = row.request.get("language")
    return StoryFacts(
        id=story.id,
        title=row.title,
        idea=story.idea or str(row.request.get("idea") or ""),
        aspect_ratio=story.aspect_ratio,
        used_credits=story.used_credits,
        created_at=story.created_at,
        revision=revision,
        language=language if isinstance(language, str) else None,
        scenes=story.scenes,
        snapshot=row.snapshot,
    )


def _publication(
    relay: Relay, step: ClaimedStep, row: StoryRow, attempt: Attempt, reference: Reference
) -> Publication:
    with relay.ledger.read() as tx:
        video = stories.read_video(tx, row.id, step.revision)
    if video is None:
        raise StepFailed("its video is gone from the ledger", permanent=True)
    # one time for all attempts, so that a message that is sent again under its id is the same message
    at = relay.now() if step.repeat else step.created_at
    return Publication(
        story=story_facts(row, step.revision),
        video=Video(video.sha256, video.bytes, video.seconds, video.width, video.height),
        links=media_links(relay, video, at),
        files=StoredFiles(relay.video_store(), video),
        route=step.route,
        destination=step.lane.destination,
        key=f"storyrelay-{row.submission_id}-{step.lane.destination}",
        message_id=f"{row.submission_id}-{step.id}" + (f"-{step.repeat}" if step.repeat else ""),
        repeat=step.repeat,
        published_at=at,
        reference=reference,
        save=_saver(relay, step),
        check=attempt.check,
    )


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
    def save(reference: Reference) -> None:
        with relay.ledger.write() as tx:
            steps.save_reference(tx, step, reference)

    return save
