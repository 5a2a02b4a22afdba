"""Puts an answer's status and header fields together from the lines that curl hands over."""

import re
from dataclasses import dataclass

from service.outbound_http.errors import NoAnswer
from service.outbound_http.headers import Headers

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STATUS_LINE = re.compile(r"HTTP/\d(?:\.\d)? +(\d{3})\b")


@dataclass(frozen=True)
class Head:
    """An answer before its body."""

    status: int
    headers: Headers

    @property
    def redirects(self) -> bool:
        """Whether it sends the caller elsewhere."""
        return self.status in REDIRECTS and "location" in self.headers


class HeadReader:
    """Reads header lines; interim answers (1xx) are passed over, trailers after the body ignored."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self._status: int | None = None
        self._fields: dict[str, str] = {}

    def feed(self, line: bytes) -> Head | None:
        """Takes one line; returns the head with the line that ends it. Raises NoAnswer for what isn't HTTP."""
        if self.head:
            return None
        text = line.decode("latin-1").strip()
        if self._status is None:
            self._status = _status(text)
        elif text:
            self._keep(text)
        else:
            return self._end(self._status)
        return None

    def _keep(self, text: str) -> None:
        name, _, value = text.partition(":")
        name, value = name.strip().lower(), value.strip()
        self._fields[name] = f"{self._fields[name]}, {value}" if name in self._fields else value

    def _end(self, status: int) -> Head | None:
        fields, self._fields, self._status = self._fields, {}, None
        if status >= 200:
            self.head = Head(status, Headers(fields))
        return self.head


def _status(line: str) -> int:
    match = _STATUS_LINE.match(line)
    if not match:
        raise NoAnswer("a server answered with something else than HTTP")
    return int(match[1])
