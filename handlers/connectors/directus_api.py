"""Calls to a Directus (12.x) and what its answers mean.

Reference: https://directus.io/docs/api; errors: https://directus.io/docs/guides/connect/errors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from handlers.connectors.answers import Unanswered, answered, excerpt
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

_TIMEOUT = 60.0
_QUOTED = 300


class DirectusRefused(DeliveryFailed):
    """An answer of 4xx. `code` is Directus's own, empty where something before it answered; `about` its field."""

    code = ""
    about = ""


class DirectusFault(Unanswered):
    """Directus's own answer of 500: also where a file can't be deleted because an item has it."""


@dataclass
class DirectusApi:
    """A Directus at `url`, reached with a static token."""

    url: str
    token: str = field(repr=False)
    tools: ConnectorTools
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        self._calls = JsonCalls(self.url, self.tools, self.ca_file)

    def get(self, path: str, **query: Any) -> Any:
        """Reads; the values of a query may be lists and tables. Raises DeliveryFailed."""
        texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in query.items()}
        return self._call("GET", f"{path}?{urlencode(texts)}" if texts else path)

    def send(self, method: str, path: str, content: Mapping[str, Any]) -> Any:
        """Creates or changes by JSON; answers what stands there then. Raises DeliveryFailed."""
        body = json.dumps(content, allow_nan=False).encode()
        return self._call(method, path, "application/json", body)

    def upload(self, method: str, path: str, parts: Sequence[FormField | FormFile], size: int) -> Any:
        """Sends a file of `size` bytes; its properties go before it. Raises DeliveryFailed."""
        kind, body = multipart(parts)
        return self._call(method, path, kind, body, timeout=_TIMEOUT + size / UPLOAD_RATE)

    def delete(self, path: str) -> None:
        """Raises DeliveryFailed; 403 also where there is no such thing."""
        self._call("DELETE", path)

    def _call(
        self, method: str, path: str, kind: str = "", body: Body | None = None, timeout: float = _TIMEOUT
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        if kind:
            headers["Content-Type"] = kind
        return self._data(*self._calls.send(method, path, headers, body, timeout))

    def _data(self, answer: Response, what: str) -> Any:
        if answer.status == 204:
            return None
        content = _json(answer)
        if 200 <= answer.status < 300 and "data" in content:
            return content["data"]
        if answer.status in (200, 201, 301, 302, 307, 308, 404):
            raise DeliveryFailed(
                f"{what} was answered {answer.status} by something that is no Directus: {excerpt(answer.body)}; "
                "put the address that ends before /items into the url option",
                refused=True,
            )
        raise self._failure(answer, content, what)

    def _failure(self, answer: Response, content: Mapping[str, Any], what: str) -> DeliveryFailed:
        said, code, about = _error(content)
        message = f"{what} was answered {answer.status}: {said or excerpt(answer.body)}".rstrip(": ")
        if answer.status == 401:
            message += "; is the token option a user's static token, and the user active?"
        failed = answered(answer.status, message, answer.retry_after(self.tools.now()))
        if answer.status >= 500:
            known = code == "INTERNAL_SERVER_ERROR"
            return DirectusFault(message, retry_after=failed.retry_after) if known else failed
        refused = DirectusRefused(
            message, permanent=failed.permanent, refused=failed.refused, retry_after=failed.retry_after
        )
        refused.code, refused.about = code, about
        return refused


def _json(answer: Response) -> Mapping[str, Any]:
    try:
        content = answer.json()
    except NotJson:
        return {}
    return content if isinstance(content, Mapping) else {}


def _error(content: Mapping[str, Any]) -> tuple[str, str, str]:
    """What the first error says, its code, and the field that it is about: untrusted texts."""
    errors = content.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    if not isinstance(first, Mapping):
        return "", "", ""
    more = first.get("extensions")
    more = more if isinstance(more, Mapping) else {}
    code = plain(str(more.get("code", "")), 60)
    return f"{plain(str(first.get('message', '')), _QUOTED)} ({code})", code, str(more.get("field", ""))
