"""Publishes to a folder or an S3 bucket: `<story id>/video.mp4`, poster.jpg, captions.vtt, story.json.

Exactly once: names are decided by story and revision, each file is written whole or not at all, and story.json
comes last and says by size and SHA-256 what the video must be.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from pydantic import BaseModel

from handlers.connectors.archive_folders import FolderName
from handlers.connectors.archive_options import ArchiveOptions
from handlers.connectors.archive_story import Recorded, as_json, recorded, story_json
from handlers.message_text import cut, line
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Notice, PreviewPart, Publication, Published, Withdrawal
from service.video_store import NotStored, StoreError, open_store, safe_segment

JSON = "application/json"

TYPES: Mapping[str, str] = {
    "video.mp4": "video/mp4",
    "poster.jpg": "image/jpeg",
    "captions.vtt": "text/vtt",
    "story.json": JSON,
}
"""The files of a story; story.json is written last and goes first."""

_LEFT_OVER = 86_400.0
"""Seconds after which a temporary file in the archive belongs to nobody: no upload takes a day."""


class ArchiveConnector:
    """Keeps each story's files and facts."""

    Options: ClassVar[type[BaseModel]] = ArchiveOptions

    def __init__(self, options: ArchiveOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        self._folders = FolderName(options.key)
        self.store = open_store(options.path, base=tools.base, options=options.store_options())

    @property
    def territory(self) -> str:
        """The folder or bucket and the template of folders in it: two archives there would overwrite each other."""
        options = self._options
        place = options.path
        if "://" not in place:
            place = str((self._tools.base / place).resolve())
        return " ".join(filter(None, (options.endpoint, place.rstrip("/"), options.key)))

    def publish(self, publication: Publication) -> Published:
        """Writes what is not there yet; a wanted repeat writes all of it again."""
        folder = self._folders.of_revision(publication.story, publication.destination)
        # before anything is written: a title in the key may change, and the folder must be found again
        reference = {"folders": sorted({*publication.reference.get("folders", []), folder})}
        if reference != publication.reference:
            publication.save(reference)
        with _translated():
            there = self._recorded(folder)
            _refuse_another_story(folder, there, publication)
            if publication.repeat == 0 and self._is_whole(folder, there, publication):
                return Published(self._url(f"{folder}/video.mp4"), "was there already", reference)
        self._write(folder, publication, marked=there is not None)
        return Published(self._url(f"{folder}/video.mp4"), f"kept in {folder}", reference)

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Deletes the files of each revision, and nothing else that may lie beside them."""
        named = self._folders.revisions(withdrawal.story, withdrawal.destination)
        removed, others = [], []
        for folder in sorted({*withdrawal.reference.get("folders", []), *named}):
            withdrawal.check()
            with _translated():
                there = self._recorded(folder)
                if there is not None and there.key != withdrawal.key:
                    others.append(folder)
                elif self._remove(folder) or there is not None:
                    removed.append(folder)
        said = [f"deleted {', '.join(removed)}" if removed else "was gone already"]
        said += [f"{folder} is another destination's" for folder in others]
        return Published(remark="; ".join(said))

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """The facts that would be written, and the names of all the files."""
        folder = self._folders.of_revision(publication.story, publication.destination)
        absent = {
            "poster.jpg": publication.files.poster() is None,
            "captions.vtt": publication.files.captions() is None,
        }
        keys = [f"{self.store.location}/{folder}/{name}" for name in TYPES if not absent.get(name)]
        facts = story_json(publication, poster=not absent["poster.jpg"], captions=not absent["captions.vtt"])
        return [PreviewPart("story.json", facts.decode()), PreviewPart("keys.txt", "\n".join(keys))]

    def notify(self, notice: Notice) -> Published:
        """Keeps the notice as `notices/<time>-<id>.json`."""
        key = f"notices/{notice.at:%Y-%m-%dT%H%M%SZ}-{safe_segment(notice.id)}.json"
        with _translated():
            self.store.put_bytes(key, as_json(asdict(notice)), content_type=JSON)
        return Published(url=self._url(key))

    def check(self) -> str:
        """Writes a small object, reads it back and deletes it."""
        with _translated():
            self.store.check()
        return f"{self.store.location} can be written and read"

    def send_test(self) -> Published:
        """The same as `check`, with a file that says what it is."""
        key = f"storyrelay-test-{uuid.uuid4()}.json"
        with _translated():
            self.store.put_bytes(key, as_json({"test": self._tools.destination}), content_type=JSON)
            self.store.delete(key)
        return Published(remark=f"wrote {key} to {self.store.location} and removed it")

    def _recorded(self, folder: str) -> Recorded | None:
        try:
            return recorded(self.store.read_bytes(f"{folder}/story.json"))
        except NotStored:
            return None

    def _is_whole(self, folder: str, there: Recorded | None, publication: Publication) -> bool:
        if there is None or there.video != (publication.video.bytes, publication.video.sha256):
            return False
        video = self.store.stat(f"{folder}/video.mp4")
        return video is not None and video.bytes == publication.video.bytes

    def _write(self, folder: str, publication: Publication, *, marked: bool) -> None:
        with _translated():
            self.store.clear_incoming(older_than=_LEFT_OVER)
            if marked:  # it marks wholeness, and the next writes break that for a while
                self.store.delete(f"{folder}/story.json")
        # what goes wrong in reading our own store is not the archive's fault: only its side is translated
        with publication.files.video() as path:
            self._put_file(folder, "video.mp4", path, publication)
        poster, captions = publication.files.poster(), publication.files.captions()
        if poster is not None:
            with poster as path:
                self._put_file(folder, "poster.jpg", path, publication)
        facts = story_json(publication, poster=poster is not None, captions=captions is not None)
        if captions is not None:
            self._put_text(folder, "captions.vtt", captions.encode())
        self._put_text(folder, "story.json", facts)

    def _put_file(self, folder: str, name: str, path: Path, publication: Publication) -> None:
        def went(sent: int, total: int) -> None:
            publication.check()
            publication.sent(sent, total)

        publication.check()
        headers = self._headers(publication.story.name if name == "video.mp4" else None)
        with _translated():
            self.store.put_file(
                f"{folder}/{name}",
                path,
                content_type=TYPES[name],
                headers=headers,
                progress=went,
            )

    def _put_text(self, folder: str, name: str, data: bytes) -> None:
        with _translated():
            self.store.put_bytes(
                f"{folder}/{name}", data, content_type=TYPES[name], headers=self._headers(None)
            )

    def _headers(self, title: str | None) -> dict[str, str]:
        headers = {}
        if self._options.cache_control is not None:
            headers["Cache-Control"] = self._options.cache_control
        if self._options.disposition is not None and title is not None:
            headers["Content-Disposition"] = _disposition(self._options.disposition, title)
        return headers

    def _remove(self, folder: str) -> bool:
        """Says whether a video was there; story.json goes first, for it marks wholeness."""
        found = self.store.stat(f"{folder}/video.mp4") is not None
        for name in reversed(tuple(TYPES)):
            self.store.delete(f"{folder}/{name}")
        return found

    def _url(self, key: str) -> str:
        path = self.store.local_path(key)
        return f"{self.store.location}/{key}" if path is None else path.absolute().as_uri()


def _disposition(kind: str, title: str) -> str:
    """Content-Disposition with the title as the file's name, for old readers in ASCII (RFC 6266, RFC 8187)."""
    name = cut(line(title), 100).replace("/", "-")
    plain = "".join(one if one.isascii() and one.isalnum() else "-" for one in name).strip("-") or "video"
    return f"{kind}; filename=\"{plain}.mp4\"; filename*=UTF-8''{quote(name, safe='')}.mp4"


def _refuse_another_story(folder: str, there: Recorded | None, publication: Publication) -> None:
    if there is not None and there.story_id != publication.story.id:
        raise DeliveryFailed(
            f"{folder} holds story {line(there.story_id)[:100]} already: let the option key name {{{{ story.id }}}}",
            permanent=True,
        )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise DeliveryFailed(str(error), permanent=error.permanent, refused=error.refused) from error
