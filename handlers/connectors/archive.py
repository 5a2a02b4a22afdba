"""Publishes to a folder or an S3 bucket: `<story id>/video.mp4`, poster.jpg, captions.vtt, story.json.

Exactly once: names are decided by story and revision, each file is written whole or not at all, and story.json
comes last and says by size and SHA-256 what the video must be.
"""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr, model_validator

from handlers.connectors.options import ConnectorOptions, HttpUrl
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Notice, Publication, Published
from service.video_store import StoreError, open_store, safe_segment

JSON = "application/json"

_LEFT_OVER = 86_400.0
"""Seconds after which a temporary file in the archive belongs to nobody: no upload takes a day."""

_SIGNED = re.compile(r"sig|token|expires|credential|key-pair|policy", re.IGNORECASE)
"""What the queries of signed addresses have in common (S3, CloudFront, GCS, Azure, and the like)."""


class ArchiveOptions(ConnectorOptions):
    """`path`: a folder, relative to the configuration file, or `s3://bucket/prefix`; the rest is for S3.

    Without keys, the AWS_* environment variables are used. `allow_http` permits an endpoint without TLS.
    """

    path: str = Field(min_length=1)
    endpoint: HttpUrl | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    allow_http: bool = False

    @model_validator(mode="after")
    def _s3_options_need_s3(self) -> "ArchiveOptions":
        extra = self.model_fields_set - {"path"}
        if extra and not self.path.startswith("s3://"):
            raise ValueError(f"{', '.join(sorted(extra))}: only with a path that starts with s3://")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key belong together")
        open_store(self.path, base=Path(), options=self.store_options())  # says what is wrong with the path
        return self

    def store_options(self) -> dict[str, str]:
        """What the store is opened with."""
        secret = self.secret_access_key
        given = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.access_key_id,
            "secret_access_key": None if secret is None else secret.get_secret_value(),
            "allow_http": "true" if self.allow_http else None,
        }
        return {name: value for name, value in given.items() if value is not None}


class ArchiveConnector:
    """Keeps each story's files and facts."""

    Options: ClassVar[type[BaseModel]] = ArchiveOptions

    def __init__(self, options: ArchiveOptions, tools: ConnectorTools) -> None:
        self._tools = tools
        self._store = open_store(options.path, base=tools.base, options=options.store_options())

    def publish(self, publication: Publication) -> Published:
        """Writes what is not there yet; a wanted repeat writes all of it again."""
        folder = _folder(publication)
        with _translated():
            if publication.repeat == 0 and self._is_whole(folder, publication):
                return Published(url=self._url(f"{folder}/video.mp4"), remark="was there already")
        self._write(folder, publication)
        return Published(url=self._url(f"{folder}/video.mp4"), remark=f"kept in {folder}")

    def notify(self, notice: Notice) -> Published:
        """Keeps the notice as `notices/<time>-<id>.json`."""
        key = f"notices/{notice.at:%Y-%m-%dT%H%M%SZ}-{safe_segment(notice.id)}.json"
        with _translated():
            self._store.put_bytes(key, _json(asdict(notice)), content_type=JSON)
        return Published(url=self._url(key))

    def check(self) -> str:
        """Writes a small object, reads it back and deletes it."""
        with _translated():
            self._store.check()
        return f"{self._store.location} can be written and read"

    def send_test(self) -> Published:
        """The same as `check`, with a file that says what it is."""
        key = f"storyrelay-test-{uuid.uuid4()}.json"
        with _translated():
            self._store.put_bytes(key, _json({"test": self._tools.destination}), content_type=JSON)
            self._store.delete(key)
        return Published(remark=f"wrote {key} to {self._store.location} and removed it")

    def _is_whole(self, folder: str, publication: Publication) -> bool:
        there, video = self._store.stat(f"{folder}/video.mp4"), publication.video
        if there is None or there.bytes != video.bytes or self._store.stat(f"{folder}/story.json") is None:
            return False
        return _recorded_video(self._store.read_bytes(f"{folder}/story.json")) == (video.bytes, video.sha256)

    def _write(self, folder: str, publication: Publication) -> None:
        story_json, files = f"{folder}/story.json", publication.files
        with _translated():
            self._store.clear_incoming(older_than=_LEFT_OVER)
            if self._store.stat(story_json) is not None:
                self._store.delete(
                    story_json
                )  # it marks wholeness, and the next writes break that for a while
        publication.check()
        # what goes wrong in reading our own store is not the archive's fault: only its side is translated
        with files.video() as path, _translated():
            self._store.put_file(
                f"{folder}/video.mp4", path, content_type="video/mp4", progress=lambda *_: publication.check()
            )
        poster, captions = files.poster(), files.captions()
        if poster is not None:
            with poster as path, _translated():
                self._store.put_file(f"{folder}/poster.jpg", path, content_type="image/jpeg")
        facts = _facts(publication, poster=poster is not None, captions=captions is not None)
        with _translated():
            if captions is not None:
                self._store.put_bytes(f"{folder}/captions.vtt", captions.encode(), content_type="text/vtt")
            self._store.put_bytes(story_json, _json(facts), content_type=JSON)

    def _url(self, key: str) -> str:
        path = self._store.local_path(key)
        return f"{self._store.location}/{key}" if path is None else path.absolute().as_uri()


def _folder(publication: Publication) -> str:
    story = safe_segment(publication.story.id)
    return story if publication.story.revision <= 1 else f"{story}/r{publication.story.revision}"


def _facts(publication: Publication, *, poster: bool, captions: bool) -> dict[str, Any]:
    story = asdict(publication.story)
    return {
        "storyrelay": {
            "key": publication.key,
            "message_id": publication.message_id,
            "route": publication.route,
            "destination": publication.destination,
            "published_at": publication.published_at,
        },
        "video": {"file": "video.mp4", **asdict(publication.video)},
        "poster": {"file": "poster.jpg"} if poster else None,
        "captions": {"file": "captions.vtt"} if captions else None,
        "snapshot": _without_signatures(story.pop("snapshot")),
        "story": story,
    }


def _without_signatures(value: Any) -> Any:
    """A JSON value whose signed addresses have lost their query: an archive may be open to all."""
    if isinstance(value, dict):
        return {key: _without_signatures(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_signatures(item) for item in value]
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        bare, _, query = value.partition("?")
        return bare if _SIGNED.search(query) else value
    return value


def _recorded_video(story_json: bytes) -> tuple[int, str] | None:
    """Size and SHA-256 of the video that story.json speaks of; None when it is not ours."""
    try:
        video = json.loads(story_json)["video"]
        return int(video["bytes"]), str(video["sha256"])
    except (ValueError, LookupError, TypeError):
        return None


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, default=_plain).encode() + b"\n"


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else dict(value)  # type: ignore[call-overload]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise DeliveryFailed(str(error), permanent=error.permanent, refused=error.refused) from error
