"""`/media/<token>`: a video, poster or captions file, for whoever holds its signed address."""

import mimetypes
import threading
from http import HTTPStatus

from flask import Blueprint, Response, abort, redirect, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from service.media_url import BadToken, MediaToken
from service.wiring import Relay

PRESIGNED_SECONDS = 3600
_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".vtt": "text/vtt; charset=utf-8"}


def blueprint(relay: Relay) -> Blueprint:
    """The media route. Local files take at most `media_threads` of the process's threads."""
    page = Blueprint("media", __name__)
    room = threading.BoundedSemaphore(relay.settings.media_threads)

    @page.route("/media/<token>", methods=["GET"])
    def show(token: str) -> AnyResponse:
        try:
            wanted = relay.media_urls.read(token)
        except BadToken:
            abort(HTTPStatus.NOT_FOUND, "this link has expired or is not whole; ask for a fresh one")
        store = relay.video_store()
        presigned = store.presigned_url(wanted.key, PRESIGNED_SECONDS)
        if presigned is not None:
            return redirect(presigned)
        path = store.local_path(wanted.key)
        if path is None or not path.is_file():
            abort(HTTPStatus.NOT_FOUND, "the file behind this link is gone")
        if request.method == "HEAD":
            return _file(wanted, str(path))
        if not room.acquire(blocking=False):
            return Response("busy: try again", 503, {"Retry-After": "2"}, mimetype="text/plain")
        try:
            response = _file(wanted, str(path))
        except BaseException:
            room.release()
            raise
        response.call_on_close(room.release)
        return response

    return page


def _file(wanted: MediaToken, path: str) -> Response:
    suffix = "." + wanted.name.rpartition(".")[2]
    kind = _TYPES.get(suffix) or mimetypes.guess_type(wanted.name)[0] or "application/octet-stream"
    response = send_file(path, mimetype=kind, conditional=True, download_name=wanted.name, max_age=3600)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; media-src 'self'; sandbox"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
