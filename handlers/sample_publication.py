"""The sample as a publication, with files that open."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from handlers.sample import NAME, STORY, VIDEO
from service.domain.captions import Narration, captions
from service.domain.delivery import Links, Publication


@dataclass(frozen=True)
class SampleFiles:
    """The sample's files: a video of the right size that can't be played, a plain poster, captions."""

    def video(self) -> AbstractContextManager[Path]:
        """An empty file of the size that is told."""
        return _file("video.mp4", b"", VIDEO.bytes)

    def poster(self) -> AbstractContextManager[Path] | None:
        """A grey picture."""
        jpeg = _grey(320, 180)
        return _file("poster.jpg", jpeg, len(jpeg))

    def captions(self) -> str | None:
        """The scenes' narrations."""
        return captions([Narration(scene.narration) for scene in STORY.scenes], VIDEO.seconds)


def sample_facts() -> Mapping[str, Any]:
    """What routes may ask of the sample."""
    own = {"kind": "idea", "language": STORY.language, "labels": dict(STORY.labels)}
    return {**STORY.snapshot, **own, "duration": round(VIDEO.seconds)}


def sample_publication(public_url: str, route: str, destination: str, now: datetime) -> Publication:
    """The sample for one destination; its links lead nowhere."""
    video, poster, texts = (
        f"{public_url}/media/{NAME}/{name}" for name in ("video.mp4", "poster.jpg", "captions.vtt")
    )
    return Publication(
        story=replace(STORY, created_at=now),
        video=VIDEO,
        links=Links(video, poster, texts),
        files=SampleFiles(),
        route=route,
        destination=destination,
        key=f"storyrelay-{NAME}-{destination}",
        message_id=f"{NAME}-{destination}",
        repeat=0,
        published_at=now,
        reference={},
        save=lambda _reference: None,
        check=lambda: None,
    )


@contextmanager
def _file(name: str, data: bytes, size: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with path.open("wb") as file:
            file.write(data)
            file.truncate(size)
        yield path


def _grey(width: int, height: int) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1)
    frame = av.VideoFrame(width, height, "yuvj420p")
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
