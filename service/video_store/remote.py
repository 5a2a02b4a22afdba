"""A store behind HTTP: Amazon S3 and what speaks like it, Google Cloud Storage, Azure, all through obstore."""

import hashlib
import io
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from service.video_store.errors import NotStored, StoreError, StoreFull
from service.video_store.files import explained, make_folder
from service.video_store.keys import check_key
from service.video_store.sent_bytes import SentBytes
from service.video_store.store import NO_HEADERS, ObjectStore, Progress, Stored

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import ClientConfig, RetryConfig

_PART_BYTES = 6 * 1024 * 1024  # S3 wants 5 MiB at least
_PARTS_AT_ONCE = 3  # with the one being read: 24 MiB in memory, and 60 GB in S3's 10,000 parts
_READ_BYTES = 1024 * 1024
_XML_CODE = re.compile(r"<Code>([^<]+)</Code>")
_XML_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
_WEEK = 7 * 24 * 3600  # the longest that a signature of S3 may hold
_CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(minutes=30),  # obstore's 30 s would end the reading of any large video
}
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
_FULL = re.compile(r"\b507\b|StorageFull|QuotaExceeded|InsufficientStorage", re.IGNORECASE)
_NO_LOGIN = re.compile(r"169\.254\.169\.254|metadata\.google|MissingCredential|no credential", re.IGNORECASE)


_Backend = S3Store | GCSStore | AzureStore
_threads: dict[str, int] = {}  # the process that obstore's threads run in


