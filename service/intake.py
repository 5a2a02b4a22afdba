"""Takes a webhook in: verify, record, ask for a fetch. Nothing else happens before the answer."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
import structlog

from service.domain.hints import Hint, Malformed, read_hint
from service.domain.states import Origin, StoryState, Verdict
from service.domain.stories import text
from service.ledger import Ledger, forgotten, stories, webhooks
from service.ledger.collisions import whoever_was_first
from service.ledger.group_commit import GroupCommit
from service.ledger.receipts import Receipt
from service.ledger.stories import NewStory
from service.ledger.webhooks import Told
from service.webhook_url import RouteToken, SubmissionToken

log = structlog.get_logger()

FIRST_POLL = timedelta(seconds=60)
"""A story that a webhook made known is fetched at once; this poll is for the case that it isn't finished."""
_RIGHT = (Verdict.ACCEPTED, Verdict.DUPLICATE)

Token = SubmissionToken | RouteToken


@dataclass(frozen=True)
class Delivery:
    """A webhook as it came over HTTP."""

    token: Token
    body: bytes
    content_type: str
    remote: str
    trace: str | None = None
    """The request's id, and where it is in its trace; see `service.tracing`."""


def new_submission_id() -> str:
    """A fresh name for a submission: 96 random bits."""
    return secrets.token_urlsafe(12)


@dataclass(frozen=True)
class Arrival:
    """A webhook and what it claims; `hint` None: it is malformed."""

    delivery: Delivery
    hint: Hint | None
    at: datetime


