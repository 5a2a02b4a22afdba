"""Takes a webhook in: verify, record, ask for a fetch. Nothing else happens before the answer."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from service.domain.states import Origin, StoryState, Verdict
from service.domain.stories import text
from service.ledger import Ledger, receipts, steps, stories
from service.ledger.receipts import Receipt
from service.ledger.stories import NewStory, StoryRow
from service.webhook_url import RouteToken, SubmissionToken

LONGEST_ID = 200
FIRST_POLL = timedelta(seconds=60)
"""A story that a webhook made known is fetched at once; this poll is for the case that it isn't finished."""
_ID_NAMES = ("batch_id", "story_id", "id")
_WAITS_FOR_ID = (StoryState.SUBMITTING, StoryState.UNCONFIRMED)


@dataclass(frozen=True)
class Delivery:
    """A webhook as it came over HTTP."""

    token: SubmissionToken | RouteToken
    body: bytes
    content_type: str
    remote: str


@dataclass(frozen=True)
class Hint:
    """What a webhook claims: a story's id and a status, both unverified, either may be missing."""

    story_id: str | None
    status: str | None


class Malformed(ValueError):
    """The body is no JSON object."""


def new_submission_id() -> str:
    """A fresh name for a submission: 96 random bits."""
    return secrets.token_urlsafe(12)


def read_hint(body: bytes) -> Hint:
    """Reads the claims from a body: flat, under `data`, or a whole story object, whatever its media type.

    The V1 webhook of the Story API names the story `batch_id`; other versions may say `story_id` or `id`.
    Raises Malformed.
    """
    try:
        parsed = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    if not isinstance(parsed, dict):
        raise Malformed("the body is not a JSON object")
    inner = parsed.get("data")
    places = [place for place in (parsed, inner) if isinstance(place, dict)]
    return Hint(_first_text(places, _ID_NAMES), _first_text(places, ("status",)))


@dataclass(frozen=True)
class Intake:
    """Records webhooks; one transaction each."""

    ledger: Ledger
    now: Callable[[], datetime]

    def receive(self, delivery: Delivery) -> Verdict:
        """Records the webhook and makes its story's fetch due. When this returns, nothing can be lost.

        Raises the ledger's errors (`LedgerDown`): then nothing was written.
        """
        try:
            hint = read_hint(delivery.body)
        except Malformed:
            return self._record(delivery, Hint(None, None), Verdict.MALFORMED)
        return self._record(delivery, hint, None)

    def _record(self, delivery: Delivery, hint: Hint, verdict: Verdict | None) -> Verdict:
        now = self.now()
        with self.ledger.write() as tx:
            story, verdict = (None, verdict) if verdict else _match(tx, delivery.token, hint, now)
            receipts.add(tx, _receipt(delivery, hint, story, verdict), now)
            if story is not None:
                steps.ask_fetch(tx, story, now, now)
        return verdict


def _receipt(delivery: Delivery, hint: Hint, story: int | None, verdict: Verdict) -> Receipt:
    return Receipt(
        token=_name(delivery.token),
        verdict=verdict,
        body=delivery.body,
        content_type=text(delivery.content_type, 200),
        remote=text(delivery.remote, 100),
        claimed_id=hint.story_id,
        claimed_status=hint.status,
        story=story,
    )


def _match(
    tx: sa.Connection, token: SubmissionToken | RouteToken, hint: Hint, now: datetime
) -> tuple[int | None, Verdict]:
    if isinstance(token, SubmissionToken):
        return _match_submission(tx, token, hint, now)
    return _match_route(tx, token, hint, now)


def _match_submission(
    tx: sa.Connection, token: SubmissionToken, hint: Hint, now: datetime
) -> tuple[int | None, Verdict]:
    row = stories.lock_submission(tx, token.submission_id)
    if row is None:  # pruned since: the token outlived its story
        return None, Verdict.UNMATCHED
    values: dict[str, Any] = {}
    known = row.story_id
    if known is None and hint.story_id is not None and _adoptable(tx, row, hint.story_id):
        # the webhook beat the answer to our own submit call, or replaces the answer that never came
        values = {
            "story_id": hint.story_id,
            "state": StoryState.OPEN,
            "next_poll_at": row.next_poll_at or now + FIRST_POLL,
        }
        known = hint.story_id
    verdict = _verdict(row, hint, known)
    stories.record_webhook(tx, row, hint.status, now, **values)
    return (row.id if known is not None else None), verdict


def _adoptable(tx: sa.Connection, row: StoryRow, story_id: str) -> bool:
    return row.state in _WAITS_FOR_ID and stories.find(tx, story_id) is None


def _verdict(row: StoryRow, hint: Hint, known: str | None) -> Verdict:
    if hint.story_id is not None and known != hint.story_id:
        return Verdict.MISMATCH
    if known is None:
        return Verdict.UNMATCHED
    if row.webhook_at is not None and row.webhook_status == hint.status:
        return Verdict.DUPLICATE
    return Verdict.ACCEPTED


def _match_route(
    tx: sa.Connection, token: RouteToken, hint: Hint, now: datetime
) -> tuple[int | None, Verdict]:
    if hint.story_id is None:
        return None, Verdict.UNMATCHED
    new = NewStory(
        submission_id=new_submission_id(),
        origin=Origin.WEBHOOK,
        state=StoryState.OPEN,
        story_id=hint.story_id,
        route=token.route,
        next_poll_at=now + FIRST_POLL,
    )
    stories.add(tx, new, now)
    row = stories.lock_by_id(tx, hint.story_id)
    if row is None:
        return None, Verdict.UNMATCHED
    verdict = _verdict(row, hint, row.story_id)
    stories.record_webhook(tx, row, hint.status, now)
    return row.id, verdict


def _first_text(places: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> str | None:
    for place in places:
        for name in names:
            found = text(place.get(name), LONGEST_ID + 1)
            if 0 < len(found) <= LONGEST_ID:  # a cut id would name another story
                return found
    return None


def _name(token: SubmissionToken | RouteToken) -> str:
    return "submission" if isinstance(token, SubmissionToken) else f"route:{token.route}"
