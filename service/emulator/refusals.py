"""What the API says no with: `{"message", "code"}`, or 422 with `{"detail": [{"loc", "msg", "type"}]}`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError


@dataclass(eq=False)
class Refusal(Exception):
    """A call that is refused with `status`."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON that the caller gets."""
        return {"message": self.message, "code": self.code}


@dataclass(eq=False)
class InvalidBody(Exception):
    """A body that does not fit the call's schema (422); the shape is V1's, for V2 names none."""

    detail: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def body(self) -> dict[str, Any]:
        """The JSON that the caller gets."""
        return {"detail": list(self.detail)}


def bad_request(message: str) -> Refusal:
    """A body that fits the schema and still makes no sense (400)."""
    return Refusal(400, "BAD_REQUEST", message)


def unauthorized(message: str) -> Refusal:
    """No key, or none that is known (401)."""
    return Refusal(401, "UNAUTHORIZED", message)


def insufficient_credit(needed: int, left: int) -> Refusal:
    """More credits are asked for than are left (402)."""
    return Refusal(402, "INSUFFICIENT_CREDIT", f"this needs {needed} credits and {left} are left")


def not_found(story_id: str) -> Refusal:
    """No such story, or another customer's (404)."""
    return Refusal(404, "NOT_FOUND", f"no story {story_id[:80]!r}")


def limit_reached(message: str, retry_after: int) -> Refusal:
    """The plan's rate or concurrency is used up (429); `retry_after` in seconds."""
    return Refusal(429, "REACHED_LIMIT", message, {"Retry-After": str(retry_after)})


def server_error(message: str) -> Refusal:
    """The API itself fails (500)."""
    return Refusal(500, "INTERNAL_ERROR", message)


def invalid_body(error: ValidationError) -> InvalidBody:
    """Says which fields are wrong, each `loc` beginning with `body`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return InvalidBody([{"loc": ["body", *e["loc"]], "msg": e["msg"], "type": e["type"]} for e in found])
