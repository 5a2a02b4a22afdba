from dataclasses import dataclass
from fractions import Fraction

import av
import pytest

from handlers.video_file import VideoLimits, VideoRefused, examine, poster, probe

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


@dataclass(frozen=True)
class Picture:
    """A JPEG as a reader sees it."""

    width: int
    height: int
    pixels: bytes

    def at(self, x: float, y: float) -> tuple[int, int, int]:
        """The colour at a place, given as parts of width and height."""
        start = (int(y * self.height) * self.width + int(x * self.width)) * 3
        red, green, blue = self.pixels[start : start + 3]
        return red, green, blue


def read(path) -> Picture:
    data = path.read_bytes()
    assert data.startswith(b"\xff\xd8\xff\xe0\x00\x10JFIF\0")
    assert data.endswith(b"\xff\xd9")
    assert b"\xff\xc0\x00\x11\x08" in data  # baseline, 8 bits, three colours
    assert b"\xff\xc2" not in data[: data.index(b"\xff\xda")]  # not progressive
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "yuvj420p"
        rgb = frame.reformat(format="rgb24", src_color_range="JPEG", dst_color_range="JPEG")
        plane = rgb.planes[0]
        rows = bytes(plane)
    step = plane.line_size
    packed = b"".join(rows[y * step : y * step + rgb.width * 3] for y in range(rgb.height))
    return Picture(rgb.width, rgb.height, packed)


def is_near(one, other, within=24) -> bool:
    return all(abs(a - b) <= within for a, b in zip(one, other, strict=True))


@pytest.fixture
def halves(tmp_path, make_film):
    """A film of two films, one after the other."""

    def make(first: str, second: str, name: str = "halves.mp4"):
        one = make_film("one.mp4", source=first, seconds=2, sound=False)
        two = make_film("two.mp4", source=second, seconds=2, sound=False)
        path = tmp_path / name
        with av.open(str(path), "w") as target:
            film = target.add_stream("libx264", rate=15, options={"preset": "ultrafast", "g": "12"})
            film.width, film.height, film.pix_fmt = 160, 120, "yuv420p"
            index = 0
            for source in (one, two):
                with av.open(str(source)) as container:
                    for frame in container.decode(video=0):
                        frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, 15), 0
                        index += 1
                        target.mux(film.encode(frame))
            target.mux(film.encode(None))
        return path

    return make


def test_a_poster_has_the_films_size_and_opens_as_a_jpeg(film, tmp_path):
    target = tmp_path / "poster.jpg"
    facts = poster(film, probe(film), target)
    picture = read(target)
    assert (facts.width, facts.height) == (picture.width, picture.height) == (160, 120)
    assert facts.bytes == target.stat().st_size


def test_a_black_start_is_passed_over(halves, tmp_path):
    path, target = halves("color=c=black", "testsrc2"), tmp_path / "poster.jpg"
    poster(path, probe(path), target)
    colours = {read(target).at(x / 10, y / 10) for x in range(10) for y in range(10)}
    assert any(max(colour) > 150 for colour in colours)


def test_a_film_of_nothing_but_black_still_gets_a_poster(make_film, tmp_path):
    path, target = make_film(source="color=c=black"), tmp_path / "poster.jpg"
    poster(path, probe(path), target)
    assert is_near(read(target).at(0.5, 0.5), BLACK)


# the last two are moments outside the film
@pytest.mark.parametrize(("at", "colour"), [(0.0, RED), (0.5, RED), (3.0, BLUE), (99.0, BLUE), (-5.0, RED)])
def test_the_wished_moment_is_shown(halves, tmp_path, at, colour):
    path, target = halves("color=c=red", "color=c=blue"), tmp_path / "poster.jpg"
    poster(path, probe(path), target, at=at)
    assert is_near(read(target).at(0.5, 0.5), colour)


SIDES = "gradients=c0=red:c1=blue:x0=0:y0=0:x1=159:y1=0:nb_colors=2:speed=0.00001"  # red left, blue right


@pytest.mark.parametrize(
    ("rotation", "red", "blue"),
    [
        (0, (0.02, 0.5), (0.98, 0.5)),
        (90, (0.5, 0.98), (0.5, 0.02)),  # anticlockwise: what was right is on top
        (-90, (0.5, 0.02), (0.5, 0.98)),
        (180, (0.98, 0.5), (0.02, 0.5)),
    ],
)
def test_a_turned_film_gets_an_upright_poster(make_film, tmp_path, rotation, red, blue):
    path, target = make_film(source=SIDES, rotation=rotation), tmp_path / "poster.jpg"
    facts = poster(path, probe(path), target)
    picture = read(target)
    assert (facts.width, facts.height) == ((120, 160) if abs(rotation) == 90 else (160, 120))
    assert is_near(picture.at(*red), RED, within=60)
    assert is_near(picture.at(*blue), BLUE, within=60)


@pytest.mark.parametrize(
    ("wishes", "max_width", "size"),
    [
        ({"size": (320, 180)}, 160, (160, 90)),
        ({"size": (320, 180)}, 1280, (320, 180)),
        ({"pixel_aspect": Fraction(2, 1)}, 1280, (320, 120)),
        ({"pixel_aspect": Fraction(2, 1)}, 160, (160, 60)),
        ({"size": (161, 119), "pix_fmt": "yuv444p"}, 1280, (160, 120)),
        ({"size": (2, 2)}, 1280, (2, 2)),
        ({"size": (1920, 2), "seconds": 0.2}, 100, (100, 2)),
    ],
)
def test_posters_have_square_pixels_and_a_greatest_width(make_film, tmp_path, wishes, max_width, size):
    path, target = make_film(**wishes), tmp_path / "poster.jpg"
    facts, picture = examine(path, target, max_width=max_width)
    assert picture is not None
    assert facts == probe(path)
    assert (read(target).width, read(target).height) == (picture.width, picture.height) == size


@pytest.mark.parametrize("colorspace", [1, 5, None])
@pytest.mark.parametrize("size", [(160, 120), (1280, 720)])
def test_colours_are_right_whatever_matrix_the_film_uses(make_film, tmp_path, colorspace, size):
    """1 is BT.709, 5 BT.601; untold, players take BT.709 from 720 rows on."""
    matrix = {1: "bt709", 5: "bt601"}.get(colorspace) or ("bt709" if size[1] >= 720 else "bt601")
    source = f"color=c=0x20C040:size={size[0]}x{size[1]}:rate=5:duration=1"
    path, target = tmp_path / "film.mp4", tmp_path / "poster.jpg"
    graph = av.filter.Graph()
    nodes = [
        graph.add("color", source.partition("=")[2]),
        graph.add("format", "gbrp"),
        graph.add("scale", f"out_color_matrix={matrix}:out_range=tv"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=5, options={"preset": "ultrafast"})
        film.width, film.height, film.pix_fmt = *size, "yuv420p"
        if colorspace is not None:
            film.codec_context.colorspace = colorspace
        for _ in range(5):
            frame = graph.vpull()
            frame.colorspace = colorspace if colorspace is not None else 2
            container.mux(film.encode(frame))
        container.mux(film.encode(None))
    poster(path, probe(path), target)
    assert is_near(read(target).at(0.5, 0.5), (0x20, 0xC0, 0x40), within=6)


def test_a_film_that_is_gone_is_told(film, tmp_path):
    facts = probe(film)
    with pytest.raises(VideoRefused):
        poster(tmp_path / "gone.mp4", facts, tmp_path / "poster.jpg", limits=VideoLimits())
