"""`/media/<token>`: a video, poster or captions file, for whoever holds its signed address."""

import io
import mimetypes
import os
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import structlog
from flask import Blueprint, Response, abort, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse
from werkzeug.wsgi import FileWrapper, wrap_file

from service.media_url import BadToken, MediaToken
from service.video_store import ObjectStore, StoreError
from service.wiring import Relay

log = structlog.get_logger()

PAGE_SECONDS = 24 * 3600
"""How long the addresses in a page are good: pages stay open for a working day.

A page can't have fresh ones brought by a redirect: Chromium asks for each further part where the first led to.
"""

CACHED_SECONDS = 3600
_BLOCK = 64 * 1024
_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".vtt": "text/vtt; charset=utf-8"}
_GONE = "the file behind this link is gone"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; sandbox",
    "Referrer-Policy": "no-referrer",  # the address is a secret
}

Room = threading.BoundedSemaphore


def blueprint(relay: Relay) -> Blueprint:
    """The media route. Local files take at most `media_threads` of the process's threads."""
    page = Blueprint("media", __name__)
    room = Room(relay.settings.media_threads)

    @page.get("/media/<token>")
    def show(token: str) -> AnyResponse:
        try:
            wanted = relay.media_urls.read(token)
        except BadToken:
            abort(HTTPStatus.NOT_FOUND, "this link has expired or is not whole; ask for a fresh one")
        # a player goes on where it was led to: that has to be good for as long as the address itself, and no longer
        response = _answer(relay.video_store(), wanted, relay.media_urls.seconds_left(wanted), room)
        response.headers.update(_HEADERS)
        return response

    page.register_error_handler(StoreError, _store_down)
    for kind in (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        page.register_error_handler(kind, _file_gone)
    return page


def _file_gone(_error: OSError) -> tuple[Response, int]:
    return jsonify(error=_GONE), 404


def _store_down(error: StoreError) -> tuple[Response, int, dict[str, str]]:
    log.warning("store.down", error=str(error))
    return jsonify(error="the video store does not answer; try again soon"), 503, {"Retry-After": "5"}


def _answer(store: ObjectStore, wanted: MediaToken, seconds: int, room: Room) -> AnyResponse:
    try:
        presigned = store.presigned_url(wanted.key, seconds)
        path = store.local_path(wanted.key)
    except ValueError:  # signed by us, but no store could have such a key
        abort(HTTPStatus.NOT_FOUND, _GONE)
    if presigned is not None:
        response = redirect(presigned)
        response.cache_control.no_store = True
        return response
    if path is None:
        abort(HTTPStatus.NOT_FOUND, _GONE)
    if request.method == "HEAD":
        return _file(wanted.name, io.FileIO(path))
    if not room.acquire(blocking=False):
        return Response("busy: try again", 503, {"Retry-After": "2"}, mimetype="text/plain")
    return _file(wanted.name, _RoomyFile(path, room))


class _RoomyFile(io.FileIO):
    """Gives its room back when it is closed.

    A server closes the file of every answer, but calls no hook of ours after one that it sends by itself.
    """

    _room: Room | None = None

    def __init__(self, path: Path, room: Room) -> None:
        try:
            super().__init__(path)
        except OSError:
            room.release()
            raise
        self._room = room

    def close(self) -> None:
        room, self._room = self._room, None
        super().close()
        if room is not None:
            room.release()


def _file(name: str, file: io.FileIO) -> Response:
    try:
        return _conditional(name, file)
    except BaseException:
        file.close()
        raise


def _conditional(name: str, file: io.FileIO) -> Response:
    part = _asks_one_part()
    # a server's own wrapper sends whole files best, but can't seek: it would read up to the part
    body = FileWrapper(file, _BLOCK) if part else wrap_file(request.environ, file, _BLOCK)
    found = os.fstat(file.fileno())
    response = Response(body, content_type=_type(name), direct_passthrough=True)
    response.content_length = found.st_size
    response.last_modified = datetime.fromtimestamp(found.st_mtime, UTC)
    response.set_etag(f"{found.st_mtime_ns:x}-{found.st_size:x}")
    response.accept_ranges = "bytes"
    response.cache_control.private = True
    response.cache_control.max_age = CACHED_SECONDS
    response.headers.set("Content-Disposition", "inline", filename=_ascii(name))
    response.make_conditional(request.environ, accept_ranges=part, complete_length=found.st_size)
    return response


def _asks_one_part() -> bool:
    """Several parts at once, other units and what can't be read are answered whole (RFC 9110, 14.2)."""
    wanted = request.range
    return wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1


def _type(name: str) -> str:
    suffix = "." + name.rpartition(".")[2]
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _ascii(name: str) -> str:
    return "".join(char if char.isascii() and char.isprintable() else "_" for char in name)
