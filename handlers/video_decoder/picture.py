"""Makes a video's poster: a JPEG of a moment that shows something."""

import statistics
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from handlers.video_decoder.checking import displayed, main_video, opened, quarter_turns
from handlers.video_decoder.facts import PosterFacts, PosterOrder, VideoFacts, VideoLimits, VideoRefused

_MOMENT_CPU_SECONDS = 2.0  # a film with one keyframe would be decoded from its start for each moment
_QUANTIZER = 3  # 1 (best) to 31; indistinguishable from the film at ordinary sizes
_DARKEST_MEAN = 24  # of 255; black is 0 or 16
_FLATTEST_SPREAD = 6
_UNTOLD_COLOURS = 2  # AVCOL_SPC_UNSPECIFIED
_HIGH_DEFINITION = 720  # rows, from which players take untold colours for BT.709
_TURNS = {1: "cclock", 2: "clock", 3: "clock"}


def draw_poster(path: Path, facts: VideoFacts, order: PosterOrder, limits: VideoLimits) -> PosterFacts:
    """Write the poster to `order.target`; raises VideoRefused when no frame decodes, OSError when writing fails."""
    with opened(path, limits) as container:
        film = main_video(container, limits)
        frames = _candidates(container, film, facts, order)
        frame = _best(frames) if order.at is None else next(frames, None)
        if frame is None:
            raise VideoRefused("it has no picture that can be decoded")
        width, height = _scaled(displayed(frame, film), order.max_width)
        jpeg = _jpeg(_upright(frame), width, height)
    order.target.write_bytes(jpeg)
    return PosterFacts(width=width, height=height, bytes=len(jpeg))


def _candidates(
    container: InputContainer, film: VideoStream, facts: VideoFacts, order: PosterOrder
) -> Iterator[VideoFrame]:
    for moment in _moments(facts.seconds, order.at):
        frame = _frame_at(container, film, moment)
        if frame is not None:
            yield frame


def _moments(seconds: float, at: float | None) -> list[float]:
    """Where to look, in seconds: the wished moment and then the start, or a few that are seldom black."""
    if at is not None:
        return [min(max(at, 0.0), seconds), 0.0]
    return [min(1.0, seconds / 2), seconds * 0.1, seconds * 0.25, seconds * 0.5, seconds * 0.75, 0.0]


def _frame_at(container: InputContainer, film: VideoStream, moment: float) -> VideoFrame | None:
    """The first frame at or after the moment, or the last one that the film and the time spent on it give."""
    assert film.time_base is not None  # noqa: S101  # narrows the type: a demuxed stream has one
    container.seek(int(moment / film.time_base), stream=film)
    started, latest = time.process_time(), None
    for frame in container.decode(film):
        latest = frame
        if frame.time is None or frame.time >= moment - 0.001:
            break
        if time.process_time() - started > _MOMENT_CPU_SECONDS:
            break
    return latest


def _best(frames: Iterator[VideoFrame]) -> VideoFrame | None:
    """The first frame that is neither dark nor flat; else the liveliest."""
    best: VideoFrame | None = None
    best_score = (False, -1.0)
    for frame in frames:
        mean, spread = _light(frame)
        if mean >= _DARKEST_MEAN and spread >= _FLATTEST_SPREAD:
            return frame
        score = (mean >= _DARKEST_MEAN, spread)
        if score > best_score:
            best, best_score = frame, score
    return best


def _light(frame: VideoFrame) -> tuple[float, float]:
    """Mean and standard deviation of the brightness, 0 to 255, on a small copy."""
    plane = frame.reformat(width=32, height=18, format="gray", interpolation="AREA", threads=1).planes[0]
    rows = bytes(plane)
    pixels = b"".join(rows[y * plane.line_size : y * plane.line_size + 32] for y in range(18))
    return statistics.fmean(pixels), statistics.pstdev(pixels)


def _scaled(size: tuple[int, int], max_width: int) -> tuple[int, int]:
    """Even numbers, as the JPEG's colour planes are half as large."""
    width, height = size
    scale = min(1.0, max_width / width)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _upright(frame: VideoFrame) -> VideoFrame:
    turns = quarter_turns(frame)
    for _ in range(2 if turns == 2 else min(turns, 1)):
        frame = _turned(frame, _TURNS[turns])
    return frame


def _turned(frame: VideoFrame, direction: str) -> VideoFrame:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    turn = graph.add("transpose", direction)
    sink = graph.add("buffersink")
    graph.link_nodes(source, turn, sink).configure()
    graph.vpush(frame)
    return graph.vpull()


def _jpeg(frame: VideoFrame, width: int, height: int) -> bytes:
    """Baseline, full range, BT.601, square pixels: what JFIF means by a JPEG."""
    encoder = CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)  # noqa: S101  # narrows the type: mjpeg is a video codec
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.sample_aspect_ratio = Fraction(1, 1)
    encoder.qmin = encoder.qmax = _QUANTIZER
    encoder.thread_count = 1
    scaled = frame.reformat(
        width=width,
        height=height,
        format="yuvj420p",
        interpolation="BICUBIC",
        src_colorspace=_source_colours(frame),
        dst_colorspace="ITU601",
        dst_color_range="JPEG",
        threads=1,
    )
    scaled.pts, scaled.time_base = 0, encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(scaled), *encoder.encode(None)])


def _source_colours(frame: VideoFrame) -> str | None:
    """The frame's own colour matrix (None), or the one that players assume."""
    untold = frame.colorspace == _UNTOLD_COLOURS
    return "ITU709" if untold and min(frame.width, frame.height) >= _HIGH_DEFINITION else None
