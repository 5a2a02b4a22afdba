"""Header fields of requests (checked before they are sent) and of answers (read without trust)."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from service.outbound_http.errors import BadHeader

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SECONDS = re.compile(r"[+-]?\d{1,20}(\.\d*)?")
_FRAMING = {"content-length", "transfer-encoding", "connection", "host"}


class Headers(Mapping[str, str]):
    """An answer's header fields: names in any case, values of repeated fields joined by a comma."""

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self._fields = {name.lower(): value for name, value in (fields or {}).items()}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self._fields)}>"


def header_lines(headers: Mapping[str, str]) -> list[bytes]:
    """Returns request fields as curl takes them.

    Raises BadHeader for a name or value that RFC 9110 §5 doesn't allow (line breaks above all), and for
    the fields that this package sets itself.
    """
    return [_line(name, value.strip(" \t")) for name, value in headers.items()]


def _line(name: str, value: str) -> bytes:
    if not _NAME.fullmatch(name) or name.lower() in _FRAMING:
        raise BadHeader(f"the header name {name[:60]!r} can't be used; nothing was sent")
    if not _VALUE.fullmatch(value):
        raise BadHeader(
            f"the value of the header {name} has a character that can't be sent; nothing was sent"
        )
    # A line that ends in a colon would remove the field in curl; a semicolon sends it empty.
    return f"{name}: {value}".encode("latin-1") if value else f"{name};".encode("latin-1")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Returns the seconds that Retry-After asks to wait (RFC 9110 §10.2.3), None without a usable one.

    Fractions are tolerated; what lies in the past is 0. `now` is aware.
    """
    text = headers.get("retry-after", "").strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now)
    return None if seconds is None or not isfinite(seconds) else max(0.0, seconds)


def http_date(text: str) -> datetime | None:
    """Returns an HTTP-date (RFC 9110 §5.6.7) as an aware UTC time, None when it isn't one."""
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _seconds_until(text: str, now: datetime) -> float | None:
    date = http_date(text) if text else None
    return (date - now).total_seconds() if date else None
