"""Videos, pictures and sounds, as a CDN serves them."""

import re
from collections.abc import Iterator

from flask import Flask, Response, request
from werkzeug.http import parse_etags, parse_if_range_header, parse_range_header

from service.emulator.films import Film
from service.emulator.illustrations import GROUPS, sound, still
from service.emulator.refusals import Refusal
from service.emulator.stories import Story
from service.emulator.studio import Studio


class Media:
    """The part of the emulator that is asked without a key."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def mount(self, app: Flask) -> None:
        """Adds the media to an app."""
        app.add_url_rule("/media/<story_id>/<int:cut>/video.mp4", "video", self.video)
        app.add_url_rule("/pictures/<story_id>/<name>.jpg", "picture", self.picture)
        app.add_url_rule("/sounds/<story_id>/<name>.wav", "sound", self.sound)

    def video(self, story_id: str, cut: int) -> Response:
        """A video behind its signed URL, whole or in part, or damaged as the story's faults have it."""
        serial = self._studio.signer.serial(request.path, request.args)
        with self._studio.lock:
            story = self._story(story_id)
            if not 1 <= cut <= len(story.films):
                raise _gone("there is no such video")
            breaks_off = _count_download(story, serial)
            film = story.films[cut - 1]
        return _served(self._damaged(story, film), breaks_off=breaks_off)

    def picture(self, story_id: str, name: str) -> Response:
        """The picture of an element or a scene."""
        with self._studio.lock:
            story = self._story(story_id)
            storyboard, ratio = story.storyboard, story.aspect_ratio
        group = next((group for group in GROUPS if name.startswith(f"{group}-")), None)
        picture = still(storyboard, group, _number(name), ratio) if group else None
        if picture is None:
            raise _gone("there is no such picture")
        return Response(picture, mimetype="image/jpeg")

    def sound(self, story_id: str, name: str) -> Response:
        """A second of the tone that stands for a voice or for music."""
        with self._studio.lock:
            self._story(story_id)
        return Response(sound(_number(name)), mimetype="audio/wav")

    def _story(self, story_id: str) -> Story:
        if story_id not in self._studio.stories:
            raise _gone("this story is gone")
        return self._studio.stories[story_id]

    def _damaged(self, story: Story, film: Film) -> Film:
        if "video-corrupt" in story.faults:
            film = self._studio.films.corrupted(film)
        return film.truncated() if "video-cut" in story.faults else film


def _gone(message: str) -> Refusal:
    return Refusal(404, "NOT_FOUND", message)


def _number(name: str) -> int:
    found = re.search(r"-(\d{1,4})$", name)
    return int(found[1]) if found else 0


def _count_download(story: Story, serial: int) -> bool:
    """Counts a GET against the limits of its URL; says whether this one breaks off. Raises Refusal (410)."""
    if request.method == "HEAD":
        return False
    tallies, limit = story.tallies, int(story.faults.number("video-url-downloads"))
    if limit and (serial < tallies.url_serial or tallies.url_downloads >= limit):
        raise Refusal(410, "GONE", "this URL is used up: get the story again for a fresh one")
    tallies.downloads += 1
    tallies.url_downloads += 1
    breaks_off = tallies.cuts_left > 0
    tallies.cuts_left -= breaks_off
    return breaks_off


def _served(film: Film, *, breaks_off: bool) -> Response:
    """Answers GET and HEAD by RFC 9110: ETag, If-None-Match, Range (one), If-Range."""
    etag = film.etag
    if parse_etags(request.headers.get("If-None-Match")).contains_weak(etag.strip('"')):
        return Response(status=304, headers={"ETag": etag})
    wanted = _wanted_range(film)
    start, stop = wanted or (0, film.size)
    body = _broken(film, start, stop) if breaks_off else film.chunks(start, stop)
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{film.size}"
    answered = Response(None if request.method == "HEAD" else body, 206 if wanted else 200, headers)
    answered.mimetype = "video/mp4"
    answered.automatically_set_content_length = False
    return answered


def _wanted_range(film: Film) -> tuple[int, int] | None:
    """Start and end of the part that is asked for; None for the whole. Raises Refusal (416)."""
    wanted = parse_range_header(request.headers.get("Range"))
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or not _if_range_holds(film):
        return None
    part = wanted.range_for_length(film.size)
    if part is None:
        headers = {"Content-Range": f"bytes */{film.size}"}
        raise Refusal(416, "RANGE_NOT_SATISFIABLE", f"the video has {film.size} bytes", headers)
    return part


def _if_range_holds(film: Film) -> bool:
    condition = parse_if_range_header(request.headers.get("If-Range"))
    if condition.etag is None and condition.date is None:
        return True
    return condition.etag == film.etag.strip('"')


def _broken(film: Film, start: int, stop: int) -> Iterator[bytes]:
    """Half of what was promised; the server closes the connection after it."""
    yield from film.chunks(start, start + (stop - start) // 2)
