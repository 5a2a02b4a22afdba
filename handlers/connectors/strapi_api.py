"""Calls to the REST API of a Strapi (5.x) and what its answers mean.

Reference: https://docs.strapi.io/cms/api/rest; files: https://docs.strapi.io/cms/api/rest/upload.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

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

_TIMEOUT = 60.0
_QUOTED = 300
_NO_SUCH = frozenset({404, 405})
"""Where there is no such collection: a mistake in the options, for which no story shall be lost."""


class StrapiRefused(DeliveryFailed):
    """An answer of 4xx by Strapi itself. `status` is HTTP's."""

    status = 0


@dataclass
class StrapiApi:
    """The API at `url`, which ends with its prefix (/api), reached with an API token."""

    url: str
    token: str = field(repr=False)
    tools: ConnectorTools
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        self._calls = JsonCalls(self.url, self.tools, self.ca_file)

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Reads. Raises DeliveryFailed."""
        return self._call("GET", f"{path}?{urlencode(query)}")

    def send(self, method: str, path: str, content: Mapping[str, Any]) -> Any:
        """Creates or changes by JSON; answers what stands there then. Raises DeliveryFailed."""
        body = json.dumps(content, allow_nan=False).encode()
        return self._call(method, path, "application/json", body)

    def upload(self, parts: Sequence[FormField | FormFile], size: int) -> Any:
        """Sends a file of `size` bytes to the media library. Raises DeliveryFailed."""
        kind, body = multipart(parts)
        return self._call("POST", "/upload", kind, body, timeout=_TIMEOUT + size / UPLOAD_RATE)

    def delete(self, path: str) -> None:
        """What is gone already is no failure. Raises DeliveryFailed."""
        try:
            self._call("DELETE", path)
        except StrapiRefused as error:
            if error.status != 404:
                raise

    def _call(
        self, method: str, path: str, kind: str = "", body: Body | None = None, timeout: float = _TIMEOUT
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        if kind:
            headers["Content-Type"] = kind
        return self._content(*self._calls.send(method, path, headers, body, timeout))

    def _content(self, answer: Response, what: str) -> Any:
        if answer.status == 204:
            return None
        try:
            content = answer.json()
        except NotJson:
            content = None
        if 200 <= answer.status < 300 and isinstance(content, Mapping | list):
            return content
        raise self._failure(answer, content, what)

    def _failure(self, answer: Response, content: Any, what: str) -> DeliveryFailed:
        said = _error(content)
        if answer.status < 400 or (answer.status == 404 and not said):
            return DeliveryFailed(
                f"{what} was answered {answer.status} by something that is no Strapi: {excerpt(answer.body)}; "
                "put the address of its API into the url option, such as https://cms.example.com/api",
                refused=True,
            )
        message = f"{what} was answered {answer.status}: {said or excerpt(answer.body)}".rstrip(": ")
        failed = answered(
            answer.status, message + _advice(answer.status), answer.retry_after(self.tools.now())
        )
        if answer.status >= 500 or not said:
            return failed
        refused = StrapiRefused(
            str(failed),
            permanent=failed.permanent and answer.status not in _NO_SUCH,
            refused=failed.refused or answer.status in _NO_SUCH,
            retry_after=failed.retry_after,
        )
        refused.status = answer.status
        return refused


def _advice(status: int) -> str:
    if status == 401:
        return "; is the token option an API token that has not expired?"
    if status in _NO_SUCH:
        return "; is the collection option the plural API id, and the url option the address of the API?"
    if status == 403:
        return "; give the API token this right: Settings, API Tokens"
    return ""


def _error(content: Any) -> str:
    """What Strapi says is wrong, untrusted, with the fields that it names."""
    error = content.get("error") if isinstance(content, Mapping) else None
    if not isinstance(error, Mapping):
        return ""
    details = error.get("details")
    each = details.get("errors") if isinstance(details, Mapping) else None
    named = [_named(one) for one in each if isinstance(one, Mapping)] if isinstance(each, list) else []
    return plain(f"{error.get('message', '')} ({error.get('name', '')}) {', '.join(named)}".strip(), _QUOTED)


def _named(error: Mapping[str, Any]) -> str:
    path = error.get("path")
    where = ".".join(map(str, path)) if isinstance(path, list) else ""
    return f"{where}: {error.get('message', '')}"
