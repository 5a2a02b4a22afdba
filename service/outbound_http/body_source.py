"""Hands a request's body to curl piece by piece, so that a large file never is in memory."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from service.outbound_http.messages import Body, FileBody


@dataclass
class Stretch:
    """`size` bytes of an open file, from `offset` on, of which `done` are read."""

    file: BinaryIO
    offset: int
    size: int
    done: int = 0

    def read(self, most: int) -> bytes:
        """Returns up to `most` next bytes, none at the end."""
        data = self.file.read(min(most, self.size - self.done))
        self.done += len(data)
        return data

    def seek(self, position: int) -> None:
        """Goes to `position`, in bytes from its start; beyond its end means its end."""
        self.done = min(max(0, position), self.size)
        self.file.seek(self.offset + self.done)


class BodySource:
    """Stretches one after another, `size` bytes in all; can be read again from their start."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self._stretches = stretches
        self.size = sum(stretch.size for stretch in stretches)
        self.seek(0)

    def read(self, most: int) -> bytes:
        """Returns up to `most` next bytes, none at the end."""
        for stretch in self._stretches:
            if data := stretch.read(most):
                return data
        return b""

    def seek(self, position: int) -> None:
        """Goes to `position`, in bytes from the body's start."""
        for stretch in self._stretches:
            stretch.seek(position)
            position -= stretch.size


def body_size(body: Body) -> int:
    """Bytes that a body has now. Raises OSError when a file of it can't be read."""
    return sum(map(_size, _pieces(body)))


@contextmanager
def open_body(body: Body) -> Iterator[BodySource]:
    """Opens a body for reading. Raises OSError when a file of it can't be read."""
    with ExitStack() as stack:
        yield BodySource([_open(piece, stack) for piece in _pieces(body)])


def _pieces(body: Body) -> Sequence[bytes | FileBody]:
    return (body,) if isinstance(body, bytes | FileBody) else body.pieces


def _open(piece: bytes | FileBody, stack: ExitStack) -> Stretch:
    if isinstance(piece, bytes):
        return Stretch(BytesIO(piece), 0, len(piece))
    file = stack.enter_context(piece.path.open("rb"))
    return Stretch(file, piece.offset, _size(piece))


def _size(piece: bytes | FileBody) -> int:
    if isinstance(piece, bytes):
        return len(piece)
    rest = max(0, piece.path.stat().st_size - piece.offset)
    return rest if piece.length is None else min(piece.length, rest)
