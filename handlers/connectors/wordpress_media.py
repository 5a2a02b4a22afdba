"""Files in WordPress's media library, each found again by its slug, which has the story's key and the file's digest."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from handlers.connectors.wordpress_answers import WordPressRefusal
from handlers.connectors.wordpress_api import Json, WordPressApi
from handlers.message_text import cut, line
from service.domain.delivery import DeliveryFailed, Publication
from service.outbound_http import FileBody, Request

_SLOWEST = 100_000
"""Bytes a second, for the time that an upload may take."""
_PIECE = 2**20
_TITLE = 200
_KEPT_SLUGS = re.compile(r"(video|poster|captions)-[0-9a-f]{12}(-\d+)?")


@dataclass(frozen=True)
class Medium:
    """A file in the media library."""

    id: int
    url: str


@dataclass(frozen=True)
class Upload:
    """A file that is to be there. `kind` is video, poster or captions; `body` opens as the bytes that are sent."""

    kind: str
    digest: str
    content_type: str
    extension: str
    body: Callable[[], AbstractContextManager[Path | bytes]]

    def slug(self, base: str) -> str:
        """What it is found by."""
        return f"{base}-{self.kind}-{self.digest[:12]}"


def uploads(publication: Publication, *, video: bool) -> list[Upload]:
    """The story's files, the video last to be opened; without it where `video` is False."""
    files = publication.files
    wanted = [Upload("video", publication.video.sha256, "video/mp4", "mp4", files.video)] if video else []
    poster, captions = files.poster(), files.captions()
    if poster is not None:
        with poster as path:
            content = path.read_bytes()
        wanted.append(_of_bytes("poster", content, "image/jpeg", "jpg"))
    if captions is not None:
        wanted.append(_of_bytes("captions", captions.encode(), "text/vtt", "vtt"))
    return wanted


def _of_bytes(kind: str, content: bytes, content_type: str, extension: str) -> Upload:
    return Upload(kind, sha256(content).hexdigest(), content_type, extension, lambda: nullcontext(content))


class MediaLibrary:
    """The files of one story. `base` is the start of their slugs, and stands in their descriptions: WordPress
    searches those, and not slugs.
    """

    def __init__(self, api: WordPressApi, base: str, timeout: float) -> None:
        self._api = api
        self._base = base
        self._timeout = timeout

    def find(self, wanted: Iterable[Upload]) -> dict[str, Medium]:
        """Those that are there already, by kind."""
        kinds = {upload.slug(self._base): upload.kind for upload in wanted}
        if not kinds:
            return {}
        listed = self._api.get("media", {"slug": ",".join(kinds), "_fields": "id,slug,source_url"})
        return {kinds[one["slug"]]: _medium(one) for one in entries(listed) if one.get("slug") in kinds}

    def put(self, upload: Upload, publication: Publication) -> Medium:
        """Uploads a file; where another one of its slug turns up meanwhile, that one is taken and ours removed."""
        slug = upload.slug(self._base)
        name = cut(line(publication.story.name), _TITLE)
        query = {"slug": slug, "title": html_text(name), "description": self._base}
        if upload.kind == "poster":
            query["alt_text"] = name
        with upload.body() as content:
            made = self._api.upload(self._request(upload, slug, content, publication), query)
        if made.get("slug") == slug:
            return _medium(made)
        older = self.find([upload]).get(upload.kind)
        if older is None:  # WordPress or a plugin of the site makes its own slugs: ours is the only one
            return _medium(made)
        self._api.delete(f"media/{made['id']}", {"force": "true"})
        return older

    def remove_all_but(self, kept: Iterable[int]) -> str:
        """Removes the story's other files; says which it may not remove."""
        spared, refused = set(kept), 0
        query: Mapping[str, str | int] = {"search": self._base, "per_page": 100, "_fields": "id,slug"}
        for one in entries(self._api.get("media", query)):
            if one["id"] not in spared and self._is_ours(str(one.get("slug", ""))):
                refused += not self._remove(one["id"])
        return f"{refused} of its earlier files may not be removed by this account" if refused else ""

    def _remove(self, identity: int) -> bool:
        try:
            self._api.delete(f"media/{identity}", {"force": "true"})
        except WordPressRefusal as refusal:
            if not refusal.permanent:
                raise
            return False
        return True

    def _is_ours(self, slug: str) -> bool:
        start, rest = slug[: len(self._base) + 1], slug[len(self._base) + 1 :]
        return start == f"{self._base}-" and _KEPT_SLUGS.fullmatch(rest) is not None

    def _request(self, upload: Upload, slug: str, content: Path | bytes, publication: Publication) -> Request:
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        return Request(
            "POST",
            "",
            headers={
                "Content-Type": upload.content_type,
                "Content-Disposition": f'attachment; filename="{slug}.{upload.extension}"',
                "Content-MD5": _md5(content),
            },
            body=content if isinstance(content, bytes) else FileBody(content),
            timeout=self._timeout + size / _SLOWEST,
            progress=lambda _sent, _total: publication.check(),
        )


def entries(listed: Any) -> list[Json]:
    """A list of things with ids. Raises DeliveryFailed for anything else."""
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "id" in one for one in listed):
        raise DeliveryFailed("WordPress answered something else than a list; nothing is taken for done")
    return listed


def html_text(text: str) -> str:
    """Text for fields in which WordPress keeps HTML, titles above all."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _medium(said: Json) -> Medium:
    return Medium(int(said["id"]), str(said.get("source_url", "")))


def _md5(content: Path | bytes) -> str:
    """In hex, as WordPress compares it, and not in base64 as RFC 1864 has it."""
    digest = md5(usedforsecurity=False)
    if isinstance(content, bytes):
        digest.update(content)
        return digest.hexdigest()
    with content.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
