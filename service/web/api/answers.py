"""Which answers a call is documented to give."""

from typing import Any

from flask_openapi.models.tag import Tag
from pydantic import BaseModel

from service.web.api.problems import MEDIA_TYPE

_REF = {"$ref": "#/components/schemas/Problem"}
_ANY = {
    401: "No token, or none that is good.",
    403: "The token lacks the scope.",
    404: "There is no such thing.",
    422: "The request is not as this call takes it; `errors` says where.",
    429: "Too many calls with this token.",
    500: "A mistake of ours.",
    503: "Something that this call needs does not answer; try again.",
}
_WITH_BODY = {
    400: "The body is no JSON.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
}


def answers(
    good: dict[int, type[BaseModel]], also: dict[int, str] | None = None, *, body: bool = False
) -> dict[Any, Any]:
    """The answers of one call: these, those that every call may give, and with a body those about it."""
    problems = {**_ANY, **(_WITH_BODY if body else {}), **(also or {})}
    return {**good, **{status: _problem(text) for status, text in problems.items()}}


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": dict(_REF)}}}


def tagged(name: str) -> list[Tag | dict[str, Any]]:
    """The heading that calls stand under in the document."""
    return [Tag(name=name)]
