"""Takes the body of a download: judges the answer's head, writes, compares where it overlaps, counts."""

import re
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from service.outbound_http.answer_head import Head
from service.outbound_http.call import Enough
from service.outbound_http.errors import EXCERPT, HttpStatus, Incomplete, TooLarge
from service.outbound_http.headers import Headers, http_date, retry_after
from service.outbound_http.part_file import Origin, PartFile
from service.outbound_http.part_writer import PartWriter
from service.outbound_http.url import Url

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class StartAgain(Exception):
    """The part can't be gone on with; it has to be fetched from its first byte."""


@dataclass(frozen=True)
class Resume:
    """From where to go on, in bytes, and what the part's bytes are."""

    start: int
    origin: Origin

    @property
    def headers(self) -> tuple[bytes, bytes]:
        """The request's fields (RFC 9110 §13.1.5, §14.2)."""
        validator = self.origin.validator.encode("latin-1")
        return b"Range: bytes=%d-" % self.start, b"If-Range: " + validator


class DownloadBody:
    """Receives one answer into a part file; when it is left, what came is in the file."""

    def __init__(self, part: PartFile, url: Url, max_bytes: int, resume: Resume | None) -> None:
        self.total: int | None = None
        self.resumed_from = 0
        self._part = part
        self._url = url
        self._max_bytes = max_bytes
        self._resume = resume
        self._uncompared = 0
        self._refused: Head | None = None
        self._excerpt = bytearray()
        self._stack = ExitStack()
        self._writer: PartWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, head: Head) -> None:
        """Judges the head. Raises StartAgain, TooLarge."""
        if head.status == 200:
            self._from_the_first_byte(head.headers)
        elif head.status == 206 and self._resume:
            self._from_the_part(head.headers, self._resume)
        elif head.status in (206, 416) and self._resume:
            raise StartAgain
        else:
            self._refused = head

    def write(self, chunk: memoryview) -> None:
        """Takes the next bytes. Raises TooLarge, StartAgain, DiskFull, Enough."""
        if self._writer is None:
            self._keep_excerpt(chunk)
            return
        fresh = chunk[self._compare(chunk) :] if self._uncompared else chunk
        if self._writer.size + len(fresh) > self._max_bytes:
            raise self._too_large()
        self._writer.write(fresh)

    def tick(self) -> int:
        """Keeps what came from waiting in memory for long; returns the bytes that are there by now."""
        if self._writer is None:
            return self.resumed_from
        self._writer.flush_in_time()
        return self._writer.size

    def finish(self) -> str:
        """Returns the SHA-256 of the whole file, which then is on disk. Raises HttpStatus, Incomplete."""
        if self._writer is None:
            raise self._http_status()
        if self._uncompared or self.total not in (None, self._writer.size):
            raise Incomplete(f"{self._url.place} sent {self._writer.size} of {self.total} bytes")
        return self._writer.finish()

    def _from_the_first_byte(self, headers: Headers) -> None:
        self._expect(_length(headers))
        self._part.begin(self._url.without_query, _validator(headers), self.total)
        self._writer = self._stack.enter_context(PartWriter(self._part))

    def _from_the_part(self, headers: Headers, resume: Resume) -> None:
        if not _continues(headers, resume):
            raise StartAgain
        self._expect(resume.origin.total)
        self.resumed_from = self._part.size
        self._uncompared = self.resumed_from - resume.start
        self._writer = self._stack.enter_context(PartWriter(self._part))

    def _expect(self, total: int | None) -> None:
        self.total = total
        if total is not None and total > self._max_bytes:
            raise self._too_large()

    def _compare(self, chunk: memoryview) -> int:
        """Returns how many bytes of `chunk` are there already. Raises StartAgain when they differ."""
        count = min(len(chunk), self._uncompared)
        known = memoryview(bytearray(count))
        self._part.read_into(known, self.resumed_from - self._uncompared)
        if known != chunk[:count]:
            raise StartAgain
        self._uncompared -= count
        return count

    def _keep_excerpt(self, chunk: memoryview) -> None:
        self._excerpt += chunk[: 4 * EXCERPT]
        if len(self._excerpt) >= 4 * EXCERPT:
            raise Enough

    def _too_large(self) -> TooLarge:
        size = f"{self.total} bytes" if self.total else "more"
        return TooLarge(f"{self._url.place} has {size}, and the limit is {self._max_bytes} bytes")

    def _http_status(self) -> HttpStatus:
        status, headers = (self._refused.status, self._refused.headers) if self._refused else (0, Headers())
        return HttpStatus(
            f"{self._url.place} answered {status} instead of the file",
            status=status,
            retry_after=retry_after(headers, datetime.now(UTC)),
            excerpt=self._excerpt.decode(errors="replace"),
        )


def _length(headers: Headers) -> int | None:
    text = headers.get("content-length", "")
    return int(text[:20]) if text.isdecimal() else None


def _validator(headers: Headers) -> str | None:
    """Returns a validator that is strong enough for If-Range (RFC 9110 §8.8.1, §8.8.2.2), if there is one."""
    etag = headers.get("etag", "")
    if _STRONG_ETAG.fullmatch(etag):
        return etag
    modified = headers.get("last-modified", "")
    changed, answered = http_date(modified), http_date(headers.get("date", ""))
    return modified if changed and answered and answered - changed >= timedelta(seconds=1) else None


def _continues(headers: Headers, resume: Resume) -> bool:
    """Whether a 206 is the rest of what the part is the start of."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if not found:
        return False
    total = resume.origin.total
    name = "etag" if resume.origin.validator.startswith('"') else "last-modified"
    same = headers.get(name, resume.origin.validator) == resume.origin.validator
    return same and tuple(map(int, found.groups())) == (resume.start, total - 1, total)
