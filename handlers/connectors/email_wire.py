"""A mail as it goes over the wire (RFC 5321 §2.3.8): its bytes, a large attachment read from its file meanwhile."""

import base64
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

_LINE = 57
"""Bytes in a line of base64, which has 76 characters (RFC 2045 §6.8)."""
_CHUNK = _LINE * 4096
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"(?m)^\.")


@dataclass(frozen=True)
class Wire:
    """The bytes before an attached file and those after it; with no file, `head` is all of it."""

    head: bytes
    file: Path | None = None
    tail: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of the whole mail, as the server counts them (RFC 1870)."""
        if self.file is None:
            return len(self.head)
        length = self.file.stat().st_size
        return len(self.head) + 4 * -(-length // 3) + 2 * -(-length // _LINE) + len(self.tail)

    def chunks(self) -> Iterator[bytes]:
        """All of it, with lines that begin with a dot made safe (RFC 5321 §4.5.2), but without the final dot."""
        yield _stuffed(self.head)
        if self.file is None:
            return
        with self.file.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield base64.encodebytes(chunk).replace(b"\n", b"\r\n")  # has no dots
        yield _stuffed(self.tail)


def wire_of(message: EmailMessage) -> Wire:
    """The mail as it is."""
    return Wire(_crlf(bytes(message)))


def wire_with(message: EmailMessage, path: Path, name: str) -> Wire:
    """The mail with one more attachment, an MP4 file of that name, which is read when it is sent."""
    mark = secrets.token_bytes(_LINE)  # stands where the file will
    message.add_attachment(mark, maintype="video", subtype="mp4", filename=name)
    head, _, tail = _crlf(bytes(message)).partition(base64.b64encode(mark) + b"\r\n")
    return Wire(head, path, tail)


def _crlf(text: bytes) -> bytes:
    return _ANY_LINE_END.sub(b"\r\n", text)


def _stuffed(text: bytes) -> bytes:
    return _LEADING_DOT.sub(b"..", text)
