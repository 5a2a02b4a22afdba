"""What is asked of the decoder's process and what it answers; imported by both sides, so it imports nothing."""

from dataclasses import dataclass
from pathlib import Path


class VideoRefused(Exception):
    """A video that must not be published, now or later; permanent for this file.

    `reason` is a clause for people without a final stop. `cut` says that bytes are missing at the end, so that
    another download may help.
    """

    def __init__(self, reason: str, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cut = cut


@dataclass(frozen=True)
class VideoLimits:
    """What a video may be and what looking at it may cost.

    `decode_seconds` is the processor time for decoding every frame from the start, and once more for the keyframes
    of what is left then; `cpu_seconds` and `wall_seconds` end the process.
    """

    max_bytes: int = 2 * 2**30
    max_seconds: float = 6 * 3600
    max_side: int = 8192
    max_pixels: int = 4096 * 4096
    max_streams: int = 16
    max_poster_bytes: int = 16 * 2**20
    decode_seconds: float = 5
    memory_bytes: int = 1536 * 2**20
    cpu_seconds: int = 90
    wall_seconds: float = 300


@dataclass(frozen=True)
class VideoFacts:
    """What was found in a whole, playable file; width and height in square pixels as displayed, after rotation."""

    bytes: int
    seconds: float
    width: int
    height: int
    video_codec: str
    audio_codec: str | None
    frames: int


@dataclass(frozen=True)
class PosterFacts:
    """A baseline JPEG with square pixels."""

    width: int
    height: int
    bytes: int


@dataclass(frozen=True)
class PosterOrder:
    """Where the poster goes, which moment it shows (seconds; None: one that isn't black), how wide it may be."""

    target: Path
    at: float | None = None
    max_width: int = 1280


@dataclass(frozen=True)
class Order:
    """One run of the decoder's process; `facts` from an earlier run spare the check."""

    path: Path
    limits: VideoLimits
    facts: VideoFacts | None = None
    poster: PosterOrder | None = None


@dataclass(frozen=True)
class Answer:
    """What the decoder's process found; `refused` is why the video, `no_poster` why a poster of it, can't be had."""

    facts: VideoFacts | None = None
    poster: PosterFacts | None = None
    no_poster: str | None = None
    refused: str | None = None
    cut: bool = False
