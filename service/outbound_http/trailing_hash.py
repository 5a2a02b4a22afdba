"""Hashes a file in a second thread while it is being written.

It reads behind the writer, out of the page cache: measured on a 500 MB download that was faster than hashing
in the write callback or handing copies through a queue; memory stays flat, and what was there already is
hashed while the rest arrives.
"""

import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from service.outbound_http.part_file import PartFile

_CHUNK = 256 * 2**10  # stays in the processor's cache between the copy and the hash
_WRITE_BACK = 16 * 2**20


class TrailingHash:
    """The SHA-256 of a part file's first `size` bytes, where `size` grows by `grown`."""

    def __init__(self, part: PartFile, size: int) -> None:
        self._part = part
        self._size = self._written_back = size
        self._buffer = memoryview(bytearray(_CHUNK))
        self._ended = self._cancelled = False
        self._change = threading.Condition()
        self._pool = ThreadPoolExecutor(1, "sha256")
        self._digest: Future[str] = self._pool.submit(self._run)

    def grown(self, by: int) -> None:
        """Takes note of bytes that were appended."""
        with self._change:
            self._size += by
            self._change.notify()

    def hexdigest(self) -> str:
        """Returns the hash, once everything is read. Raises OSError when it couldn't be."""
        self._ended = True
        self.grown(0)
        return self._digest.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = self._cancelled = True
        self.grown(0)
        self._pool.shutdown()

    def _run(self) -> str:
        digest = hashlib.sha256()
        position = 0
        while position < (goal := self._await_goal(position)):
            position = self._hash(digest, position, goal)
        return digest.hexdigest()

    def _await_goal(self, position: int) -> int:
        """Returns up to where there is something to read; `position` when everything is read."""
        with self._change:
            self._change.wait_for(lambda: self._ended or self._size > position)
            return position if self._cancelled else self._size

    def _hash(self, digest: "hashlib._Hash", position: int, goal: int) -> int:
        while position < goal and not self._cancelled:
            wanted = self._buffer[: min(_CHUNK, goal - position)]
            count = self._part.read_into(wanted, position)
            if not count:
                raise OSError(f"{self._part.path.name} was cut by another program while it was being written")
            digest.update(wanted[:count])
            position += count
            self._write_back(position)
        return position

    def _write_back(self, position: int) -> None:
        if position - self._written_back >= _WRITE_BACK:
            self._part.write_back(self._written_back, position - self._written_back)
            self._written_back = position
