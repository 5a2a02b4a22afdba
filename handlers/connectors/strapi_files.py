"""A story's files in Strapi's media library.

Their names are made from the publication's key, by which all of them are found again, and from the video's SHA-256,
which tells revisions apart. Strapi takes two files of one name: we look before we upload, and a file is listed only
once it is whole. What an upload without an answer may add later is removed with the next revision or the withdrawal.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from handlers.connectors.field_table import Media
from handlers.connectors.strapi_api import StrapiApi
from handlers.message_text import cut, line, size
from service.domain.delivery import DeliveryFailed, Publication
from service.outbound_http import FileBody, FormField, FormFile

_TEXT = 255
"""Characters of a file's texts that Strapi's databases keep."""


@dataclass(frozen=True)
class StoredFile:
    """One file of the media library; `url` is absolute."""

    id: int
    name: str
    url: str


@dataclass
class StrapiFiles:
    """The files of one publication. `found` are those that stand there; `remarks` is for people."""

    api: StrapiApi
    key: str
    found: list[StoredFile] = field(init=False)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = f"{self.key}."  # no key has a full stop in it
        rows: Sequence[Mapping[str, Any]] = self.api.get(
            "/upload/files", {"filters[name][$startsWith]": start, "sort": "id"}
        )
        files = [stored(self.api.url, row) for row in rows]
        self.found = [one for one in files if one.name.startswith(start)]  # LIKE has wildcards

    def put(self, publication: Publication, limit: int | None) -> Media:
        """Uploads what is not there; says where each file is. Raises DeliveryFailed."""
        video = poster = None
        if limit is not None and publication.video.bytes > limit:
            self.remarks.append(f"the video is linked: {size(publication.video.bytes)} is over upload_limit")
        else:
            video = self._put("mp4", "video/mp4", publication, publication.files.video())
        files = publication.files.poster()
        if files is not None:
            poster = self._put("jpg", "image/jpeg", publication, files)
        return Media(
            video=video.id if video else None,
            poster=poster.id if poster else None,
            video_url=video.url if video else publication.links.video,
            poster_url=poster.url if poster else publication.links.poster,
        )

    def remove(self, keep: Media | None = None) -> int:
        """Deletes the publication's files but those to keep; says how many. Raises DeliveryFailed."""
        kept = set() if keep is None else {keep.video, keep.poster}
        gone = [one for one in self.found if one.id not in kept]
        for one in gone:
            self.api.delete(f"/upload/files/{one.id}")
            self.found.remove(one)
        return len(gone)

    def _put(
        self, ending: str, kind: str, publication: Publication, opened: AbstractContextManager[Path]
    ) -> StoredFile | None:
        """The file as it stands there then; a refusal for good is a remark."""
        name = f"{self.key}.{publication.video.sha256[:16]}.{ending}"
        there = next((one for one in self.found if one.name == name), None)
        if there is not None:
            return there
        publication.check()
        with opened as path:
            try:
                made = upload(
                    self.api, name, line(publication.story.name), kind, FileBody(path), path.stat().st_size
                )
            except DeliveryFailed as error:
                if not error.permanent:
                    raise
                self.remarks.append(f"without the {'video' if ending == 'mp4' else 'poster'}: {error}")
                return None
        self.found.append(made)
        return made


def upload(api: StrapiApi, name: str, text: str, kind: str, body: bytes | FileBody, count: int) -> StoredFile:
    """Uploads one file of `count` bytes. Raises DeliveryFailed."""
    about = {"name": name, "alternativeText": cut(text, _TEXT)}
    parts: list[FormField | FormFile] = [
        FormField("fileInfo", json.dumps(about)),
        FormFile("files", name, kind, body),
    ]
    rows = api.upload(parts, count)
    if not isinstance(rows, list) or not rows:
        raise DeliveryFailed(
            "Strapi took the file, but does not say what it calls it: may the token find files?"
        )
    return stored(api.url, rows[0])


def stored(api_url: str, row: Mapping[str, Any]) -> StoredFile:
    """A file as Strapi tells of it; its address may be relative to the server."""
    return StoredFile(int(row["id"]), str(row["name"]), urljoin(api_url, str(row["url"])))
