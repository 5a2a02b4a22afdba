"""One story for a place under test, attempt after attempt."""

import json
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av

from service.domain.delivery import Links, Publication, Reference, Scene, StoryFacts, Video, Withdrawal
from service.emulator.film import FilmPlan, draw_film


@dataclass
class Story:
    """One story for one place, attempt after attempt; what was saved outlives a killed attempt."""

    folder: Path
    video: Path
    title: str = "A letter"
    revision: int = 1
    key: str = field(default_factory=lambda: f"storyrelay-{uuid.uuid4().hex[:16]}-place")

    def publication(self, *, forgets: bool = False, **changes: Any) -> Publication:
        """For the deliver step; `forgets`: the attempt before died before it could save anything."""
        digest = sha256(self.video.read_bytes()).hexdigest()
        publication = Publication(
            story=self.facts(),
            video=Video(digest, self.video.stat().st_size, 2.0, 320, 180),
            links=Links(
                *(f"https://relay.test/media/{name}?a=1&b=2" for name in ("video", "poster", "captions"))
            ),
            files=_Files(self.video, self.folder / "poster.jpg"),
            route="all",
            destination="place",
            key=self.key,
            message_id=f"{self.key}-{self.revision}",
            repeat=0,
            published_at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
            reference={} if forgets else self.reference(),
            save=self.save,
            check=lambda: None,
        )
        return replace(publication, **changes)

    def withdrawal(self) -> Withdrawal:
        """For `withdraw`."""
        return Withdrawal(
            story=self.facts(),
            destination="place",
            key=self.key,
            message_id=f"{self.key}-withdrawn",
            at=datetime(2026, 3, 5, 5, 6, 7, tzinfo=UTC),
            reference=self.reference(),
            save=self.save,
            check=lambda: None,
        )

    def facts(self) -> StoryFacts:
        """The story as its destinations see it."""
        return StoryFacts(
            id=self.key.replace("storyrelay-", "story-"),
            title=self.title,
            idea="A lighthouse keeper finds a letter.",
            aspect_ratio="16:9",
            used_credits=150.0,
            created_at=datetime(2026, 3, 4, tzinfo=UTC),
            revision=self.revision,
            language="English",
            scenes=(Scene("The letter", "It came with the tide."),),
            snapshot={"id": self.key, "status": "success"},
            labels={"team": "brand"},
        )

    def save(self, reference: Reference) -> None:
        """Durably, as the ledger does."""
        fresh = self._saved.with_suffix(f".{uuid.uuid4().hex}.new")  # attempts may save at once
        fresh.write_text(json.dumps(dict(reference)), encoding="utf-8")
        fresh.replace(self._saved)

    def reference(self) -> Reference:
        """What was saved last."""
        if not self._saved.exists():
            return {}
        saved: Mapping[str, Any] = json.loads(self._saved.read_text(encoding="utf-8"))
        return saved

    @property
    def _saved(self) -> Path:
        return self.folder / f"{self.key}.json"


@dataclass(frozen=True)
class _Files:
    path: Path
    poster_path: Path

    def video(self) -> AbstractContextManager[Path]:
        return nullcontext(self.path)

    def poster(self) -> AbstractContextManager[Path] | None:
        return nullcontext(self.poster_path)

    def captions(self) -> str | None:
        return "WEBVTT\n\n00:00.000 --> 00:02.000\nIt came with the tide.\n"


def new_story(folder: Path, *, title: str = "A letter") -> Story:
    """A story with a video and a poster of its own, below the folder."""
    _poster(folder / "poster.jpg")
    story = Story(folder, folder / "unset", title=title)
    return replace(story, video=film(folder / f"{story.key}.mp4", "One"))


def film(path: Path, title: str) -> Path:
    """Writes a video of two seconds; another title makes another one."""
    path.write_bytes(_drawn(title))
    return path


@lru_cache(maxsize=8)
def _drawn(title: str) -> bytes:
    # a kill or a lost answer at each boundary takes a story of its own, and drawing took most of the tests' time
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        draw_film(FilmPlan(title, ("The letter",), 2, "16:9"), 180, path)
        return path.read_bytes()


def _poster(path: Path) -> None:
    if path.exists():
        return
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuvj420p"
    encoder.time_base = Fraction(1)
    frame = av.VideoFrame(320, 180, "yuvj420p")
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
