"""The fetch step: asks the Story API how a story stands, and sends it on its way when it is finished."""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from handlers.attempt import Attempt
from handlers.places import showing
from service.domain.notices import NoticeKind, Trouble
from service.domain.progress import HALF
from service.domain.schedules import next_poll_delay
from service.domain.states import Origin, StepKind, StoryState
from service.domain.steps import ClaimedStep, Done, Lane, Later, Opens, Record, StepFailed
from service.domain.stories import FINISHED_CLAIMS, video_identity
from service.ledger import notices, progress_steps, revisions, steps, stories
from service.ledger.stories import StoryRow
from service.route_choice import routing_facts
from service.story_account import reason_of
from service.story_api import NotFound, Story, StoryApiError, StoryStatus
from service.wiring import Relay

_ENDED_BY_US = (StoryState.CANCELLED,)
_ON_ITS_WAY = (StoryState.SETTLING, StoryState.SETTLED)


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done | Later:
    """Asks once. Raises StepFailed for what the Story API or the way to it does wrong."""
    row = attempt.story()
    if row.state in _ENDED_BY_US:
        return Done("cancelled: it is asked for no more", reached=False)
    if row.story_id is None:
        return Done("the story's id is not known yet", reached=False)
    try:
        story = relay.story_api(attempt.stop_reason).get(row.story_id)
    except NotFound:
        return _not_found(relay, step, row)
    except StoryApiError as error:
        attempt.check()
        raise failure(error) from error
    if story.status == StoryStatus.FAIL:
        return Done(f"failed: {story.message}", record=_failed(relay, step, story))
    if story.status == StoryStatus.SUCCESS and story.video_url:
        return Done("finished", record=_finished(step, story, story.video_url))
    return _unfinished(relay, step, row, story)


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Leaves the story to its next poll: reconciliation asks until it gives up after days."""
    del message
    row = stories.lock(tx, step.story_key)
    if row.state == StoryState.OPEN:
        next_poll_at = now + timedelta(seconds=relay.settings.poll_max_seconds)
        stories.change(tx, row.id, now, next_poll_at=next_poll_at)


def failure(error: StoryApiError) -> StepFailed:
    """What an error of the Story API means for the step and for its lane."""
    reason = reason_of(error)
    if reason is not None:
        return StepFailed(str(error), spends=False, opens=Opens(reason, str(error)))
    return StepFailed(str(error), retry_after=error.retry_after)


def _unfinished(relay: Relay, step: ClaimedStep, row: StoryRow, story: Story) -> Done | Later:
    shown = _showing(relay, row, story)
    said = f"{story.status_text or 'no status'}, {story.progress} %"
    if story.status == StoryStatus.SUCCESS:
        said += ", no video yet"
    soon = relay.settings.not_ready_schedule
    announced = story.status == StoryStatus.SUCCESS or row.webhook_status in FINISHED_CLAIMS
    if announced and step.waits < len(soon):
        return Later(said, soon[step.waits], record=_progressed(step, story, None, shown))
    return Done(said, record=_progressed(step, story, relay, shown))


def _showing(relay: Relay, row: StoryRow, story: Story) -> list[str]:
    """The destinations that are to show its progress, by what is known of it now."""
    told = replace(row, snapshot=story.raw, title=story.title or row.title)
    return showing(relay, routing_facts(told, None), row.route)


def _show(tx: sa.Connection, row: StoryRow, story: Story, shown: list[str], now: datetime) -> None:
    progress_steps.begin(tx, row.id, shown, now)
    if (row.progress or 0) < HALF <= (story.progress or 0):
        progress_steps.ask(tx, row.id, now)


def _progressed(step: ClaimedStep, story: Story, polls: Relay | None, shown: list[str]) -> Record:
    """Keeps the answer; where `polls` is given, the next look is a poll on its schedule."""

    def record(tx: sa.Connection, now: datetime) -> None:
        row = stories.lock(tx, step.story_key)
        stories.record_answer(tx, row, story, story.status_text, now)
        if row.state == StoryState.OPEN:
            _show(tx, row, story, shown, now)
        if row.state in _ENDED_BY_US or polls is None:
            return
        if row.state not in _ON_ITS_WAY:  # a settled story that is made anew is told by its webhook
            settings = polls.settings
            delay = next_poll_delay(
                (now - row.created_at).total_seconds(),
                shortest=settings.poll_min_seconds,
                longest=settings.poll_max_seconds,
                jitter=settings.retry_jitter,
            )
            next_poll_at = now + timedelta(seconds=delay)
            opened = {} if row.state == StoryState.OPEN else {"open_since": now}
            stories.change(tx, row.id, now, state=StoryState.OPEN, next_poll_at=next_poll_at, **opened)

    return record


def _finished(step: ClaimedStep, story: Story, video_url: str) -> Record:
    def record(tx: sa.Connection, now: datetime) -> None:
        row = stories.lock(tx, step.story_key)
        stories.record_answer(tx, row, story, story.status_text, now)
        stories.change(tx, row.id, now, next_poll_at=None)
        identity = video_identity(video_url)
        # a story that was open again was made anew, though its video may have the same address
        same = identity == row.video_identity and row.state != StoryState.OPEN
        if row.state in _ENDED_BY_US or same:
            return
        revision = row.revision + 1
        stories.change(
            tx,
            row.id,
            now,
            state=StoryState.SETTLING,
            message=None,
            revision=revision,
            video_identity=identity,
            finished_at=row.finished_at or now,
            settled_at=None,
            noticed_by=row.noticed_by or stories.noticed(row),
        )
        steps.add(tx, [steps.NewStep(Lane(StepKind.DOWNLOAD), row.id, revision)], now)
        revisions.supersede(tx, row.id, StepKind.DOWNLOAD, [""], revision, now)
        progress_steps.ask(tx, row.id, now)

    return record


def _failed(relay: Relay, step: ClaimedStep, story: Story) -> Record:
    message = story.message or "the Story API gave no reason"

    def record(tx: sa.Connection, now: datetime) -> None:
        row = stories.lock(tx, step.story_key)
        stories.record_answer(tx, row, story, story.status_text, now)
        stories.change(tx, row.id, now, next_poll_at=None)
        if row.state != StoryState.OPEN:
            return
        stories.change(
            tx,
            row.id,
            now,
            state=StoryState.FAILED,
            message=message,
            finished_at=now,
            noticed_by=stories.noticed(row),
        )
        progress_steps.ask(tx, row.id, now)
        trouble = Trouble(
            key=f"{NoticeKind.STORY_FAILED}/{row.id}",
            kind=NoticeKind.STORY_FAILED,
            title=f"Story failed: {row.heading}",
            text=f"The Story API could not make story {row.name}: {message}",
            story=row.id,
        )
        notices.add(tx, trouble, relay.configuration.notices, now)

    return record


def _not_found(relay: Relay, step: ClaimedStep, row: StoryRow) -> Done | Later:
    pauses = relay.settings.not_found_schedule
    now = relay.now()
    since = row.not_found_since or now
    left = sum(pauses) - (now - since).total_seconds()
    tries = row.not_found + 1
    said = f"the Story API does not know it (try {tries})"
    if tries > len(pauses) and left <= 0:
        return Done(said, record=_unknown(relay, step))
    # hints may have used up the tries sooner than the time: then the rest of the time is waited for
    pause = min(pauses[min(row.not_found, len(pauses) - 1)], max(left, pauses[0]))
    return Later(said, pause, record=_missed(step, since, relay.settings.poll_max_seconds))


def _missed(step: ClaimedStep, since: datetime, longest: float) -> Record:
    def record(tx: sa.Connection, now: datetime) -> None:
        row = stories.lock(tx, step.story_key)
        if row.state in _ENDED_BY_US:
            return
        # the poll is for the case that the Story API then falls silent: it comes sooner than the last retries
        next_poll_at = now + timedelta(seconds=longest)
        stories.change(
            tx, row.id, now, not_found=row.not_found + 1, not_found_since=since, next_poll_at=next_poll_at
        )

    return record


def _unknown(relay: Relay, step: ClaimedStep) -> Record:
    def record(tx: sa.Connection, now: datetime) -> None:
        row = stories.lock(tx, step.story_key)
        message = "the Story API does not know this id (404, three times)"
        stories.change(tx, row.id, now, next_poll_at=None)
        if row.state != StoryState.OPEN:
            return
        stories.change(tx, row.id, now, state=StoryState.UNKNOWN, message=message)
        progress_steps.ask(tx, row.id, now)
        origin = (
            "It came by a webhook; whoever holds that webhook's URL may have sent a wrong id."
            if row.origin == Origin.WEBHOOK
            else "Was it deleted, or made under another key?"
        )
        trouble = Trouble(
            key=f"{NoticeKind.STORY_UNKNOWN}/{row.id}",
            kind=NoticeKind.STORY_UNKNOWN,
            title=f"Unknown story: {row.heading}",
            text=f"{message}. {origin}",
            story=row.id,
        )
        notices.add(tx, trouble, relay.configuration.notices, now)

    return record
