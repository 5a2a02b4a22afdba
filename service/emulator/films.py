"""Drawn videos, each kept under its plan; one thread draws them, so that several never starve the machine."""

import functools
import hashlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from service.emulator.film import FilmPlan, draw_film

CHUNK = 1 << 20
BOX_HEADER = 8


@dataclass(frozen=True)
class Film:
    """A video file with what stands behind it; `padding` is in bytes and an MP4 `free` box of its own."""

    path: Path
    file_bytes: int
    digest: str
    padding: int = 0
    cut_at: int | None = None

    @property
    def size(self) -> int:
        """In bytes, as served."""
        whole = self.file_bytes + self.padding
        return whole if self.cut_at is None else min(whole, self.cut_at)

    @property
    def etag(self) -> str:
        """A strong validator."""
        return f'"{self.digest[:24]}-{self.size}"'

    def truncated(self) -> "Film":
        """The same, ending after six tenths."""
        return replace(self, cut_at=self.size * 6 // 10)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, with little memory."""
        yield from self._file_chunks(start, min(stop, self.file_bytes))
        yield from self._padding_chunks(max(start - self.file_bytes, 0), stop - self.file_bytes)

    def _file_chunks(self, start: int, stop: int) -> Iterator[bytes]:
        if start >= stop:
            return
        with self.path.open("rb") as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(CHUNK, stop - start))):
                start += len(chunk)
                yield chunk

    def _padding_chunks(self, start: int, stop: int) -> Iterator[bytes]:
        head = _free_box_header(self.padding)[start:stop] if start < stop else b""
        if head:
            yield head
        left, zeroes = stop - start - len(head), bytes(CHUNK)
        while left > 0:
            yield zeroes if left >= CHUNK else zeroes[:left]
            left -= CHUNK


def _free_box_header(size: int) -> bytes:
    """ISO/IEC 14496-12: size and type, the size in 64 bits where 32 are too few."""
    if size < 1 << 32:
        return size.to_bytes(4, "big") + b"free"
    return (1).to_bytes(4, "big") + b"free" + size.to_bytes(8, "big")


@functools.lru_cache(maxsize=64)
def film_sha256(film: Film) -> str:
    """The SHA-256 of a film as served, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in film.chunks(0, film.size):
        digest.update(chunk)
    return digest.hexdigest()


class Films:
    """Draws and keeps videos in a folder: `folder`, or a temporary one that goes with `close`."""

    def __init__(self, folder: Path | None, short_side: int, video_bytes: int | None) -> None:
        self._given = folder
        self._look = (short_side, video_bytes)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emulator-films")
        self._lock = threading.Lock()
        self._known: dict[FilmPlan, Future[Film]] = {}

    @functools.cached_property
    def _folder(self) -> Path:
        folder = self._given or Path(tempfile.mkdtemp(prefix="story-api-emulator-"))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def request(self, plan: FilmPlan) -> "Future[Film]":
        """Draws a video in the background, or gives the one that was drawn before."""
        with self._lock:
            if plan not in self._known:
                self._known[plan] = self._worker.submit(self._drawn, plan)
            return self._known[plan]

    def corrupted(self, film: Film) -> Film:
        """The same with an eighth of its bytes zeroed in the middle, where the pictures are."""
        path = film.path.with_suffix(".corrupt.mp4")
        data = bytearray(film.path.read_bytes())
        middle, block = len(data) // 2, len(data) // 8
        data[middle : middle + block] = bytes(block)
        _write_whole(path, bytes(data))
        return replace(film, path=path, digest=hashlib.sha256(data).hexdigest())

    def close(self) -> None:
        """Stops drawing and removes the temporary folder."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        if self._given is None and "_folder" in self.__dict__:
            shutil.rmtree(self.__dict__.pop("_folder"))

    def _drawn(self, plan: FilmPlan) -> Film:
        short_side, video_bytes = self._look
        name = hashlib.sha256(repr((plan, short_side)).encode()).hexdigest()[:32]
        path = self._folder / f"{name}.mp4"
        if not path.exists():
            partial = path.with_suffix(f".{threading.get_native_id()}.partial")
            draw_film(plan, short_side, partial)
            partial.replace(path)
        data = path.read_bytes()
        padding = max(0, (video_bytes or 0) - len(data))
        return Film(
            path, len(data), hashlib.sha256(data).hexdigest(), padding if padding >= BOX_HEADER else 0
        )


def _write_whole(path: Path, data: bytes) -> None:
    partial = path.with_suffix(f".{threading.get_native_id()}.partial")
    partial.write_bytes(data)
    partial.replace(path)
