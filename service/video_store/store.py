"""What every store can do."""

import os
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from service.video_store.errors import StoreError

Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all between the parts of a transfer; what it raises ends the transfer."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Stored:
    """An object that is there: its size, and its entity tag where the store gives one."""

    bytes: int
    etag: str | None


class ObjectStore(ABC):
    """Keys to bytes. An object is there whole or not at all, also when the writer is killed.

    Every method raises StoreError for what the store or the network does, ValueError for a key that isn't one.
    """

    def __init__(self, location: str, incoming: Path) -> None:
        self.location = location
        """For people; without secrets."""
        self.incoming = incoming
        """The folder for temporary files, on the store's file system where it has one."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    @abstractmethod
    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str,
        headers: Mapping[str, str] = NO_HEADERS,
        move: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Store a copy of the file, or with `move` the file itself, which is gone from `path` afterwards.

        `headers`: Cache-Control and Content-Disposition for those who fetch it, where the store can keep them.
        """

    @abstractmethod
    def put_bytes(
        self, key: str, data: bytes, *, content_type: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        """Store the bytes; the rest as in `put_file`."""

    @abstractmethod
    def stat(self, key: str) -> Stored | None:
        """Look whether there is such an object."""

    @abstractmethod
    def read_bytes(self, key: str) -> bytes:
        """Read the whole object into memory; raises NotStored."""

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Open the object for reading from its start to its end, in flat memory; raises NotStored."""

    @abstractmethod
    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """Give the object as a file that is good within the `with` block; not to be changed; raises NotStored."""

    @abstractmethod
    def local_path(self, key: str) -> Path | None:
        """Name the file that holds the object, or would; None for stores without files."""

    @abstractmethod
    def presigned_url(self, key: str, seconds: int) -> str | None:
        """Make a URL that anyone may read the object from for so long, at most a week; None for folders."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; one that isn't there is no error."""

    def check(self) -> None:
        """Write, read back and delete a small object, for `storyrelay doctor`."""
        key, data = f"storyrelay-check-{uuid.uuid4().hex}.txt", os.urandom(16).hex().encode()
        self.put_bytes(key, data, content_type="text/plain")
        try:
            if self.read_bytes(key) != data:
                raise StoreError(
                    f"{self.location} gave back something else than was stored: check what is behind it"
                )
        finally:
            self.delete(key)

    def clear_incoming(self, older_than: float) -> int:
        """Delete temporary files that nobody wrote to for so many seconds; returns how many."""
        if not self.incoming.is_dir():
            return 0
        limit = time.time() - older_than
        return sum(_remove_if_older(Path(entry.path), limit) for entry in os.scandir(self.incoming))


def _remove_if_older(path: Path, limit: float) -> bool:
    with suppress(FileNotFoundError):
        if path.is_file() and path.stat(follow_symlinks=False).st_mtime < limit:
            path.unlink()
            return True
    return False
