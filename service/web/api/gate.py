"""Stands before every call of the API: whose token, what it may do, how often, and JSON alone."""

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from service.api_tokens import ApiTokens, BadApiToken
from service.domain.api_tokens import ApiToken, Scope
from service.domain.people import Doer
from service.web.api.problems import Problem, Refused, refuse
from service.web.webhooks import TokenMeter

View = TypeVar("View", bound=Callable[..., object])

LARGEST_BODY = 256 * 1024
"""Bytes; a request with many elements has some thousands."""

CALLS_A_SECOND = 20
"""Of one token in one process."""


def takes(scope: Scope) -> Callable[[View], View]:
    """Says which scope a call takes. A call that says nothing is open to no token."""

    def mark(view: View) -> View:
        view.needed_scope = scope  # type: ignore[attr-defined]
        return view

    return mark


def caller() -> ApiToken:
    """The token of this call."""
    return cast("ApiToken", g.api_token)


def who() -> Doer:
    """Who does it, in the audit log."""
    return Doer(f"token {caller().name}", request.remote_addr or "")


class Gate:
    """Admits a call or tells why not."""

    def __init__(self, tokens: ApiTokens, rate: float) -> None:
        self._tokens = tokens
        self._meter = TokenMeter(rate)

    def admit(self) -> Response | None:
        """Before each call; None: it may go on."""
        try:
            g.api_token = self._token()
            self._check_scope()
            _check_text(request.path)
            for name, value in request.args.items(multi=True):
                _check_text(name + value)
            if request.method in ("POST", "PUT", "PATCH"):
                _check_body()
        except Refused as refused:
            return refused.problem.response()
        return None

    def _token(self) -> ApiToken:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise Refused(_challenge("this call takes a token: Authorization: Bearer srt_…", ""))
        try:
            token = self._tokens.read(text.strip())
        except BadApiToken as error:
            raise Refused(_challenge(str(error), ', error="invalid_token"')) from error
        if not self._meter.admits(str(token.id)):
            raise refuse(429, "too many calls with this token; wait a second", again=1)
        return token

    def _check_scope(self) -> None:
        view = current_app.view_functions[str(request.endpoint)]
        needed: Scope | None = getattr(view, "needed_scope", None)
        if needed is None or needed not in caller().scopes:
            has = ", ".join(caller().scopes)
            detail = f"this call takes the scope {needed or '(none gives it)'}; the token has {has}"
            header = (
                "WWW-Authenticate",
                f'Bearer realm="storyrelay", error="insufficient_scope", scope="{needed}"',
            )
            raise Refused(Problem(403, detail, "insufficient-scope", headers=(header,)))


def _challenge(detail: str, more: str) -> Problem:
    header = ("WWW-Authenticate", f'Bearer realm="storyrelay"{more}')
    return Problem(401, detail, "unauthorized", headers=(header,))


def _check_body() -> None:
    request.max_content_length = LARGEST_BODY
    try:
        raw = request.get_data()
    except RequestEntityTooLarge as error:
        raise refuse(413, f"a body has at most {LARGEST_BODY} bytes") from error
    if not raw:  # the call itself says whether it needs one
        return
    if request.mimetype != "application/json":
        raise refuse(415, "the body is JSON: Content-Type: application/json")
    try:
        parsed = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise refuse(400, "the body is no JSON") from error
    if not isinstance(parsed, dict):
        raise refuse(422, "the body is no JSON object", "invalid-request")
    _check_texts(parsed)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def _check_texts(parsed: Any) -> None:
    left = [parsed]
    while left:
        value = left.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value


def _check_text(text: str) -> None:
    """PostgreSQL keeps no NUL, and halves of surrogate pairs are no text."""
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise refuse(422, "NUL characters and halves of surrogate pairs are not taken", "invalid-request")
