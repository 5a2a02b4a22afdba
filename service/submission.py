"""Asks the Story API for videos, and adopts stories that others asked for."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from service.domain.people import Doer
from service.domain.schedules import first_poll_delay
from service.domain.states import Origin, StoryState
from service.domain.stories import expected_seconds
from service.intake import new_submission_id
from service.ledger import (
    Ledger,
    LedgerDown,
    fetch_steps,
    forgotten,
    people,
    stories,
    submit_keys,
    withdrawals,
)
from service.ledger.collisions import whoever_was_first
from service.ledger.stories import NewStory, StoryRow
from service.outbound_http import Interrupted
from service.settings import Settings
from service.story_account import StoryAccount, reason_of
from service.story_api import PASSING, InvalidRequest, Story, StoryApi, StoryApiError, VideoRequest, estimate
from service.webhook_url import WebhookUrls

log = structlog.get_logger()

TWIN_WINDOW = timedelta(hours=1)
"""How long an unanswered submission stands in the way of the same request."""

LONGEST_MESSAGE = 2000


class AlreadySubmitted(Exception):
    """The very form, or call, was sent before: it is one story."""

    def __init__(self, submission_id: str) -> None:
        super().__init__(f"this was submitted already, as {submission_id}")
        self.submission_id = submission_id


class AlreadyAsked(Exception):
    """The same request was sent before and its answer never came; it may be running and costing credits."""

    def __init__(self, submission_id: str) -> None:
        super().__init__(
            f"the same request was submitted as {submission_id} within the last hour and its answer never came: "
            f"it may well be running. Look with `storyrelay show {submission_id}`; to ask (and pay) again, add --again"
        )


_INTERRUPTED = {
    StoryState.CANCELLED: "it had not been sent, and nothing was charged",
    StoryState.UNCONFIRMED: (
        "the Story API had been asked, so whether it makes the story is not known: a webhook will tell. "
        "For an hour the same request is not sent again, unless you add --again"
    ),
}


class SubmissionInterrupted(Exception):
    """The submission was ended while the Story API was asked; the message says what the ledger has of it."""

    def __init__(self, submission_id: str, state: StoryState) -> None:
        known = _INTERRUPTED.get(state, "a webhook of it came already")
        super().__init__(
            f"interrupted: submission {submission_id} is in the ledger as `{state}`; {known}. "
            f"Look with `storyrelay show {submission_id}`"
        )
        self.submission_id = submission_id
        self.state = state


@dataclass(frozen=True)
class Submitted:
    """What came of a submission. `story_id` is None while it is unconfirmed."""

    key: int
    submission_id: str
    story_id: str | None
    state: StoryState
    estimated_credits: int
    used_credits: float | None
    webhook_url: str = field(repr=False)


@dataclass(frozen=True)
class Submission:
    """Writes the row first, calls second: a webhook that beats our answer finds its row.

    `beside` writes what must stand or fall with a new submission's row, in its transaction (a ledger connection, the
    story's key); what it raises undoes the row, and nothing is sent.
    `account` hears whether the Story API takes our key and has credits.
    `watched`: somebody sees how stories get on, so that the first look at each comes at once.
    """

    ledger: Ledger
    settings: Settings
    urls: WebhookUrls
    api: StoryApi
    now: Callable[[], datetime]
    beside: Callable[[Any, int], None] | None = None
    watched: bool = False
    account: StoryAccount | None = None

    def submit(
        self,
        request: VideoRequest,
        *,
        route: str | None = None,
        labels: Mapping[str, str] | None = None,
        again: bool = False,
        by: Doer | None = None,
        submission_id: str | None = None,
    ) -> Submitted:
        """Submits one story. `by`: who wants it, for the audit log. `submission_id`: drawn by the caller with
        `new_submission_id`, so that what is sent twice is one story; it raises AlreadySubmitted then.

        Raises AlreadyAsked, and StoryApiError when the API refused it: the row then says `cancelled` and why.
        A call whose answer never came is no error: the story is `unconfirmed`. SubmissionInterrupted when the
        client's `stop` ended the call, which leaves it `unconfirmed`, or `cancelled` when it was not sent.
        LedgerDown after the answer came leaves the story's id in the log.
        """
        submission_id = submission_id or new_submission_id()
        webhook_url = self.urls.for_submission(submission_id)  # first: it fails where no key is set
        price = estimate(request).credits
        key = self._write(request, submission_id, price, route, labels or {}, again=again, by=by)
        row = self._ask(key, request, webhook_url)
        return Submitted(key, submission_id, row.story_id, row.state, price, row.used_credits, webhook_url)

    def track(self, story_id: str, *, route: str | None = None, by: Doer | None = None) -> StoryRow:
        """Adopts a story that somebody else submitted; a known one is only fetched anew. Needs no network.

        `by`: who wants it, for the audit log.
        """
        now = self.now()
        new = NewStory(
            submission_id=new_submission_id(),
            origin=Origin.TRACKED,
            state=StoryState.OPEN,
            story_id=story_id,
            route=route,
            next_poll_at=now + timedelta(seconds=self.settings.poll_min_seconds),
        )
        with self.ledger.write() as tx:
            forgotten.lift(tx, story_id)
            stories.add(tx, new, now)
            row = stories.lock_by_id(tx, story_id)
            if row is None:
                raise RuntimeError(f"story {story_id} vanished from the ledger within its own transaction")
            if route is not None and row.route != route:
                stories.change(tx, row.id, now, route=route)
            fetch_steps.ask(tx, row.id, now, now)
            people.note_deed(tx, by, now, "track", story_id, f"pinned to route {route}" if route else "")
            return stories.lock(tx, row.id)

    def _ask(self, key: int, request: VideoRequest, webhook_url: str) -> StoryRow:
        try:
            story = self.api.submit(request, webhook_url)
        except InvalidRequest as error:
            self._record_failure(key, StoryState.CANCELLED, str(error))
            raise
        except StoryApiError as error:
            state = StoryState.UNCONFIRMED if error.sent else StoryState.CANCELLED
            row = self._record_failure(key, state, str(error), refused=error)
            if not error.sent:
                raise
            log.warning("submission.unconfirmed", submission=row.submission_id, error=str(error))
            return row
        except Interrupted as error:
            state = StoryState.UNCONFIRMED if error.sent else StoryState.CANCELLED
            row = self._record_failure(key, state, str(error))
            raise SubmissionInterrupted(row.submission_id, row.state) from error
        try:
            return self._record_answer(key, story)
        except LedgerDown:
            do = f"storyrelay track {story.id}"
            log.error("submission.answer_not_recorded", story=story.id, do=do)  # noqa: TRY400  the error goes up
            raise

    def _write(
        self,
        request: VideoRequest,
        submission_id: str,
        price: int,
        route: str | None,
        labels: Mapping[str, str],
        *,
        again: bool,
        by: Doer | None,
    ) -> int:
        body = request.body()
        digest = _digest(request.kind, body)
        now = self.now()
        new = NewStory(
            submission_id=submission_id,
            origin=Origin.SUBMITTED,
            state=StoryState.SUBMITTING,
            kind=request.kind,
            route=route,
            title=request.title,
            request=body,
            request_digest=digest,
            labels=labels,
            expected_seconds=expected_seconds(body),
            estimated_credits=price,
        )
        with self.ledger.write() as tx:
            twin = None if again else stories.unanswered_twin(tx, digest, now - TWIN_WINDOW)
            if twin is not None and twin.submission_id != submission_id:
                raise AlreadyAsked(twin.submission_id)
            key = stories.add(tx, new, now)
            if key is None:
                raise AlreadySubmitted(submission_id)
            if self.beside is not None:
                self.beside(tx, key)
            people.note_deed(tx, by, now, "submit", submission_id, f"{request.kind}, about {price} credits")
        return key

    def _record_answer(self, key: int, story: Story) -> StoryRow:
        # a webhook by a route's token may make the same story known at the same instant
        return whoever_was_first(partial(self._record, key, story))

    def _record(self, key: int, story: Story) -> StoryRow:
        now = self.now()
        with self.ledger.write() as tx:
            row = stories.lock(tx, key)
            if self.account is not None:
                self.account.paid(tx, now)
            known = stories.find(tx, story.id)
            if known is not None and known.id != key:
                return self._join(tx, row, known, now)
            values: dict[str, Any] = {"story_id": story.id, "used_credits": story.used_credits}
            if row.state in (StoryState.SUBMITTING, StoryState.UNCONFIRMED):
                values |= {"state": StoryState.OPEN, "next_poll_at": self._first_poll(row, now)}
            elif row.story_id != story.id and row.state != StoryState.CANCELLED:
                # a webhook named another id before this answer came: the answer is the truth
                values |= {
                    "state": StoryState.OPEN,
                    "next_poll_at": now,
                    "not_found": 0,
                    "not_found_since": None,
                }
            stories.change(tx, key, now, **values)
            return stories.lock(tx, key)

    def _join(self, tx: Any, row: StoryRow, known: StoryRow, now: datetime) -> StoryRow:
        # a webhook by a route's token, or `track`, made the story known before our own answer came
        message = f"the ledger has this story as {known.submission_id} already"
        stories.change(tx, row.id, now, state=StoryState.CANCELLED, message=message, next_poll_at=None)
        price = known.estimated_credits if known.estimated_credits is not None else row.estimated_credits
        stories.change(tx, known.id, now, route=known.route or row.route, estimated_credits=price)
        withdrawals.pass_on(tx, row.id, known.id, now)
        submit_keys.pass_on(tx, row.id, known.id)
        fetch_steps.ask(tx, known.id, now, now)
        return stories.lock(tx, known.id)

    def _record_failure(
        self, key: int, state: StoryState, message: str, refused: StoryApiError | None = None
    ) -> StoryRow:
        now = self.now()
        with self.ledger.write() as tx:
            row = stories.lock(tx, key)
            if state == StoryState.CANCELLED and row.story_id is None:
                if isinstance(refused, PASSING):
                    submit_keys.free(tx, key)
                else:
                    submit_keys.refuse(tx, key, message[:LONGEST_MESSAGE])
            if row.state == StoryState.SUBMITTING:  # else a webhook came already, which knows better
                stories.change(tx, key, now, state=state, message=message[:LONGEST_MESSAGE])
            # a key that this process lacks says nothing of that of the others: whoever submits sees it
            if self.account is not None and refused is not None and refused.status is not None:
                self.account.refused(tx, reason_of(refused), str(refused), now)
            return stories.lock(tx, key)

    def _first_poll(self, row: StoryRow, now: datetime) -> datetime:
        if row.webhook_at is not None or self.watched:
            return now
        wanted = self.settings.poll_first_seconds
        return now + timedelta(
            seconds=wanted if wanted is not None else first_poll_delay(row.expected_seconds)
        )


def _digest(kind: str, body: Mapping[str, Any]) -> str:
    canonical = json.dumps([kind, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
