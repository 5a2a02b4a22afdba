"""Gets a large file into a part file: hashed on the way, resumed after a break, bounded in size and time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from service.outbound_http.call import Call
from service.outbound_http.download_body import DownloadBody, Resume, StartAgain
from service.outbound_http.errors import TooLarge, TooSlow
from service.outbound_http.exchange import Exchange
from service.outbound_http.headers import header_lines
from service.outbound_http.part_file import PartFile
from service.outbound_http.plain_text import plain
from service.outbound_http.url import Url

OVERLAP = 64 * 2**10
"""Bytes that are asked for again when going on, to be compared with what is there."""

_BUFFER = 4 * 2**20


@dataclass(frozen=True)
class DownloadLimits:
    """Bounds of a download: size in bytes; bytes a second, over a window of seconds; seconds to connect."""

    max_bytes: int = 2 * 2**30
    min_bytes_per_second: float = 10_000
    window: float = 60
    connect_timeout: float = 10
    redirects: int = 5


@dataclass(frozen=True)
class Downloaded:
    """A whole file, on disk: SHA-256 in hex, size in bytes, how many of them an earlier try had brought.

    `url` is where it came from after redirects, without its query. `content_type` and `etag` are as sent.
    """

    path: Path
    sha256: str
    bytes: int
    content_type: str
    etag: str | None
    resumed_from: int
    url: str


def download(
    exchange: Exchange,
    url: str,
    part: PartFile,
    limits: DownloadLimits,
    headers: Mapping[str, str],
    progress: Callable[[int, int | None], None] | None,
) -> Downloaded:
    """Brings what `url` holds into `part`, whole and synced to disk; the caller renames it.

    Goes on where an earlier try ended, in this process or another, when the server gave a strong validator
    (RFC 9110 §8.8), the length is still the same and the last bytes agree; else it starts from 0.
    `progress` is told the bytes that are there and their total, None while unknown.
    Raises OutboundError: HttpStatus for another status than 200, Incomplete when the body ends early, TooLarge
    (the part is removed), TooSlow, DiskFull, PartBusy, Interrupted and what `HttpClient.send` raises.
    """
    attempt = _Attempt(exchange, exchange.url(url), part, limits, header_lines(headers), progress)
    with part:
        try:
            return attempt.go_on()
        except TooLarge:
            part.discard()
            raise


@dataclass(frozen=True)
class _Attempt:
    exchange: Exchange
    url: Url
    part: PartFile
    limits: DownloadLimits
    headers: list[bytes]
    progress: Callable[[int, int | None], None] | None

    def go_on(self) -> Downloaded:
        origin = self.part.origin
        if origin is None or origin.url != self.url.without_query:
            return self.get(None)
        try:
            return self.get(Resume(max(0, self.part.size - OVERLAP), origin))
        except StartAgain:
            return self.get(None)

    def get(self, resume: Resume | None) -> Downloaded:
        with DownloadBody(self.part, self.url, self.limits.max_bytes, resume) as body:
            lines = [*self.headers, *(resume.headers if resume else ())]
            head, last = self.exchange.follow(self.call(lines, body), body, self.limits.redirects)
            return Downloaded(
                path=self.part.path,
                sha256=body.finish(),
                bytes=self.part.size,
                content_type=plain(head.headers.get("content-type", ""), 100),
                etag=head.headers.get("etag"),
                resumed_from=body.resumed_from,
                url=last.without_query,
            )

    def call(self, lines: list[bytes], body: DownloadBody) -> Call:
        pace = _Pace(self.url.place, self.limits)
        return Call(
            method="GET",
            url=self.url,
            headers=tuple(lines),
            body=None,
            deadline=None,
            connect_timeout=self.limits.connect_timeout,
            watch=partial(self.watch, pace, body),
            accept_encoding=False,
            buffer=_BUFFER,
            follow=True,
        )

    def watch(self, pace: "_Pace", body: DownloadBody, got: int, _put: int) -> None:
        pace.check(got)
        size = body.tick()
        if self.progress:
            self.progress(size, body.total)


@dataclass
class _Pace:
    """Holds a transfer to a least number of bytes in each window of time."""

    place: str
    limits: DownloadLimits
    since: float = field(default_factory=time.monotonic)
    mark: int = 0

    def check(self, got: int) -> None:
        now = time.monotonic()
        if now - self.since < self.limits.window:
            return
        if got - self.mark < self.limits.min_bytes_per_second * self.limits.window:
            raise TooSlow(
                f"{self.place} sent {got - self.mark} bytes in {self.limits.window:g} s, "
                f"less than {self.limits.min_bytes_per_second:g} a second"
            )
        self.since, self.mark = now, got
