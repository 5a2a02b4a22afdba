"""What a downloaded file is, whether it is whole and playable, and its poster picture.

FFmpeg reads untrusted bytes only in a process of its own with limits on memory and time: a hostile file can end
that process and nothing else.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from handlers.mp4_boxes import check_boxes
from handlers.video_decoder.facts import (
    Answer,
    Order,
    PosterFacts,
    PosterOrder,
    VideoFacts,
    VideoLimits,
    VideoRefused,
)

__all__ = [
    "DecoderStopped",
    "PosterFacts",
    "VideoFacts",
    "VideoLimits",
    "VideoRefused",
    "examine",
    "poster",
    "probe",
]

_ANSWER = TypeAdapter(Answer)
_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT")
_VIDEOS_FAULT = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP}


class DecoderStopped(Exception):
    """The decoder's process was ended from outside, or failed for no fault of the video; worth another try."""


def probe(path: Path, limits: VideoLimits | None = None) -> VideoFacts:
    """Check that the file is a whole, playable MP4 video.

    Every packet is read; every frame is decoded for `limits.decode_seconds` of processor time, then keyframes spread
    over the rest. Raises VideoRefused, DecoderStopped and OSError.
    """
    return _facts(_run(_checked(path, limits)))


def poster(
    path: Path,
    facts: VideoFacts,
    target: Path,
    *,
    at: float | None = None,
    max_width: int = 1280,
    limits: VideoLimits | None = None,
) -> PosterFacts:
    """Write a JPEG of the frame at `at` seconds, or of one that isn't black; raises as `probe`."""
    wish = PosterOrder(target.absolute(), at, max_width)
    answer = _run(Order(path.absolute(), limits or VideoLimits(), facts, wish))
    if answer.poster is None:
        raise VideoRefused((answer.no_poster or "it gives no poster")[:500])
    return answer.poster


def examine(
    path: Path,
    target: Path,
    limits: VideoLimits | None = None,
    *,
    at: float | None = None,
    max_width: int = 1280,
) -> tuple[VideoFacts, PosterFacts | None]:
    """`probe` and `poster` in one process, which saves the start of a second.

    None where no poster can be made. Raises as `probe`.
    """
    answer = _run(_checked(path, limits, PosterOrder(target.absolute(), at, max_width)))
    return _facts(answer), answer.poster


def _checked(path: Path, limits: VideoLimits | None, wish: PosterOrder | None = None) -> Order:
    limits = limits or VideoLimits()
    size = check_boxes(path)
    if size > limits.max_bytes:
        raise VideoRefused(f"it has {size:,} bytes, more than {limits.max_bytes:,}")
    return Order(path.absolute(), limits, None, wish)


def _facts(answer: Answer) -> VideoFacts:
    if answer.facts is None:
        raise DecoderStopped("the video decoder's process answered without the video's facts")
    return answer.facts


def _run(order: Order) -> Answer:
    try:
        done = subprocess.run(  # our own interpreter and module
            [sys.executable, "-P", "-m", "handlers.video_decoder"],
            input=json.dumps(asdict(order), default=str).encode(),
            capture_output=True,
            timeout=order.limits.wall_seconds,
            env={name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DecoderStopped(f"the video decoder's process took more than {error.timeout:g} s") from error
    if done.returncode:
        raise _failure(done.returncode, done.stderr, order.limits)
    return _parse(done.stdout)


def _parse(output: bytes) -> Answer:
    try:
        answer = _ANSWER.validate_json(output)
    except ValidationError as error:
        raise DecoderStopped("the video decoder's process gave an answer that can't be read") from error
    if answer.refused is not None:
        raise VideoRefused(answer.refused[:500], cut=answer.cut)
    return answer


def _failure(status: int, errors: bytes, limits: VideoLimits) -> Exception:
    if status == -signal.SIGXCPU:
        return VideoRefused(f"looking at it took more than {limits.cpu_seconds} s of processor time")
    if -status in _VIDEOS_FAULT:
        return VideoRefused(f"the decoder broke on it ({signal.Signals(-status).name})")
    if status < 0:
        return DecoderStopped(f"the video decoder's process was ended by signal {-status}")
    last = errors.decode(errors="replace").strip().rpartition("\n")[2]
    return DecoderStopped(f"the video decoder's process failed: {last[:300]}")
