"""`python -m handlers.connectors.email_play_mark`: a JPEG on standard input, a copy with a play mark on output."""

import io
import sys
from fractions import Fraction
from math import hypot

import av
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

_WIDEST = 1200
"""Twice what the mail shows, for fine screens."""
_SHARE = 0.22
"""The mark's diameter, of the picture's shorter side."""
_QUANTIZER = 4
"""Of 1 (best) to 31."""
_RIM = 0.06
"""Width of the light rim, of the mark's radius."""
_DISC, _LIGHT = (0, 0, 0, 150), (255, 255, 255, 255)


def main() -> None:
    """Draws; what is no picture ends with a traceback and status 1."""
    sys.stdout.buffer.write(marked(sys.stdin.buffer.read()))


def marked(jpeg: bytes) -> bytes:
    """A JPEG with a play mark in its middle."""
    with av.open(io.BytesIO(jpeg), "r", format="jpeg_pipe") as container:
        picture = next(container.decode(video=0))
    scale = min(1.0, _WIDEST / picture.width)
    width, height = (max(2, round(side * scale / 2) * 2) for side in (picture.width, picture.height))
    return _jpeg(
        _overlaid(picture.reformat(width, height, "yuvj420p"), _mark(round(min(width, height) * _SHARE)))
    )


def _mark(size: int) -> VideoFrame:
    """A dark disc, half transparent, with a light rim and triangle, in RGBA."""
    size = max(16, size)
    frame = VideoFrame(size, size, "rgba")
    stride, middle = frame.planes[0].line_size, size / 2
    rows = bytearray(stride * size)
    for y in range(size):
        for x in range(size):
            pixel = _pixel((x + 0.5 - middle) / middle, (y + 0.5 - middle) / middle, 1 / middle)
            rows[y * stride + 4 * x : y * stride + 4 * x + 4] = bytes(pixel)
    frame.planes[0].update(bytes(rows))
    return frame


def _pixel(x: float, y: float, soft: float) -> tuple[int, int, int, int]:
    """One point of the mark, whose circle has radius 1; edges are `soft` wide, so that they show no steps."""
    away = hypot(x, y)
    inside = _step((1 - away) / soft)
    # a triangle whose middle of mass is the circle's middle: right of x = -0.25, left of both slopes
    triangle = min(_step((x + 0.25) / soft), _step((0.5 - x - abs(y) * 1.732) / (2 * soft)))
    light = max(triangle, _step((away - 1 + _RIM) / soft))
    red, green, blue, alpha = (
        round(dark + (bright - dark) * light) for dark, bright in zip(_DISC, _LIGHT, strict=True)
    )
    return red, green, blue, round(alpha * inside)


def _step(distance: float) -> float:
    return min(max(distance + 0.5, 0.0), 1.0)


def _overlaid(picture: VideoFrame, mark: VideoFrame) -> VideoFrame:
    graph = Graph()
    picture.pts = mark.pts = 0
    under, over = (
        graph.add_buffer(width=one.width, height=one.height, format=one.format, time_base=Fraction(1, 25))
        for one in (picture, mark)
    )
    overlay = graph.add("overlay", "(W-w)/2:(H-h)/2:format=auto")
    form = graph.add("format", "yuvj420p")
    sink = graph.add("buffersink")
    under.link_to(overlay, 0, 0)
    over.link_to(overlay, 0, 1)
    overlay.link_to(form)
    form.link_to(sink)
    graph.configure()
    for source, frame in ((under, picture), (over, mark)):
        source.push(frame)
        source.push(None)
    drawn = sink.pull()
    assert isinstance(drawn, VideoFrame)  # noqa: S101  # narrows the type
    return drawn


def _jpeg(frame: VideoFrame) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)  # noqa: S101  # narrows the type: mjpeg is a video codec
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base, encoder.sample_aspect_ratio = Fraction(1, 25), Fraction(1, 1)
    encoder.qmin = encoder.qmax = _QUANTIZER
    encoder.thread_count = 1
    frame.pts, frame.time_base = 0, encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


if __name__ == "__main__":
    main()
