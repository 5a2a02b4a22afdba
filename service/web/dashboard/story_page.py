"""A story's page: its video, where it stands, what happened; live while something is under way."""

import hashlib
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import structlog
from flask import Blueprint, Response, abort, render_template, request, url_for
from markupsafe import Markup

from service.domain.people import Role
from service.ledger import lookup, receipts, stories
from service.ledger.stories import StoryRow, VideoRow
from service.ledger.story_lines import StoryLine
from service.settings import SettingsError
from service.video_store import BadLocation, ObjectStore, StoreError
from service.web.dashboard.guard import content_policy, needs
from service.web.dashboard.story_view import StoryView, read_view
from service.web.ledger_keys import ledger_key
from service.web.media import PAGE_SECONDS
from service.wiring import Relay

log = structlog.get_logger()

BUSY_SECONDS, IDLE_SECONDS = 2, 20
"""Between two looks for news: while something is under way, and otherwise."""

PARTS = ("state", "facts", "actions", "timeline")
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*", re.ASCII)
_OWN_PAGES = ("new", "adopt", "live")
Answer = str | Response | tuple[str, int]


@dataclass(frozen=True)
class Playing:
    """What the page plays: addresses of the video, its poster and its captions (None: there are none)."""

    revision: int
    video: str
    poster: str | None
    captions: str | None


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the pages."""
    page.add_app_template_global(address, "story_address")
    pages = _StoryPages(relay)
    for path, view in (
        ("", pages.story),
        ("/live", pages.story_live),
        ("/captions.vtt", pages.story_captions),
        ("/<what>.json", pages.story_json),
        ("/webhooks/<key:receipt>", pages.story_webhook),
    ):
        page.add_url_rule(f"/stories/<story>{path}", view_func=view)


@dataclass(frozen=True)
class _StoryPages:
    relay: Relay

    @needs(Role.VIEWER)
    def story(self, story: str) -> Answer:
        row = find(self.relay, story)
        if row is None:
            return render_template("story_unknown.html", name=story), HTTPStatus.NOT_FOUND
        view = read_view(self.relay.ledger, row)
        playing = _playing(self.relay, row, view.video)
        parts = [_part(self.relay, name, view, playing) for name in PARTS]
        page = render_template("story.html", seen=view, parts=parts, playing=playing, every=_pause(view))
        policy = content_policy(_other_origin(self.relay, view.video))
        return Response(page, headers={"Content-Security-Policy": policy})

    @needs(Role.VIEWER)
    def story_live(self, story: str) -> Answer:
        row = find(self.relay, story)
        if row is None:  # forgotten meanwhile: the page says so when it is loaded again
            return Response(headers={"HX-Refresh": "true"})
        return _news(self.relay, row)

    @needs(Role.VIEWER)
    def story_captions(self, story: str) -> Response:
        # not by a media link: a browser takes captions from the page's own origin alone, and follows no redirect
        row = _known(self.relay, story)
        with self.relay.ledger.read() as tx:
            video = stories.read_video(tx, row.id, row.revision)
        if video is None or not video.has_captions:
            abort(HTTPStatus.NOT_FOUND, "This story has no captions.")
        try:
            data = self.relay.video_store().read_bytes(f"{video.prefix}/captions.vtt")
        except StoreError as error:
            log.warning("store.down", error=str(error))
            abort(HTTPStatus.NOT_FOUND, "The captions can't be read from the video store just now.")
        return Response(data, content_type="text/vtt; charset=utf-8")

    @needs(Role.VIEWER)
    def story_json(self, story: str, what: str) -> Response:
        row = _known(self.relay, story)
        files = {"request": row.request, "answer": row.snapshot}
        if what not in files:
            abort(HTTPStatus.NOT_FOUND, "There is no such file of a story.")
        return _download(json.dumps(files[what], indent=2, ensure_ascii=False).encode(), f"{what}.json")

    @needs(Role.VIEWER)
    def story_webhook(self, story: str, receipt: int) -> Response:
        row = _known(self.relay, story)
        with self.relay.ledger.read() as tx:
            found = receipts.read(tx, receipt)
        if found is None or found.story != row.id:
            abort(HTTPStatus.NOT_FOUND, "This story has no such webhook.")
        return _download(found.body, f"webhook-{found.id}.txt")


def find(relay: Relay, name: str) -> StoryRow | None:
    """The story of that id, the Story API's or our submission's."""
    if not name.isprintable():
        return None
    with relay.ledger.read() as tx:
        return lookup.exact(tx, name)


def address(row: StoryRow | StoryLine) -> str:
    """The last part of the path of a story's page: the Story API's id where a path takes it as it is."""
    plain = row.story_id is not None and _PLAIN_ID.fullmatch(row.story_id) and row.story_id not in _OWN_PAGES
    return str(row.story_id if plain else row.submission_id)


def _known(relay: Relay, name: str) -> StoryRow:
    row = find(relay, name)
    if row is None:
        abort(HTTPStatus.NOT_FOUND, "There is no such story here.")
    return row


def _news(relay: Relay, row: StoryRow) -> Answer:
    """The parts that differ from what the page has; 204, which changes nothing, where none does."""
    view = read_view(relay.ledger, row)
    shown = request.args.get("video", 0, type=ledger_key)
    playing = _playing(relay, row, view.video) if not shown and view.video is not None else None
    parts = [_part(relay, name, view, playing, shown) for name in PARTS]
    changed = [part for part in parts if part.digest != request.args.get(part.name)]
    every = _pause(view)
    if not changed and playing is None and request.args.get("every", type=ledger_key) == every:
        return Response(status=HTTPStatus.NO_CONTENT)
    return render_template("story_news.html", seen=view, parts=changed, playing=playing, every=every)


@dataclass(frozen=True)
class Part:
    """A part of the page that renews itself, and what tells this rendering from another."""

    name: str
    html: Markup
    digest: str


def _part(relay: Relay, name: str, view: StoryView, playing: Playing | None, shown: int = 0) -> Part:
    on_page = shown or (playing.revision if playing is not None else 0)
    newer = view.video is not None and 0 < on_page < view.video.revision
    html = render_template(
        f"story_{name}.html", seen=view, destinations=list(relay.configuration.destinations), newer=newer
    )
    return Part(name, Markup(html), hashlib.sha256(html.encode()).hexdigest()[:16])  # noqa: S704  Jinja has escaped it


def _pause(view: StoryView) -> int:
    return BUSY_SECONDS if view.is_live else IDLE_SECONDS


def _playing(relay: Relay, row: StoryRow, video: VideoRow | None) -> Playing | None:
    if video is None or video.removed_at is not None:
        return None
    captions = url_for("dashboard.story_captions", story=address(row)) if video.has_captions else None
    poster = _media(relay, video, "poster.jpg") if video.has_poster else None
    try:
        return Playing(video.revision, _media(relay, video, "video.mp4"), poster, captions)
    except SettingsError as error:
        log.warning("media.no_keys", error=str(error))
        return None


def _media(relay: Relay, video: VideoRow, name: str) -> str:
    token = relay.media_urls.token(f"{video.prefix}/{name}", name, PAGE_SECONDS)
    return url_for("media.show", token=token)


def _other_origin(relay: Relay, video: VideoRow | None) -> str:
    """The object store's origin where it has no TLS (those that have are allowed anyway); '' else."""
    if video is None:
        return ""
    try:
        store: ObjectStore = relay.video_store()
        url = urlsplit(store.presigned_url(f"{video.prefix}/video.mp4", PAGE_SECONDS) or "")
    except (BadLocation, StoreError) as error:
        log.warning("store.down", error=str(error))
        return ""
    return f"http://{quote(url.netloc, safe=':[]')}" if url.scheme == "http" else ""


def _download(data: bytes, name: str) -> Response:
    """A file to be kept, never shown: what is in it was written by others."""
    return Response(
        data,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )
