"""The download step: brings the video into the store, whole and checked, with its poster and captions."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from handlers.attempt import Attempt, settle
from handlers.fetch import failure as api_failure
from handlers.video_file import DecoderStopped, VideoLimits, VideoRefused, examine
from service.domain.approvals import ApprovalTimes
from service.domain.captions import Narration, captions
from service.domain.notices import NoticeKind, Trouble
from service.domain.routing import UnknownRoute, led_to, questions_for, routes_for
from service.domain.states import StepKind, StepState, StoryState
from service.domain.steps import ClaimedStep, Done, Lane, Opens, Record, StepFailed
from service.domain.video_names import video_prefix
from service.ledger import (
    approvals,
    deliveries,
    forgetting,
    lanes,
    notices,
    progress_steps,
    revisions,
    steps,
    stories,
    withdrawals,
)
from service.ledger.stories import StoryRow, VideoRow
from service.outbound_http import (
    AddressRefused,
    BadUrl,
    DiskFull,
    Downloaded,
    DownloadLimits,
    HttpStatus,
    OutboundError,
    PartBusy,
    PartFile,
    TooLarge,
    TooManyRedirects,
)
from service.route_choice import routing_facts
from service.story_api import Story, StoryApiError, parse_story
from service.video_store import StoreError, StoreFull
from service.wiring import Relay

STALE_URL = (403, 404, 410)
"""Answers by which a signed address says that it is over: the story is fetched again for a fresh one."""

GONE_TRIES = 3
"""Attempts, each with its fresh addresses, after which a video that is not there counts as gone: a content delivery
network may show a file some seconds after the Story API speaks of it."""


@dataclass(frozen=True)
class Asked:
    """What people are asked before its deliveries may run: route → the destination that is asked, and how long."""

    questions: Mapping[str, str]
    times: ApprovalTimes


_PERMANENT = (AddressRefused, BadUrl, TooLarge, TooManyRedirects)


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done:
    """Downloads, checks and stores one revision's video. Raises StepFailed."""
    row = attempt.story()
    if step.revision < row.revision:
        return Done(f"superseded by revision {row.revision}", record=_superseded(step), reached=False)
    if row.state == StoryState.CANCELLED:
        _part(relay.video_store().incoming, step).discard()
        return Done("the story was cancelled", record=_left(step), reached=False, state=StepState.CANCELLED)
    try:
        return _bring(relay, step, row, attempt)
    except (DiskFull, StoreFull) as error:
        raise StepFailed(str(error), spends=False, opens=Opens(lanes.DISK_FULL, str(error))) from error
    except StoreError as error:
        raise StepFailed(f"the video store: {error}", permanent=error.permanent) from error
    except DecoderStopped as error:
        raise StepFailed(f"the video could not be looked at: {error}") from error
    except VideoRefused as error:
        raise StepFailed(f"the video was refused: {error}", permanent=not error.cut) from error


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Ends the story with the reason, and tells people."""
    row = stories.lock(tx, step.story_key)
    _part(relay.video_store().incoming, step).discard()
    forgetting.discard_unfinished(tx, row, now)
    if row.state != StoryState.SETTLING or row.revision != step.revision:
        stories.settle_if_over(tx, row.id, now)  # the revision that overtook this one may have waited for it
        return
    stories.change(tx, row.id, now, state=StoryState.GIVEN_UP, message=message)
    progress_steps.ask(tx, row.id, now)
    trouble = Trouble(
        key=f"{NoticeKind.STORY_GIVEN_UP}/{row.id}/{step.revision}/{step.repeat}",
        kind=NoticeKind.STORY_GIVEN_UP,
        title=f"Video not to be had: {row.heading}",
        text=f"Story {row.name} is finished, but its video could not be taken: {message}",
        story=row.id,
    )
    notices.add(tx, trouble, relay.configuration.notices, now)


def _bring(relay: Relay, step: ClaimedStep, row: StoryRow, attempt: Attempt) -> Done:
    store = relay.video_store()
    store.incoming.mkdir(parents=True, exist_ok=True)
    story = parse_story(row.snapshot)
    with contextlib.ExitStack() as cleanup:
        part = cleanup.enter_context(_own_part(store.incoming, step))
        downloaded, story = _download(relay, step, part, story, attempt)
        limits = VideoLimits(
            max_bytes=relay.settings.max_video_bytes, max_seconds=relay.settings.max_video_seconds
        )
        picture = downloaded.path.with_suffix(".jpg")
        cleanup.callback(part.discard)
        cleanup.callback(picture.unlink, missing_ok=True)
        attempt.check()
        facts, poster = examine(downloaded.path, picture, limits)
        attempt.check()
        with relay.ledger.read() as tx:
            prefix = forgetting.free_prefix(tx, video_prefix(story.id, step.revision))
        if poster is not None:
            store.put_file(f"{prefix}/poster.jpg", picture, content_type="image/jpeg", move=True)
        text = captions([Narration(scene.narration) for scene in story.scenes], facts.seconds)
        if text is not None:
            store.put_bytes(f"{prefix}/captions.vtt", text.encode(), content_type="text/vtt")
        store.put_file(f"{prefix}/video.mp4", downloaded.path, content_type="video/mp4", move=True)
    video = VideoRow(
        story=row.id,
        revision=step.revision,
        prefix=prefix,
        sha256=downloaded.sha256,
        bytes=downloaded.bytes,
        seconds=facts.seconds,
        width=facts.width,
        height=facts.height,
        video_codec=facts.video_codec,
        audio_codec=facts.audio_codec,
        has_poster=poster is not None,
        has_captions=text is not None,
    )
    said = f"{video.bytes} bytes, {video.seconds:.1f} s, {video.width}×{video.height}"
    wanted, questions = _deliveries(relay, row, video)
    asked = Asked(questions, relay.configuration.approval)
    stand_ins = relay.configuration.stand_ins(step.lane.destination for step in wanted)
    return Done(said, record=_stored(video, wanted, stand_ins, asked))


@contextlib.contextmanager
def _own_part(folder: Path, step: ClaimedStep) -> Iterator[PartFile]:
    """The step's part file, locked within the block: no other worker writes before it is renamed."""
    with contextlib.ExitStack() as held:
        try:
            part = held.enter_context(_part(folder, step))
        except PartBusy:
            # a worker that lost its lease still writes there: leave it its file
            part = held.enter_context(
                PartFile(folder / f"{step.story}-r{step.revision}-g{step.generation}.part")
            )
        yield part


