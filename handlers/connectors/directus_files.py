"""A story's files in Directus.

The id of each is made from the publication's key and the video's SHA-256, so that Directus itself refuses a second
one; their name for downloads is made from the key, by which all files of a publication are found again.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handlers.connectors.directus_api import DirectusApi, DirectusFault, DirectusRefused
from handlers.connectors.field_table import Media
from handlers.message_text import cut, line, size
from service.domain.delivery import DeliveryFailed, Publication
from service.outbound_http import FileBody, FormField, FormFile

_NAMESPACE = uuid.UUID("5f9b8f4e-0d0b-5a57-9b39-6f3a1c6d2f10")
_TITLE = 255
"""Characters of a file's title that Directus keeps (its table directus_files)."""


@dataclass
class DirectusFiles:
    """The files of one publication. `found` are those that stand there, by id; `remarks` is for people."""

    api: DirectusApi
    key: str
    folder: str | None = None
    found: dict[str, int] = field(init=False)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [f"{self.key}.mp4", f"{self.key}.jpg"]
        rows: Sequence[Mapping[str, Any]] = self.api.get(
            "/files", fields="id,filesize", limit="-1", filter={"filename_download": {"_in": names}}
        )
        self.found = {str(row["id"]): int(row["filesize"] or 0) for row in rows}

    def put(self, publication: Publication, limit: int | None) -> Media:
        """Uploads what is not there whole; says where each file is. Raises DeliveryFailed."""
        expected = expected_media(self.api.url, publication, limit)
        video, poster = expected.video, expected.poster
        if video is None:
            self.remarks.append(f"the video is linked: {size(publication.video.bytes)} is over upload_limit")
        elif not self._put(str(video), "mp4", "video/mp4", publication, publication.files.video()):
            video = None
        files = publication.files.poster()
        if (
            files is None
            or poster is None
            or not self._put(str(poster), "jpg", "image/jpeg", publication, files)
        ):
            poster = None  # the facts name one, but none is in the store, or Directus takes none
        return media(self.api.url, publication, video, poster)

    def remove(self, keep: Media | None = None) -> int:
        """Deletes the publication's files but those to keep; says how many. Raises DeliveryFailed."""
        kept = set() if keep is None else {keep.video, keep.poster}
        return sum(self._delete(one) for one in list(self.found) if one not in kept)

    def _delete(self, file: str) -> bool:
        """Whether it is gone: one that an editor put into another item stays, where that refers to it strictly."""
        try:
            self.api.delete(f"/files/{file}")
        except DirectusFault:
            self.remarks.append(f"Directus can't delete the file {file}: is it used elsewhere?")
            return False
        del self.found[file]
        return True

    def _put(
        self,
        file: str,
        ending: str,
        kind: str,
        publication: Publication,
        opened: AbstractContextManager[Path],
    ) -> bool:
        """Whether the file is there then; a refusal for good is a remark."""
        with opened as path:
            count = path.stat().st_size
            if self.found.get(file) == count:
                return True
            publication.check()
            properties = list(self._properties(file, publication))
            part = FormFile("file", f"{self.key}.{ending}", kind, FileBody(path))
            try:
                self._upload(file, properties, part, count)
            except DeliveryFailed as error:
                if not error.permanent:
                    raise
                self.remarks.append(f"without the {'video' if ending == 'mp4' else 'poster'}: {error}")
                return False
        return True

    def _upload(self, file: str, properties: Sequence[FormField], part: FormFile, count: int) -> None:
        if file not in self.found:
            try:
                self.api.upload("POST", "/files", [FormField("id", file), *properties, part], count)
            except DirectusRefused as error:
                if (error.code, error.about) != ("RECORD_NOT_UNIQUE", "id"):
                    raise
            else:
                self.found[file] = count
                return
        # an upload that ended too early, or that goes on at this moment: replaced by the whole file
        self.api.upload("PATCH", f"/files/{file}", [*properties, part], count)
        self.found[file] = count

    def _properties(self, file: str, publication: Publication) -> Iterator[FormField]:
        yield FormField("title", cut(line(publication.story.name), _TITLE))
        if self.folder is not None and file not in self.found:
            yield FormField("folder", self.folder)


def expected_media(url: str, publication: Publication, limit: int | None) -> Media:
    """What the files of a publication will be called, unless they are refused."""
    fits = limit is None or publication.video.bytes <= limit
    video = _file_id(publication, "video") if fits else None
    return media(
        url, publication, video, _file_id(publication, "poster") if publication.links.poster else None
    )


def media(url: str, publication: Publication, video: str | int | None, poster: str | int | None) -> Media:
    """The ids, with the addresses of the files at this Directus, or else our own links."""
    return Media(
        video=video,
        poster=poster,
        video_url=f"{url}/assets/{video}" if video else publication.links.video,
        poster_url=f"{url}/assets/{poster}" if poster else publication.links.poster,
    )


def _file_id(publication: Publication, part: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{publication.key}/{part}/{publication.video.sha256}"))
