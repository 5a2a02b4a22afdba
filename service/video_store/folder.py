"""A store in a folder: plain files that people can look at."""

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.video_store.files import explained, make_folder, sync, sync_folder
from service.video_store.keys import INCOMING, check_key
from service.video_store.store import NO_HEADERS, ObjectStore, Progress, Stored

_CHUNK = 1024 * 1024
_RENAMES = 5


class FolderStore(ObjectStore):
    """Keys are paths below the folder. A new object is written aside, synced and renamed into place."""

    def __init__(self, folder: Path, incoming: Path | None = None) -> None:
        super().__init__(str(folder), incoming or folder / INCOMING)
        self._folder = folder

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str,  # noqa: ARG002  # the port's; a file's name tells its type
        headers: Mapping[str, str] = NO_HEADERS,  # noqa: ARG002  # the port's; a file has none
        move: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """See ObjectStore."""
        target = self._path(key)
        with explained("store", target):
            if not (move and self._moved(path, target)):
                self._copy(path, target, progress)
                if move:
                    path.unlink()
            elif progress is not None:
                size = target.stat().st_size
                progress(size, size)

    def put_bytes(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,  # noqa: ARG002  # the port's; a file's name tells its type
        headers: Mapping[str, str] = NO_HEADERS,  # noqa: ARG002  # the port's; a file has none
    ) -> None:
        """See ObjectStore."""
        target = self._path(key)
        with explained("store", target), self._part() as (part, file):
            file.write(data)
            sync(file)
            self._publish(part, target)

    def stat(self, key: str) -> Stored | None:
        """See ObjectStore; the entity tag is made of size and time of change."""
        path = self._path(key)
        with explained("look at", path):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not path.is_file():
                return None
            return Stored(found.st_size, f'"{found.st_mtime_ns:x}-{found.st_size:x}"')

    def read_bytes(self, key: str) -> bytes:
        """See ObjectStore."""
        with self.open(key) as file, explained("read", self._path(key)):
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """See ObjectStore."""
        path = self._path(key)
        with explained("read", path, stored=True):
            return path.open("rb")

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """See ObjectStore: the stored file itself."""
        self.open(key).close()
        yield self._path(key)

    def local_path(self, key: str) -> Path | None:
        """See ObjectStore."""
        return self._path(key)

    def presigned_url(self, key: str, seconds: int) -> str | None:  # noqa: ARG002  # the port's
        """A folder has no URLs."""
        check_key(key)
        return None

    def delete(self, key: str) -> None:
        """See ObjectStore; folders that are empty afterwards go, too."""
        path = self._path(key)
        with explained("delete", path):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            self._remove_empty(path.parent)

    def _path(self, key: str) -> Path:
        return self._folder.joinpath(*check_key(key).split("/"))

    def _moved(self, path: Path, target: Path) -> bool:
        """Rename the file into place; False when it lies on another file system."""
        with path.open("rb") as file:
            sync(file)
        try:
            self._publish(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        sync_folder(path.parent)
        return True

    def _copy(self, path: Path, target: Path, progress: Progress | None) -> None:
        with path.open("rb") as source, self._part() as (part, file):
            size, done = os.fstat(source.fileno()).st_size, 0
            while chunk := source.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, size)
            sync(file)
            self._publish(part, target)

    @contextmanager
    def _part(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file in `incoming` that is gone afterwards unless it was renamed."""
        make_folder(self.incoming)
        part = self.incoming / f"{uuid.uuid4().hex}.part"
        try:
            with part.open("xb") as file:
                yield part, file
        finally:
            part.unlink(missing_ok=True)

    def _publish(self, part: Path, target: Path) -> None:
        """Rename into place; a colleague's delete may take the empty folder away in between, hence the tries."""
        for left in reversed(range(_RENAMES)):
            make_folder(target.parent)
            try:
                part.replace(target)
                break
            except FileNotFoundError:
                if not left or not part.exists():
                    raise
        sync_folder(target.parent)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._folder:
            try:
                folder.rmdir()
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY):
                    return
                raise
            folder = folder.parent
