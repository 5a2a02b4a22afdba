"""Hands a request's body to curl piece by piece, so that a large file never is in memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

from service.outbound_http.messages import FileBody


class BodySource:
    """`size` bytes of an open file, from `offset` on; can be read again from its start."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file = file
        self._offset = offset
        self.size = size
        self.seek(0)

    def read(self, most: int) -> bytes:
        """Returns up to `most` next bytes, none at the end."""
        data = self._file.read(min(most, self._left))
        self._left -= len(data)
        return data

    def seek(self, position: int) -> None:
        """Goes to `position`, in bytes from the body's start."""
        self._file.seek(self._offset + position)
        self._left = self.size - position


@contextmanager
def open_body(body: bytes | FileBody) -> Iterator[BodySource]:
    """Opens a body for reading. Raises OSError when its file can't be read."""
    if isinstance(body, bytes):
        yield BodySource(BytesIO(body), 0, len(body))
        return
    with body.path.open("rb") as file:
        rest = max(0, os.fstat(file.fileno()).st_size - body.offset)
        yield BodySource(file, body.offset, rest if body.length is None else min(body.length, rest))
