"""Submitting under a key of the caller's: the same again is answered the same and asks for nothing anew."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from service.domain.states import StoryState
from service.ledger import stories, submit_keys
from service.ledger.stories import StoryRow
from service.ledger.submit_keys import KeyTaken, SubmitKey
from service.redaction import redact
from service.story_api import PASSING, StoryApiError
from service.web.api.problems import MEDIA_TYPE, Problem, of_error, refuse
from service.wiring import Relay

Beside = Callable[[Any, int], None]

REPLAYED = "Idempotent-Replayed"

_FORGOTTEN = (
    "this key was used within the last 24 hours, and the story that it asked for is forgotten here since. "
    "Nothing was asked for again; to have it made (and pay) anew, use another key"
)


@dataclass(frozen=True)
class Keyed:
    """One submission under a key.

    The key is taken in the transaction that writes the story's row, so wherever this process dies, a later call
    finds either nothing sent, or the row that tells what came of it.
    """

    relay: Relay
    token: int
    key: str
    digest: str

    def answer(self, submit: Callable[[Beside], tuple[int, str]]) -> Response:
        """The kept answer, or that of `submit` (status and body), which is then kept. Raises Refused."""
        known = self._known()
        if known is not None:
            return self._again(known)
        try:
            status, body = submit(self._take)
        except KeyTaken:
            taken = self._known()
            if taken is None:
                raise refuse(
                    409, "another call with this key has just ended; try again", "in-progress", 1
                ) from None
            return self._again(taken)
        except StoryApiError as error:
            return self._failed(error)
        self._keep(status, body)
        return _response(status, body)

    def _take(self, tx: Any, story: int) -> None:
        submit_keys.take(tx, self.token, self.key, self.digest, story, self.relay.now())

    def _known(self) -> SubmitKey | None:
        with self.relay.ledger.read() as tx:
            return submit_keys.find(tx, self.token, self.key, self.relay.now())

    def _keep(self, status: int, body: str) -> None:
        with self.relay.ledger.write() as tx:
            submit_keys.keep(tx, self.token, self.key, status, body)

    def _failed(self, error: StoryApiError) -> Response:
        """A refusal is kept; where the Story API was not there to refuse, the key is free already to try again."""
        problem = of_error(error)
        if not isinstance(error, PASSING):
            self._keep(problem.status, problem.body(request.path))
        return problem.response()

    def _again(self, known: SubmitKey) -> Response:
        if known.digest != self.digest:
            raise refuse(422, "this Idempotency-Key was used for another request", "key-reused")
        if known.status is not None and known.answer is not None:
            return _replayed(known.status, known.answer)
        if known.refused is not None:
            detail = redact(f"nothing was made: {known.refused}")
            return _replayed(502, Problem(502, detail, "story-api-failed").body(request.path))
        return self._from_ledger(known.story)

    def _from_ledger(self, story: int | None) -> Response:
        """The answer that was never given, from what the ledger knows: its process ended before."""
        with self.relay.ledger.read() as tx:
            row = None if story is None else stories.read(tx, story)
        if row is None:
            raise refuse(410, _FORGOTTEN, "forgotten")
        if row.state == StoryState.SUBMITTING:
            raise refuse(409, "the call with this key is still under way; try again soon", "in-progress", 5)
        return _replayed(202 if row.story_id is None else 201, json.dumps(_of_row(row)))


def digest_of(body: object) -> str:
    """What tells one body from another, whatever the order of its members."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _of_row(row: StoryRow) -> dict[str, object]:
    """As `submitted_json`. `cancelled` is a story that a person gave up since: it may be made and charged."""
    return {
        "story_id": row.story_id,
        "submission_id": row.submission_id,
        "state": row.state,
        "estimated_credits": row.estimated_credits or 0,
        "used_credits": row.used_credits,
    }


def _replayed(status: int, body: str) -> Response:
    answer = _response(status, body)
    answer.headers[REPLAYED] = "true"
    return answer


def _response(status: int, body: str) -> Response:
    return Response(body, status, mimetype="application/json" if status < 400 else MEDIA_TYPE)
