"""Draws a story's video: H.264 and AAC in an MP4 whose index comes first."""

import array
import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from service.emulator.cards import Card, Size, Words, draw_card, draw_frame, size_of

SAMPLE_RATE = 44_100
MOST_FRAMES = 1_200
_PITCHES = (262, 294, 330, 392, 440, 523, 587, 659, 784, 880)


@dataclass(frozen=True)
class FilmPlan:
    """What decides every byte of a video; `cut` is 1 and one more with each concat."""

    title: str
    scenes: tuple[str, ...]
    scene_seconds: int
    aspect_ratio: str
    transition: bool = False
    silent: bool = False
    cut: int = 1

    @property
    def seconds(self) -> int:
        """The length of the whole."""
        return len(self.scenes) * self.scene_seconds


def frames_a_second(seconds: int) -> int:
    """Fewer in a longer video, so that drawing it stays bounded."""
    return max(2, min(12, MOST_FRAMES // seconds))


def draw_film(plan: FilmPlan, short_side: int, path: Path) -> None:
    """Writes the video to `path`; the same plan gives the same bytes."""
    with av.open(os.fspath(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = plan.title[:200]
        size = size_of(plan.aspect_ratio, short_side)
        fps = frames_a_second(plan.seconds)
        video = _video_stream(container, size, fps, fps * plan.scene_seconds)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono", bit_rate=48_000)
        for second in range(plan.seconds):
            _encode_second(container, video, _pictures(plan, size, second, fps))
            container.mux(audio.encode(_tone(plan, second)))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _video_stream(container: OutputContainer, size: Size, fps: int, scene_frames: int) -> VideoStream:
    options = {"preset": "ultrafast", "crf": "26", "threads": "1"}
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
    stream.gop_size = scene_frames
    return stream


def _encode_second(container: OutputContainer, video: VideoStream, pictures: Iterator[av.VideoFrame]) -> None:
    for picture in pictures:
        container.mux(video.encode(picture))


def _pictures(plan: FilmPlan, size: Size, second: int, fps: int) -> Iterator[av.VideoFrame]:
    number = second // plan.scene_seconds
    card = draw_card(size, _words(plan, number), number)
    for index in range(second * fps, second * fps + fps):
        scene = index / (fps * plan.scene_seconds) - number
        luma = draw_frame(card, scene, index / (fps * plan.seconds))
        picture = _picture(card, _dimmed(luma, scene) if plan.transition else luma)
        picture.pts, picture.time_base = index, Fraction(1, fps)
        yield picture


def _words(plan: FilmPlan, number: int) -> Words:
    label = f"Scene {number + 1} of {len(plan.scenes)}" + (f" / cut {plan.cut}" if plan.cut > 1 else "")
    return Words(plan.title, label, plan.scenes[number])


def _dimmed(luma: bytes, scene: float) -> bytes:
    """Fades in over the first tenth of a scene and out over the last."""
    light = min(1.0, (scene + 0.02) * 10, (1.02 - scene) * 10)
    return (
        luma
        if light >= 1
        else luma.translate(bytes(round(16 + (max(y, 16) - 16) * light) for y in range(256)))
    )


def _picture(card: Card, luma: bytes) -> av.VideoFrame:
    picture = av.VideoFrame(card.size.width, card.size.height, "yuv420p")
    plane, blue, red = picture.planes
    plane.update(_padded(luma, card.size.width, plane.line_size))
    blue.update(bytes([card.blue]) * blue.buffer_size)
    red.update(bytes([card.red]) * red.buffer_size)
    return picture


def _padded(luma: bytes, width: int, line_size: int) -> bytes:
    if width == line_size:
        return luma
    gap = bytes(line_size - width)
    return b"".join(luma[at : at + width] + gap for at in range(0, len(luma), width))


def _tone(plan: FilmPlan, second: int) -> av.AudioFrame:
    """One second of the scene's own pitch; whole hertz, so that seconds join without a click."""
    number = second // plan.scene_seconds
    frame = av.AudioFrame(format="fltp", layout="mono", samples=SAMPLE_RATE)
    frame.planes[0].update(bytes(4 * SAMPLE_RATE) if plan.silent else sine(number).tobytes())
    frame.sample_rate, frame.pts, frame.time_base = (
        SAMPLE_RATE,
        second * SAMPLE_RATE,
        Fraction(1, SAMPLE_RATE),
    )
    return frame


def sine(number: int) -> "array.array[float]":
    """One second of the tone of scene `number` (from 0), as samples from -1 to 1."""
    return _sine(_PITCHES[number % len(_PITCHES)])


@lru_cache(maxsize=len(_PITCHES))
def _sine(hertz: int) -> "array.array[float]":
    step = 2 * math.pi * hertz / SAMPLE_RATE
    return array.array("f", (0.15 * math.sin(step * n) for n in range(SAMPLE_RATE)))


def draw_still(words: Words, number: int, aspect_ratio: str, short_side: int) -> bytes:
    """One card as a JPEG: the picture of a scene or an element."""
    card = draw_card(size_of(aspect_ratio, short_side), words, number)
    target = io.BytesIO()
    with av.open(target, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = card.size.width, card.size.height, "yuvj420p"
        container.mux(stream.encode(_picture(card, card.luma).reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    return target.getvalue()