def _part(folder: Path, step: ClaimedStep) -> PartFile:
    return PartFile(folder / f"{step.story}-r{step.revision}.part")


def _download(
    relay: Relay, step: ClaimedStep, part: PartFile, story: Story, attempt: Attempt
) -> tuple[Downloaded, Story]:
    """Downloads the story's video; asks for a fresh address as often as the settings allow."""
    if not story.video_url:  # the kept answer was pruned meanwhile
        story = _refreshed(relay, attempt)
    for _ in range(relay.settings.download_fresh_urls):
        try:
            return _transfer(relay, part, story, attempt), story
        except HttpStatus as error:
            if error.status not in STALE_URL:
                raise _transfer_failure(error) from error
            story = _refreshed(relay, attempt)
    try:
        return _transfer(relay, part, story, attempt), story
    except HttpStatus as error:
        if error.status in STALE_URL and step.attempts < GONE_TRIES:
            raise StepFailed(str(error), retry_after=error.retry_after) from error
        raise _transfer_failure(error) from error


def _transfer(relay: Relay, part: PartFile, story: Story, attempt: Attempt) -> Downloaded:
    if not story.video_url:
        raise StepFailed("the Story API gives no address for the video any more")
    settings = relay.settings
    limits = DownloadLimits(
        max_bytes=settings.max_video_bytes,
        min_bytes_per_second=settings.download_min_rate,
        window=settings.download_rate_window,
    )
    client = relay.untrusted_http(attempt.stop_reason)
    try:
        return client.download(story.video_url, part, limits)
    except (HttpStatus, DiskFull):
        raise
    except OutboundError as error:
        attempt.check()
        raise _transfer_failure(error) from error


