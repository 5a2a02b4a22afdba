"""Everything that goes wrong under /api/v1 as a problem document (RFC 9457)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from service.bulk_replaying import Unfit
from service.domain.delivery import DeliveryFailed
from service.ledger import LedgerDown
from service.redaction import redact
from service.replaying import NothingToReplay
from service.settings import SettingsError
from service.story_actions import ActionRefused
from service.story_api import (
    PASSING,
    InsufficientCredit,
    Invalid,
    InvalidRequest,
    NotFound,
    StoryApiError,
)
from service.submission import AlreadyAsked
from service.web.slow_lane import Busy
from service.withdrawing import NothingToWithdraw

log = structlog.get_logger()

PREFIX = "/api/v1"
MEDIA_TYPE = "application/problem+json"
URN = "urn:storyrelay:problem:"
MOST_ERRORS = 20
LONGEST_DETAIL = 2000


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field; `field` has dots between its parts, '' for the whole."""

    field: str
    problem: str


@dataclass(frozen=True)
class Problem:
    """One problem document. `kind` ends its `type`, '' where the status says all. `again`: seconds to wait."""

    status: int
    detail: str
    kind: str = ""
    errors: Sequence[FieldError] = ()
    again: int | None = None
    headers: tuple[tuple[str, str], ...] = field(default=())

    def body(self, instance: str) -> str:
        """The document as JSON."""
        document: dict[str, object] = {
            "type": f"{URN}{self.kind}" if self.kind else "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail[:LONGEST_DETAIL],
            "instance": instance,
        }
        if self.errors:
            document["errors"] = [vars(each) for each in self.errors]
        return json.dumps(document) + "\n"

    def response(self) -> Response:
        """The answer to the request that is being served."""
        answer = Response(self.body(request.path), self.status, mimetype=MEDIA_TYPE)
        if self.again is not None:
            answer.headers["Retry-After"] = str(self.again)
        answer.headers.extend(self.headers)
        return answer


class Refused(Exception):
    """A request that ends in this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def refuse(status: int, detail: str, kind: str = "", again: int | None = None) -> Refused:
    """The refusal, to be raised."""
    return Refused(Problem(status, detail, kind, again=again))


def add_handlers(api: Blueprint) -> None:
    """Has every error of the API's own calls told as a problem."""
    for kind in (*_TOLD, Refused):
        api.register_error_handler(kind, _answer)
    for down in LedgerDown:
        api.register_error_handler(down, _ledger_down)


def of_error(error: Exception) -> Problem:
    """How a known error is told. Raises the error itself where it is a mistake of ours."""
    if isinstance(error, Refused):
        return error.problem
    for kind, tell in _TOLD.items():
        if isinstance(error, kind):
            return tell(error)
    raise error


def of_validation(error: ValidationError) -> Response:
    """What is wrong with a query, a header or a body, field by field."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [FieldError(".".join(map(str, each["loc"])), each["msg"]) for each in found[:MOST_ERRORS]]
    return Problem(422, "the request is not as this call takes it", "invalid-request", errors).response()


def of_http(error: HTTPException) -> Response:
    """What Flask itself refuses: no such path, no such method, and mistakes of ours."""
    status = error.code or 500
    detail = (
        (error.description or error.name) if status < 500 else "this is a mistake of ours; it was reported"
    )
    answer = Problem(status, detail).response()
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            answer.headers[name] = value
    return answer


def _answer(error: Exception) -> Response:
    return of_error(error).response()


def _ledger_down(error: Exception) -> Response:
    log.warning("ledger.down", error=type(error).__name__)
    return ledger_down().response()


def ledger_down() -> Problem:
    """The ledger does not answer; its own words name hosts and files, and stay in the log."""
    return Problem(503, "the ledger does not answer; try again soon", "ledger-down", again=5)


def _invalid(error: Exception) -> Problem:
    problems = error.problems if isinstance(error, InvalidRequest) else ()
    errors = [FieldError(f"request.{each.field}", str(each)) for each in problems]
    return Problem(
        422, "the Story API does not take such a request; nothing was sent", "invalid-request", errors
    )


def _story_api(error: Exception) -> Problem:
    said = redact(str(error))
    wait = getattr(error, "retry_after", None)
    if isinstance(error, PASSING):
        return Problem(503, said, "story-api-unavailable", again=max(1, round(wait or 5)))
    for kind, status, name in (
        (InsufficientCredit, 402, "insufficient-credit"),
        (Invalid, 422, "refused-by-story-api"),
        (NotFound, 404, "unknown-at-story-api"),
    ):
        if isinstance(error, kind):
            return Problem(status, said, name)
    return Problem(502, said, "story-api-failed")


def _busy(error: Exception) -> Problem:
    return Problem(503, str(error), "busy", again=Busy.AGAIN)


def _said(status: int, kind: str) -> Callable[[Exception], Problem]:
    return lambda error: Problem(status, redact(str(error)), kind)


_TOLD: dict[type[Exception], Callable[[Exception], Problem]] = {
    InvalidRequest: _invalid,
    StoryApiError: _story_api,
    AlreadyAsked: _said(409, "already-asked"),
    NothingToReplay: _said(409, "nothing-to-replay"),
    NothingToWithdraw: _said(409, "nothing-to-withdraw"),
    ActionRefused: _said(409, "not-possible"),
    Busy: _busy,
    Unfit: _said(422, "invalid-request"),
    DeliveryFailed: _said(502, "destination-failed"),
    SettingsError: _said(503, "not-set-up"),
}
