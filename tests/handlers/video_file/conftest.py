"""Builds real MP4 files: small, quick to encode, and the same on every run."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import pytest
from av.container import OutputContainer


class MakeFilm(Protocol):
    def __call__(self, name: str = "film.mp4", **wishes: Any) -> Path: ...


@dataclass(frozen=True)
class Wishes:
    size: tuple[int, int] = (160, 120)
    seconds: float = 2
    rate: int = 15
    source: str = "testsrc2"
    sound: bool = True
    rotation: int = 0
    pixel_aspect: Fraction | None = None
    pix_fmt: str = "yuv420p"
    flags: str = "+faststart"
    encoder: tuple[tuple[str, str], ...] = (("preset", "ultrafast"), ("g", "12"))
    colorspace: int | None = None


def write_film(path: Path, wishes: Wishes) -> Path:
    with av.open(str(path), "w", options={"movflags": wishes.flags}) as container:
        _add_pictures(container, wishes)
    return path


def _add_pictures(container: OutputContainer, wishes: Wishes) -> None:
    film = container.add_stream("libx264", rate=wishes.rate, options=dict(wishes.encoder))
    film.width, film.height = wishes.size
    film.pix_fmt = wishes.pix_fmt
    film.codec_context.thread_count = 1
    if wishes.rotation:
        film.set_display_rotation(wishes.rotation)
    if wishes.pixel_aspect:
        film.codec_context.sample_aspect_ratio = wishes.pixel_aspect
    if wishes.colorspace is not None:
        film.codec_context.colorspace = wishes.colorspace
    sound = container.add_stream("aac", rate=48000, layout="mono") if wishes.sound else None
    for frame in pictures(wishes):
        container.mux(film.encode(frame))
    container.mux(film.encode(None))
    if sound is not None:
        for frame in sounds(wishes.seconds):
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


def pictures(wishes: Wishes) -> Iterator[av.VideoFrame]:
    width, height = wishes.size
    separator = ":" if "=" in wishes.source else "="
    source = f"{wishes.source}{separator}size={width}x{height}:rate={wishes.rate}:duration={wishes.seconds}"
    name, _, arguments = source.partition("=")
    graph = av.filter.Graph()
    nodes = [graph.add(name, arguments), graph.add("format", wishes.pix_fmt), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    for frame in pulled(graph):
        frame.pict_type = 0  # or each would become a keyframe, as the source says of itself
        yield frame


def sounds(seconds: float) -> Iterator[av.AudioFrame]:
    graph = av.filter.Graph()
    sine = graph.add("sine", f"frequency=440:duration={seconds}:sample_rate=48000:samples_per_frame=1024")
    layout = graph.add("aformat", "sample_fmts=fltp:channel_layouts=mono")
    graph.link_nodes(sine, layout, graph.add("abuffersink")).configure()
    yield from pulled(graph)


def pulled(graph: av.filter.Graph) -> Iterator[Any]:
    while True:
        try:
            yield graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return


@pytest.fixture
def make_film(tmp_path: Path) -> MakeFilm:
    return lambda name="film.mp4", **wishes: write_film(tmp_path / name, Wishes(**wishes))


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of 160 × 120 with sound, its index at the start; not to be changed."""
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", Wishes())


@pytest.fixture(scope="session")
def fragmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in fragments; not to be changed."""
    path = tmp_path_factory.mktemp("film") / "fragmented.mp4"
    return write_film(path, Wishes(flags="+frag_keyframe+empty_moov+default_base_moof"))
