"""What is sent to another server and what it answers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from service.outbound_http.errors import NotJson
from service.outbound_http.headers import Headers, retry_after
from service.outbound_http.plain_text import plain
from service.outbound_http.url import parse_url

MAX_ANSWER = 4 * 2**20


@dataclass(frozen=True)
class FileBody:
    """A stretch of a file, streamed from disk; `offset` and `length` in bytes, None is to its end."""

    path: Path
    offset: int = 0
    length: int | None = None


@dataclass(frozen=True)
class JoinedBody:
    """Pieces that are sent as one body, in their order; the files among them are streamed from disk."""

    pieces: tuple[bytes | FileBody, ...]


Body = bytes | FileBody | JoinedBody
"""What a request can carry."""


@dataclass(frozen=True)
class Request:
    """One call. `timeout` (the whole call, redirects included) and `connect_timeout` are in seconds.

    `max_answer_bytes` counts decoded bytes. `redirects` is how many are followed; with 0 a redirect is an
    answer like any other. `progress` is told the body's bytes sent so far and their total.
    `ca_file` holds the certificate authority of a private server, which then is the only one that is trusted.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Body | None = field(default=None, repr=False)
    timeout: float = 30
    connect_timeout: float = 10
    max_answer_bytes: int = MAX_ANSWER
    redirects: int = 0
    progress: Callable[[int, int], None] | None = field(default=None, repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True)
class Response:
    """An answer, of any status; `url` is where it came from, after redirects."""

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    url: str = field(repr=False)

    def json(self) -> Any:
        """Returns the body as JSON (RFC 8259: no NaN). Raises NotJson."""
        try:
            return json.loads(self.body.decode("utf-8-sig"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise NotJson(self._not_json()) from None

    def retry_after(self, now: datetime) -> float | None:
        """Returns the seconds that the server asks to wait (RFC 9110 §10.2.3), None if it doesn't say."""
        return retry_after(self.headers, now)

    def _not_json(self) -> str:
        kind = plain(self.headers.get("content-type", "no content type"), 60)
        place = parse_url(self.url, untrusted=False).place
        return f"{place} answered {self.status} with {kind} and {len(self.body)} bytes that are not JSON"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
