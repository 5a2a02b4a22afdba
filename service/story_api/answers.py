"""From an HTTP answer of the Story API to a story or a typed error."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.outbound_http import Response
from service.story_api.errors import (
    BadAnswer,
    FieldDetail,
    InsufficientCredit,
    Invalid,
    LimitReached,
    NotFound,
    Said,
    StoryApiError,
    Unauthorized,
    Unavailable,
)
from service.story_api.story import NoStory, Story, read_story
from service.story_api.texts import line

_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_MOST_DETAILS = 10
_BY_CODE: Mapping[str, type[StoryApiError]] = {
    "INSUFFICIENT_CREDIT": InsufficientCredit,
    "REACHED_LIMIT": LimitReached,
}
_BY_STATUS: Mapping[int, type[StoryApiError]] = {
    401: Unauthorized,
    402: InsufficientCredit,
    403: Unauthorized,
    404: NotFound,
    408: Unavailable,
    410: NotFound,
    425: Unavailable,
    429: LimitReached,
}


@dataclass(frozen=True)
class Exchange:
    """An answer and what it answers: the call's name for people, and texts that must not be repeated."""

    call: str
    response: Response
    secrets: Sequence[str] = ()

    def line(self, text: str, limit: int = 300) -> str:
        """Makes the other side's text fit for an error's message."""
        return line(text, limit, self.secrets)


def story_of(exchange: Exchange) -> Story:
    """Reads the story of a 2xx answer. Raises BadAnswer."""
    try:
        return read_story(_json(exchange.response.body))
    except NoStory as error:
        text = f"{exchange.call}: {exchange.line(str(error))}"
        raise BadAnswer(text, status=exchange.response.status, sent=True) from error
    except (ValueError, RecursionError) as error:
        raise _not_json(exchange, sent=True) from error


def story_or_nothing(exchange: Exchange) -> Story | None:
    """Reads a 2xx answer that may be empty or `{}`, as the reference's sample of DELETE is."""
    return None if exchange.response.body.strip() in (b"", b"{}", b"{ }") else story_of(exchange)


def refusal(exchange: Exchange, retry_after: float | None) -> StoryApiError:
    """Makes the typed error of an answer that isn't 2xx; codes win over statuses."""
    status = exchange.response.status
    try:
        body = _json(exchange.response.body)
    except (ValueError, RecursionError):
        body = None
    if status in (404, 410) and not isinstance(body, dict):
        return _not_json(exchange, sent=False)
    said = _said(exchange, body)
    kind = _BY_CODE.get(said.code or "") or _BY_STATUS.get(status) or _by_class(status, said)
    sent = kind is Unavailable and (status >= 500 or status == 408)
    return kind(_text(exchange, said), status=status, sent=sent, said=said, retry_after=retry_after)


def _by_class(status: int, said: Said) -> type[StoryApiError]:
    if 400 <= status < 500:
        return NotFound if said.code == "NOT_FOUND" else Invalid
    return Unavailable if status >= 500 else BadAnswer


def _text(exchange: Exchange, said: Said) -> str:
    parts = [str(exchange.response.status), said.code or ""]
    words = said.message if said.message != said.code else ""
    fields = "; ".join(f"{each.field}: {each.message}" for each in said.detail)
    told = ": ".join(filter(None, [" ".join(filter(None, parts)), words, fields]))
    return f"{exchange.call}: the Story API answered {told}"


def _not_json(exchange: Exchange, *, sent: bool) -> BadAnswer:
    response = exchange.response
    kind = exchange.line(response.headers.get("Content-Type") or "no content type", 80)
    start = exchange.line(response.body[:2000].decode("utf-8", "replace"), 120)
    text = f"{exchange.call}: answered {response.status} without JSON of the Story API ({kind}): {start}"
    return BadAnswer(text, status=response.status, sent=sent)


def _json(body: bytes) -> Any:
    """Parses JSON in UTF-8, with or without BOM; numbers that are not finite become None."""
    return json.loads(body.decode("utf-8-sig"), parse_constant=_nothing, parse_float=_finite)


def _nothing(_name: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _said(exchange: Exchange, body: Any) -> Said:
    """Reads `message` and `code`; V1 puts the code into `message`. Both may be wrapped in one object more."""
    told = _object(body)
    inner = next(filter(None, (_object(told.get(name)) for name in ("detail", "data", "error"))), {})
    told = {**told, **inner}
    message = exchange.line(_first_text(told.get("message"), told.get("detail"), told.get("error")))
    code = _code(exchange.line(_first_text(told.get("code")))) or ("_" in message and _code(message)) or None
    return Said(code, message, _details(exchange, told.get("detail")))


def _object(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}


def _first_text(*given: Any) -> str:
    return next((text for text in given if isinstance(text, str)), "")


def _code(given: str) -> str | None:
    return given.upper() if _CODE.fullmatch(given.upper()) else None


def _details(exchange: Exchange, given: Any) -> tuple[FieldDetail, ...]:
    """The reference's 422 (V1): a list of `loc`, `msg`, `type`."""
    listed = given[:_MOST_DETAILS] if isinstance(given, list) else []
    return tuple(_detail(exchange, each) for each in listed if isinstance(each, dict))


def _detail(exchange: Exchange, told: Mapping[str, Any]) -> FieldDetail:
    loc = told.get("loc")
    parts = [str(part) for part in loc if part != "body"] if isinstance(loc, list) else [str(loc)]
    return FieldDetail(
        exchange.line(".".join(parts), 100) or "body", exchange.line(str(told.get("msg")), 200)
    )