def _transfer_failure(error: OutboundError) -> StepFailed:
    """What a failed transfer means for the step: 4xx that will stay, and refusals of ours, are permanent."""
    if isinstance(error, HttpStatus):
        permanent = 400 <= error.status < 500 and error.status not in (401, 408, 425, 429)
        return StepFailed(str(error), permanent=permanent, retry_after=error.retry_after)
    return StepFailed(str(error), permanent=isinstance(error, _PERMANENT))


def _refreshed(relay: Relay, attempt: Attempt) -> Story:
    row = attempt.story()
    if row.story_id is None:
        raise StepFailed("the story's id is not known", permanent=True)
    try:
        return relay.story_api(attempt.stop_reason).get(row.story_id)
    except StoryApiError as error:
        attempt.check()
        met = api_failure(error)
        # the Story API's trouble is no reason to pause the download lane
        raise StepFailed(f"no fresh address for the video: {met}", retry_after=met.retry_after) from error


def _stored(video: VideoRow, wanted: list[steps.NewStep], stand_ins: list[str], asked: Asked) -> Record:
    def record(tx: sa.Connection, now: datetime) -> None:
        stories.add_video(tx, video, now)
        row = stories.lock(tx, video.story)
        overtaken = row.revision != video.revision or row.state != StoryState.SETTLING
        # decided here, under the lock: what was delivered before may have been overtaken while we downloaded
        if not overtaken and stories.delivered_sha256(tx, video.story, video.revision) != video.sha256:
            _deliver(tx, row, wanted, stand_ins, now)
            approvals.ask(tx, row.id, row.revision, asked.questions, asked.times, now)
            approvals.close_idle(tx, row.id, "it was withdrawn from where it was to go", now)
        if stories.settle_if_over(tx, video.story, now):
            progress_steps.ask(tx, video.story, now)  # nobody gets it, and who watches it is told

    return record


def _left(step: ClaimedStep) -> Record:
    """A record that lists what an earlier, killed attempt may have stored: nobody comes for it any more."""

    def record(tx: sa.Connection, now: datetime) -> None:
        forgetting.discard_unfinished(tx, stories.lock(tx, step.story_key), now)

    return record


def _superseded(step: ClaimedStep) -> Record:
    def record(tx: sa.Connection, now: datetime) -> None:
        _left(step)(tx, now)
        settle(step)(tx, now)

    return record


def _deliver(
    tx: sa.Connection, row: StoryRow, wanted: list[steps.NewStep], stand_ins: list[str], now: datetime
) -> None:
    """Makes the deliveries but those that are withdrawn, and ends what they make needless."""
    routed = [step.lane.destination for step in wanted]
    withdrawals.forget_unrouted(tx, row.id, row.revision, [*routed, *stand_ins])
    taken_back = deliveries.withdrawn(tx, row.id)
    made = [step for step in wanted if step.lane.destination not in taken_back]
    steps.add(tx, made, now)
    destinations = [step.lane.destination for step in made]
    revisions.supersede(tx, row.id, StepKind.DELIVER, destinations, row.revision, now)
    deliveries.wake(tx, row.id, now)
    deliveries.tell_withdrawn(tx, row, now)


def _deliveries(relay: Relay, row: StoryRow, video: VideoRow) -> tuple[list[steps.NewStep], dict[str, str]]:
    try:
        facts = routing_facts(row, video.seconds)
        taken = routes_for(relay.configuration.routes, facts, row.route, relay.now())
    except UnknownRoute as error:
        raise StepFailed(f"{error}: it was pinned when the story came in", permanent=True) from error
    wanted = led_to(taken)
    made = [
        steps.NewStep(Lane(StepKind.DELIVER, destination), row.id, video.revision, route=route)
        for destination, route in wanted.items()
    ]
    return made, questions_for(taken, wanted)