class RemoteStore(ObjectStore):
    """Keys are names below the URL's prefix.

    obstore's threads don't survive a fork, so nothing is opened before it is needed, and a process whose parent
    had opened a store gets a StoreError rather than waiting for ever.
    """

    def __init__(
        self, url: str, options: Mapping[str, str], incoming: Path, *, allow_http: bool = False
    ) -> None:
        """`url` is without its query; `options` are obstore's names of settings for that kind of store."""
        super().__init__(url, incoming)
        self._options = dict(options)
        self._client: ClientConfig = {**_CLIENT, "allow_http": allow_http}
        self._opened: _Backend | None = None

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
        """See ObjectStore; in parts of 6 MiB, of which few are in memory."""
        kept = {**headers, "Content-Type": content_type}
        with explained("read", path), path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._put(key, file.read() if size <= _PART_BYTES else _parts(file, size, progress), kept)
        if progress is not None:
            progress(size, size)
        if move:
            path.unlink()

    def put_bytes(
        self, key: str, data: bytes, *, content_type: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        """See ObjectStore."""
        self._put(key, data, {**headers, "Content-Type": content_type})

    def stat(self, key: str) -> Stored | None:
        """See ObjectStore."""
        try:
            with self.asked("look at", key) as store:
                found = obstore.head(store, key)
        except NotStored:
            return None
        return Stored(found["size"], found["e_tag"])

    def read_bytes(self, key: str) -> bytes:
        """See ObjectStore."""
        with self.asked("read", key) as store:
            return bytes(obstore.get(store, key).bytes())

    def open(self, key: str) -> BinaryIO:
        """See ObjectStore."""
        with self.asked("read", key) as store:
            chunks = iter(obstore.get(store, key).stream(min_chunk_size=_READ_BYTES))
        return io.BufferedReader(_Stream(self, key, chunks), _READ_BYTES)

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """See ObjectStore: a download in `incoming`, deleted afterwards."""
        copy = self.incoming / f"{uuid.uuid4().hex}{Path(check_key(key)).suffix[:8]}"
        try:
            self._download(key, copy)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def local_path(self, key: str) -> Path | None:
        """There are no files."""
        check_key(key)
        return None

    def presigned_url(self, key: str, seconds: int) -> str | None:
        """See ObjectStore. The URL is a secret."""
        with self.asked("sign a link to", key) as store:
            return obstore.sign(store, "GET", key, timedelta(seconds=min(seconds, _WEEK)))

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with suppress(NotStored), self.asked("delete", key) as store:  # S3 says nothing, Google and Azure do
            obstore.delete(store, key)

    @contextmanager
    def asked(self, action: str, key: str) -> Iterator[_Backend]:
        """The store for one request on a key, whose errors become StoreErrors."""
        try:
            yield self._backend(check_key(key))
        except FileNotFoundError as error:
            raise NotStored(f"can't {action} {key} in {self.location}: there is no such object") from error
        except BaseError as error:
            raise self._store_error(
                f"can't {action} {key} in {self.location}: {_said(error)}", error
            ) from error

    def _put(self, key: str, data: bytes | Iterator[bytes], headers: dict[str, str]) -> None:
        sent, body = _watched(data)
        try:
            with self.asked("store", key) as store:
                stored = obstore.put(
                    store,
                    key,
                    body,
                    attributes=headers,
                    use_multipart=not isinstance(body, bytes),
                    chunk_size=_PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        except NotStored as error:
            raise StoreError(f"can't store {key}: {self.location} isn't there; make that bucket") from error
        # Google's and Azure's tags say nothing of the bytes; other tags of S3 are those of encrypted objects
        if isinstance(store, S3Store) and stored["e_tag"] != sent.etag:
            self._read_back(key, sent)

    def _read_back(self, key: str, sent: SentBytes) -> None:
        with self.open(key) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        if found == sent.sha256:
            return
        self.delete(key)
        raise StoreError(
            f"{key} arrived damaged in {self.location} and was deleted: what is between here and there?"
        )

    def _download(self, key: str, copy: Path) -> None:
        with self.open(key) as source, explained("write", copy):
            make_folder(copy.parent)
            with copy.open("xb") as target:
                shutil.copyfileobj(source, target, _READ_BYTES)

    def _backend(self, key: str) -> _Backend:
        _claim_threads(f"{self.location} for {key}")
        if self._opened is None:
            config: Any = self._options  # obstore's types name the options of each kind of store
            opened = from_url(self.location, config=config, client_options=self._client, retry_config=_RETRY)
            if not isinstance(opened, S3Store | GCSStore | AzureStore):
                raise StoreError(f"{self.location} is no kind of store", permanent=True)
            self._opened = opened
        return self._opened

    def _store_error(self, message: str, error: BaseError) -> StoreError:
        if _FULL.search(str(error)):
            return StoreFull(f"{message}; make room there")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return StoreError(f"{message}; check its key, secret and rights", refused=True)
        if _NO_LOGIN.search(str(error)):
            return StoreError(f"{message}; set its key and secret (AWS_ACCESS_KEY_ID, …)", refused=True)
        return StoreError(message)


class _Stream(io.RawIOBase):
    """An answer's body as a file, read from its start to its end."""

    def __init__(self, store: RemoteStore, key: str, chunks: Iterator[bytes]) -> None:
        self._store, self._key, self._chunks = store, key, chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._left:
            with self._store.asked("read", self._key):
                self._left = memoryview(next(self._chunks, b""))
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _watched(data: bytes | Iterator[bytes]) -> tuple[SentBytes, bytes | Iterator[bytes]]:
    if isinstance(data, bytes):
        return SentBytes(data), data
    sent = SentBytes(part_bytes=_PART_BYTES)
    return sent, sent.watched(data)


def _parts(file: BinaryIO, size: int, progress: Progress | None) -> Iterator[bytes]:
    done = 0
    while chunk := file.read(_READ_BYTES):
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress(done, size)


def _claim_threads(what: str) -> None:
    """Note whose threads obstore's are; in a process that was forked from that one they don't run."""
    owner = _threads.setdefault("pid", os.getpid())
    if owner != os.getpid():
        raise StoreError(f"can't open {what}: process {owner} opened a store before it forked this one")


def _said(error: BaseError) -> str:
    """The part of obstore's message that is for people, without query strings."""
    text = str(error).partition("\n\nDebug source")[0]
    code, message = _XML_CODE.search(text), _XML_MESSAGE.search(text)
    if code and message:
        text = f"{code[1]}: {message[1]}"
    return re.sub(r"\?\S+", "", text)[:300]
