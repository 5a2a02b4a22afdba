"""A download under way: its bytes at one path, what is known about them beside it in a JSON file."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from service.outbound_http.errors import DiskFull, PartBusy

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Origin(BaseModel):
    """Where a part's bytes come from. `url` without its query, which may be a signature; `total` in bytes.

    `validator`: a strong one (RFC 9110 §8.8), an ETag or a date. `boot`: after a power cut the bytes that
    were not on disk yet may read as zeros, so a part is good for one boot of the machine only.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    validator: str
    total: int
    boot: str


class PartFile:
    """A part file, locked while it is entered; the lock is the kernel's and ends with its process.

    Enter it around the download and the rename that follows, so that no other worker writes between:
    `with PartFile(path) as part: … client.download(url, part, limits) … os.rename(part.path, …)`.
    Entering raises PartBusy when another worker of this host has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sidecar = path.with_name(path.name + ".json")
        self._fd = -1
        self._entered = 0

    def __enter__(self) -> Self:
        if not self._entered:
            self._fd = self._locked()
        self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered -= 1
        if self._entered:
            return
        if not self._is_at_path(self._fd):
            self._sidecar.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1

    @property
    def size(self) -> int:
        """The bytes that are there."""
        return os.fstat(self._fd).st_size

    @property
    def origin(self) -> Origin | None:
        """What the bytes are, None when nothing is known that would allow to go on with them."""
        with suppress(FileNotFoundError, ValidationError):
            origin = Origin.model_validate_json(self._sidecar.read_bytes())
            return origin if origin.boot == _boot() and 0 < self.size <= origin.total else None
        return None

    def begin(self, url: str, validator: str | None, total: int | None) -> None:
        """Empties the file and notes what it will hold; in this order, so that no note outlives its bytes."""
        self._sidecar.unlink(missing_ok=True)
        os.ftruncate(self._fd, 0)
        if validator is None or total is None:
            return
        note = Origin(url=url, validator=validator, total=total, boot=_boot())
        fresh = self._sidecar.with_name(self._sidecar.name + ".new")
        with disk_errors(self.path):
            fresh.write_text(note.model_dump_json())
            fresh.replace(self._sidecar)

    def append(self, chunk: memoryview) -> None:
        """Writes at the end. Raises DiskFull."""
        with disk_errors(self.path):
            while chunk:
                chunk = chunk[os.pwrite(self._fd, chunk, self.size) :]

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Reads what is at `offset` and returns how many bytes that were."""
        return os.preadv(self._fd, [buffer], offset)

    def write_back(self, offset: int, length: int) -> None:
        """Asks the kernel to begin writing a stretch to disk, so that `sync` has less to wait for."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._fd, offset, length, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Returns once the bytes are on disk. Raises DiskFull."""
        with disk_errors(self.path):
            os.fsync(self._fd)

    def discard(self) -> None:
        """Removes the file and what is known about it."""
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)

    def _locked(self) -> int:
        while True:
            with disk_errors(self.path):
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                raise PartBusy(f"another worker is downloading to {self.path.name}") from None
            if self._is_at_path(fd):
                return fd
            os.close(fd)  # its last holder renamed it away between our open and our lock

    def _is_at_path(self, fd: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(fd), os.stat(self.path, follow_symlinks=False))
        return False


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns a full disk or quota into DiskFull; other OSErrors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left for {path.name} in {path.parent}: {error.strerror}") from error
        raise


def _boot() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
