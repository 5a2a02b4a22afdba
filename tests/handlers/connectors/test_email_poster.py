"""The play mark on the poster."""

import io
from pathlib import Path

import av
import pytest

from handlers.connectors.email_poster import with_play_mark
from handlers.video_file import poster, probe
from service.connector_contract import film


def drawn(jpeg: bytes) -> tuple[int, int, bytes]:
    """Width, height, and the brightness of all pixels, row by row."""
    with av.open(io.BytesIO(jpeg), "r", format="jpeg_pipe") as container:
        frame = next(container.decode(video=0)).reformat(format="gray")
    plane = frame.planes[0]
    rows = [bytes(plane)[y * plane.line_size :][: frame.width] for y in range(frame.height)]
    return frame.width, frame.height, b"".join(rows)


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    video = film(tmp_path / "video.mp4", "One")
    poster(video, probe(video), tmp_path / "poster.jpg")
    return tmp_path / "poster.jpg"


def test_the_mark_is_in_the_middle_and_nothing_else_changes(jpeg: Path) -> None:
    width, height, before = drawn(jpeg.read_bytes())
    marked_width, marked_height, after = drawn(with_play_mark(jpeg))
    assert (marked_width, marked_height) == (width, height)
    middle = height // 2 * width + width // 2
    assert after[middle] > 230  # the triangle is light
    radius = round(height * 0.11)
    assert after[middle - radius * 6 // 10] < before[middle - radius * 6 // 10] - 10  # the disc is darker
    outside = [
        abs(after[y * width + x] - before[y * width + x])
        for y in range(height)
        for x in range(width)
        if (x - width / 2) ** 2 + (y - height / 2) ** 2 > (radius + 8) ** 2
    ]
    assert sum(outside) / len(outside) < 2


@pytest.mark.parametrize("junk", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut short"])
def test_what_is_no_picture_goes_as_it_is(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "poster.jpg"
    path.write_bytes(junk)
    assert with_play_mark(path) == junk
