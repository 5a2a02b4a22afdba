"""Calls to Ghost's Admin API (5 and 6) with the key of an integration, and what its answers mean.

Reference: https://docs.ghost.org/admin-api, tokens: …/admin-api#token-authentication, errors: a JSON of `errors` with
`message`, `context`, `type` and `code`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
from pydantic import SecretStr

from handlers.connectors.answers import answered, excerpt
from handlers.connectors.json_calls import UPLOAD_RATE, JsonCalls
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed
from service.outbound_http import (
    Body,
    FormField,
    FormFile,
    NotJson,
    Response,
    multipart,
)
from service.outbound_http.plain_text import plain

API = "/ghost/api/admin"
_VERSION = "v5.0"
"""The oldest API that has all we use; Ghost answers 406 where it is older."""
_TOKEN_SECONDS = 240
"""Ghost refuses tokens that live for more than five minutes, also by a clock that differs a little."""
_QUOTED = 300

NOT_FOUND, CONFLICT, TOO_LARGE = 404, 409, 413


class GhostRefused(DeliveryFailed):
    """An answer of 4xx with its `status`."""

    status = 0


@dataclass(frozen=True)
class Site:
    """A Ghost at `url` (its admin domain, with the subdirectory if there is one). `timeout` in seconds."""

    url: str
    admin_key: SecretStr = field(repr=False)
    timeout: float
    ca_file: Path | None = None

    @property
    def host(self) -> str:
        """How the site is called in messages."""
        return urlsplit(self.url).hostname or ""

    def token(self, now: float) -> str:
        """A token for one call that starts at `now` (seconds since 1970)."""
        key, _, secret = self.admin_key.get_secret_value().partition(":")
        claims = {"iat": int(now), "exp": int(now) + _TOKEN_SECONDS, "aud": "/admin/"}
        return jwt.encode(claims, bytes.fromhex(secret), algorithm="HS256", headers={"kid": key})


@dataclass
class GhostApi:
    """Each call raises DeliveryFailed: GhostRefused for 4xx, Unanswered where it may have had its effect."""

    site: Site
    tools: ConnectorTools

    def __post_init__(self) -> None:
        self._calls = JsonCalls(f"{self.site.url}{API}", self.tools, self.site.ca_file)

    def get(self, path: str, **query: str) -> Any:
        """Reads."""
        return self._call("GET", _with(path, query))

    def send(self, method: str, path: str, kind: str, content: Mapping[str, Any], **query: str) -> Any:
        """Creates or changes one thing of a kind (`posts`); returns it as it stands then."""
        body = json.dumps({kind: [content]}, allow_nan=False).encode()
        return _only(self._call(method, _with(path, query), "application/json", body), kind)

    def upload(self, path: str, kind: str, parts: Sequence[FormField | FormFile], size: int) -> Any:
        """Sends a form of about `size` bytes; returns what was made of its file."""
        content_type, body = multipart(parts)
        timeout = self.site.timeout + size / UPLOAD_RATE
        return _only(self._call("POST", path, content_type, body, timeout), kind)

    def has(self, kind: str, wanted: str) -> bool:
        """Whether there is a thing of a kind (`users`) that a filter of Ghost's finds."""
        return bool(listed(self.get(f"/{kind}/", filter=wanted, limit="1"), kind))

    def need_newsletter(self, slug: str) -> None:
        """Raises DeliveryFailed when there is no active newsletter of that name."""
        if not self.has("newsletters", f"slug:'{slug}'+status:active"):
            raise DeliveryFailed(f"{self.site.host} has no active newsletter {slug}", refused=True)

    def delete(self, path: str) -> None:
        """Deletes; what is gone already counts as deleted."""
        try:
            self._call("DELETE", path)
        except GhostRefused as refused:
            if refused.status != NOT_FOUND:
                raise

    def _call(
        self, method: str, path: str, kind: str = "", body: Body | None = None, timeout: float | None = None
    ) -> Any:
        headers = {
            "Authorization": f"Ghost {self.site.token(self.tools.now().timestamp())}",
            "Accept-Version": _VERSION,
        }
        if kind:
            headers["Content-Type"] = kind
        return self._content(*self._calls.send(method, path, headers, body, timeout or self.site.timeout))

    def _content(self, answer: Response, what: str) -> Any:
        if answer.status == 204:
            return None
        content = _json(answer)
        if 200 <= answer.status < 300 and content is not None:
            return content
        if answer.status < 400 or (answer.status == NOT_FOUND and content is None):
            raise DeliveryFailed(
                f"{what} was answered {answer.status} by something that is no Ghost: {excerpt(answer.body)}; put "
                "the final address of the site, up to /ghost, into the url option",
                refused=True,
            )
        raise self._failure(answer, content, what)

    def _failure(self, answer: Response, content: Any, what: str) -> DeliveryFailed:
        said = _error(content) or excerpt(answer.body)
        message = f"{what} was answered {answer.status}: {said}".rstrip(": ") + _advice(answer.status, said)
        failed = answered(answer.status, message, answer.retry_after(self.tools.now()))
        if answer.status >= 500:
            return failed
        permanent = failed.permanent and answer.status != CONFLICT
        refused = GhostRefused(
            message, permanent=permanent, refused=failed.refused, retry_after=failed.retry_after
        )
        refused.status = answer.status
        return refused


def _advice(status: int, said: str) -> str:
    if status == 401 and ("expired" in said or "maxAge" in said or "not active" in said):
        return "; this machine's clock or Ghost's is wrong by minutes"
    if status == 401:
        return "; take the Admin API key of a custom integration (Ghost: Settings, Integrations) as admin_key"
    if status == 403:
        return "; the key has not the rights for it: take that of a custom integration"
    return ""


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path


def _json(answer: Response) -> Mapping[str, Any] | None:
    try:
        content = answer.json()
    except NotJson:
        return None
    return content if isinstance(content, Mapping) else None


def _only(content: Any, kind: str) -> Mapping[str, Any]:
    made = listed(content, kind)
    if len(made) != 1:
        raise DeliveryFailed(f"Ghost answered {len(made)} {kind} where there is one")
    return made[0]


def listed(content: Any, kind: str) -> list[Mapping[str, Any]]:
    """The things of a kind in an answer. Raises DeliveryFailed where it has none of that shape."""
    things = content.get(kind) if isinstance(content, Mapping) else None
    if not isinstance(things, list) or not all(isinstance(one, Mapping) for one in things):
        raise DeliveryFailed(f"Ghost's answer has no {kind} in it")
    return things


def _error(content: Any) -> str:
    """What the first error says: untrusted text."""
    errors = content.get("errors") if isinstance(content, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, Mapping):
        return ""
    texts = (first.get("message"), first.get("context"))
    return plain(" ".join(text for text in texts if isinstance(text, str)), _QUOTED)
