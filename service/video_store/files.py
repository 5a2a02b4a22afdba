"""Plain files that survive a power cut, and what their errors mean for a store."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from service.video_store.errors import NotStored, StoreError, StoreFull

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_PERMANENT = {errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EFBIG, errno.ELOOP, errno.EEXIST}


@contextmanager
def explained(action: str, path: Path, *, stored: bool = False) -> Iterator[None]:
    """Turn an OSError into the StoreError it means; of a `stored` file that isn't there, into NotStored."""
    try:
        yield
    except OSError as error:
        other = f" ({error.filename})" if error.filename not in (None, str(path)) else ""
        message = f"can't {action} {path}: {error.strerror or error}{other}"
        if stored and error.errno in _ABSENT:
            raise NotStored(message) from error
        raise _store_error(message, error.errno) from error


def _store_error(message: str, number: int | None) -> StoreError:
    if number in _FULL:
        return StoreFull(f"{message}; make room there")
    if number in _REFUSED:
        return StoreError(f"{message}; give this user the right to it", refused=True)
    return StoreError(message, permanent=number in _PERMANENT)


def make_folder(folder: Path) -> None:
    """`mkdir -p` that lasts: a new folder's name is synced into its parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        sync_folder(folder.parent)


def sync(file: BinaryIO) -> None:
    """Wait until the file's bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the folder's names are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