class Intake:
    """Records webhooks, each whole or not at all; those that come at once share a transaction."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now
        self._together = GroupCommit(self.record, _note)

    def receive(self, delivery: Delivery) -> Verdict:
        """Records the webhook and makes its story's fetch due. When this returns, nothing can be lost.

        Raises the ledger's errors (`LedgerDown`): then nothing is known to be written, and it has to come again.
        """
        try:
            hint = read_hint(delivery.body)
        except Malformed:
            hint = None
        return self._together.write(Arrival(delivery, hint, self._now()))

    def record(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Records several in one transaction, each judged as if those before it had been recorded alone."""
        # the answer to our own submit call may make the same story known at the same instant
        return whoever_was_first(partial(self._record, arrivals))

    def _record(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        now = max(arrival.at for arrival in arrivals)
        with self._ledger.write() as tx:
            _make_known(tx, arrivals)
            held = _hold(tx, arrivals)
            kept = [_judge(tx, held, arrival) for arrival in arrivals]
            traces = {
                receipt.story: arrival.delivery.trace
                for receipt, arrival in zip(kept, arrivals, strict=True)
                if receipt.story is not None
            }
            webhooks.name(tx, [held.changed[key] for key in sorted(held.named)])
            webhooks.record(tx, kept, list(held.changed.values()), now, traces)
        return [receipt.verdict for receipt in kept]


class _Held:
    """The stories that some webhooks are about, as the transaction holds them and those webhooks change them."""

    def __init__(self, stories: Sequence[Told]) -> None:
        self._stories = {story.id: story for story in stories}
        self._by_name = {story.submission_id: story.id for story in stories}
        self._by_story_id = {story.story_id: story.id for story in stories if story.story_id is not None}
        self.changed: dict[int, Told] = {}
        self.named: set[int] = set()

    def of(self, token: Token, hint: Hint) -> Told | None:
        """The story that a token, or its webhook, is about; None where the ledger hasn't got it."""
        if isinstance(token, SubmissionToken):
            key = self._by_name.get(token.submission_id)
        else:
            key = self._by_story_id.get(hint.story_id or "")
        return None if key is None else self._stories[key]

    def change(self, story: Told) -> None:
        self._stories[story.id] = self.changed[story.id] = story
        if story.story_id is not None and story.story_id not in self._by_story_id:
            self._by_story_id[story.story_id] = story.id
            self.named.add(story.id)

    def is_known(self, tx: sa.Connection, story_id: str) -> bool:
        return story_id in self._by_story_id or webhooks.is_known(tx, story_id)


def _make_known(tx: sa.Connection, arrivals: Sequence[Arrival]) -> None:
    """Adds the stories that a route's webhooks name, in one order for all: two that add the same wait in line."""
    named = {
        arrival.hint.story_id: (arrival.delivery.token.route, arrival.at)
        for arrival in reversed(arrivals)
        if isinstance(arrival.delivery.token, RouteToken) and arrival.hint and arrival.hint.story_id
    }
    gone = forgotten.among(tx, named)
    for story_id, (route, at) in sorted(named.items()):
        if story_id in gone:
            continue
        new = NewStory(
            submission_id=new_submission_id(),
            origin=Origin.WEBHOOK,
            state=StoryState.OPEN,
            story_id=story_id,
            route=route,
            next_poll_at=at + FIRST_POLL,
        )
        stories.add(tx, new, at)


def _hold(tx: sa.Connection, arrivals: Sequence[Arrival]) -> _Held:
    tokens = [(arrival.delivery.token, arrival.hint) for arrival in arrivals if arrival.hint is not None]
    submissions = {token.submission_id for token, _ in tokens if isinstance(token, SubmissionToken)}
    named = {hint.story_id for token, hint in tokens if isinstance(token, RouteToken) and hint.story_id}
    return _Held(webhooks.hold(tx, submissions, named))


def _judge(tx: sa.Connection, held: _Held, arrival: Arrival) -> Receipt:
    hint = arrival.hint
    if hint is None:
        return _receipt(arrival, Verdict.MALFORMED, None)
    story = held.of(arrival.delivery.token, hint)
    if story is None:  # a route's webhook without an id, or pruned since: a token outlives its story
        return _receipt(arrival, Verdict.UNMATCHED, None)
    if story.waits_for_id and hint.story_id is not None and not held.is_known(tx, hint.story_id):
        # the webhook beat the answer to our own submit call, or replaces the answer that never came
        poll = story.next_poll_at or arrival.at + FIRST_POLL
        story = replace(story, story_id=hint.story_id, state=StoryState.OPEN, next_poll_at=poll)
    verdict = _verdict(story, hint)
    held.change(replace(story, webhook_at=story.webhook_at or arrival.at, webhook_status=hint.status))
    return _receipt(arrival, verdict, story.id if story.story_id is not None else None)


def _verdict(story: Told, hint: Hint) -> Verdict:
    if hint.story_id is not None and story.story_id != hint.story_id:
        return Verdict.MISMATCH
    if story.story_id is None:
        return Verdict.UNMATCHED
    if story.webhook_at is not None and story.webhook_status == hint.status:
        return Verdict.DUPLICATE
    return Verdict.ACCEPTED


def _receipt(arrival: Arrival, verdict: Verdict, story: int | None) -> Receipt:
    delivery, hint = arrival.delivery, arrival.hint
    return Receipt(
        token=_name(delivery.token),
        verdict=verdict,
        body=delivery.body,
        content_type=text(delivery.content_type, 200),
        remote=text(delivery.remote, 100),
        received_at=arrival.at,
        claimed_id=hint.story_id if hint else None,
        claimed_status=hint.status if hint else None,
        story=story,
        request_id=(delivery.trace or "").partition(" ")[0],
    )


def _note(arrivals: Sequence[Arrival], verdicts: Sequence[Verdict]) -> None:
    """Leaves a line of the log for each, in one go."""
    each = []
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        request_id = (arrival.delivery.trace or "").partition(" ")[0]
        about = _about(arrival.delivery.token, arrival.hint, verdict)
        each.append({"verdict": verdict.value, **about, "request_id": request_id})
    log.info("webhook.received", each=each)


def _about(token: Token, hint: Hint | None, verdict: Verdict) -> dict[str, str]:
    """What a line of the log says of a webhook; `story` only where the ledger has found the claim to be right."""
    claimed = hint.story_id if hint is not None else None
    named = {} if claimed is None else {"story" if verdict in _RIGHT else "claimed": claimed}
    through = (
        {"submission": token.submission_id} if isinstance(token, SubmissionToken) else {"route": token.route}
    )
    return named | through


def _name(token: Token) -> str:
    return "submission" if isinstance(token, SubmissionToken) else f"route:{token.route}"
