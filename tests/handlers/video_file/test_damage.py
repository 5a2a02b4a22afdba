"""Files that were cut, damaged or made to mislead."""

import random
import struct
from dataclasses import dataclass

import av
import pytest
from examples import SHARING
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.mp4_boxes import check_boxes
from handlers.video_decoder.checking import check
from handlers.video_file import VideoLimits, VideoRefused, probe


@dataclass(frozen=True)
class Box:
    kind: str
    start: int
    end: int

    @property
    def body(self) -> int:
        return self.start + 8


def boxes(data: bytes, start: int = 0, end: int | None = None) -> list[Box]:
    """The boxes side by side in a part of a file."""
    found, end = [], len(data) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        found.append(Box(kind.decode("latin-1"), start, start + size))
        start += size
    return found


def inner(data: bytes, *path: str) -> Box:
    """The first box along a path such as moov, trak, mdia."""
    start, end = 0, len(data)
    for kind in path:
        box = next(box for box in boxes(data, start, end) if box.kind == kind)
        start, end = box.body, box.end
    return box


def refused(path) -> VideoRefused:
    def look() -> None:
        check_boxes(path)
        check(path, VideoLimits())

    with pytest.raises(VideoRefused) as caught:
        look()
    return caught.value


@pytest.fixture
def spoiled(tmp_path, film):
    """Writes the film with other bytes in some places."""

    def write(*changes: tuple[int, bytes]):
        data = bytearray(film.read_bytes())
        for place, new in changes:
            data[place : place + len(new)] = new
        path = tmp_path / "spoiled.mp4"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("flags", ["+faststart", "-faststart"])
def test_a_cut_at_every_box_boundary_is_seen(make_film, tmp_path, flags):
    data = make_film(flags=flags).read_bytes()
    ends = [box.end for box in boxes(data)][:-1]
    assert len(ends) >= 2
    for end in ends:
        path = tmp_path / "cut.mp4"
        path.write_bytes(data[:end])
        assert refused(path).cut


@settings(SHARING, max_examples=200)
@given(data=st.data())
def test_a_cut_anywhere_is_seen_without_decoding(tmp_path, film, data):
    whole = film.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(VideoRefused) as caught:
        check_boxes(path)
    assert caught.value.cut


@settings(SHARING, max_examples=40)
@given(data=st.data())
def test_a_cut_is_seen_where_the_last_box_has_no_length(tmp_path, film, data):
    whole = bytearray(film.read_bytes())
    mdat = inner(whole, "mdat")
    whole[mdat.start : mdat.start + 4] = bytes(4)  # "to the end of the file"
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole)
    check(path, VideoLimits())
    path.write_bytes(whole[: data.draw(st.integers(mdat.body, len(whole) - 1))])
    check_boxes(path)
    assert refused(path).cut


@settings(SHARING, max_examples=40)
@given(data=st.data())
def test_a_fragmented_film_cut_within_a_box_is_seen(tmp_path, fragmented, data):
    whole = fragmented.read_bytes()
    ends = {box.end for box in boxes(whole)}
    place = data.draw(st.integers(0, len(whole) - 1).filter(lambda place: place not in ends))
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[:place])
    assert refused(path).cut


def test_a_fragment_without_its_pictures_is_seen(tmp_path, fragmented):
    whole = fragmented.read_bytes()
    for box in boxes(whole):
        if box.kind == "moof":
            path = tmp_path / "cut.mp4"
            path.write_bytes(whole[: box.end])
            assert refused(path).cut


def test_bytes_after_the_last_box_are_refused(tmp_path, film):
    path = tmp_path / "longer.mp4"
    for more in (b"\0", b"\0\0\0\0", b"garbage!!", b"\0\0\0\x09free"):
        path.write_bytes(film.read_bytes() + more)
        refused(path)


def test_a_zeroed_block_is_found_by_decoding(spoiled, film):
    with av.open(str(film)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size > 300]
    found = 0
    for packet in random.Random(1).sample(packets, 12):
        path = spoiled((packet.pos + packet.size // 2, bytes(100)))
        check_boxes(path)
        try:
            check(path, VideoLimits())
        except VideoRefused as refusal:
            found += not refusal.cut
    assert found >= 11  # what an encoder makes of a picture may by chance survive


def test_a_larger_zeroed_block_is_found_through_the_front_door(spoiled, film):
    mdat = inner(film.read_bytes(), "mdat")
    with pytest.raises(VideoRefused, match=r"decoded|damaged"):
        probe(spoiled((mdat.body + (mdat.end - mdat.body) // 2, bytes(16384))))


def test_a_huge_declared_length_is_refused(spoiled, film):
    data = film.read_bytes()
    times = inner(data, "moov", "trak", "mdia", "minf", "stbl", "stts")
    edits = inner(data, "moov", "trak", "edts", "elst")
    thirteen_minutes_each = (times.body + 12, struct.pack(">I", 12_000_000))
    shown_whole = (edits.body + 8, struct.pack(">I", 2**31))
    assert "s long, more than 21,600 s" in refused(spoiled(thirteen_minutes_each, shown_whole)).reason


def test_headers_that_lie_about_the_length_are_not_believed(spoiled, film):
    data = film.read_bytes()
    movie, media = inner(data, "moov", "mvhd"), inner(data, "moov", "trak", "mdia", "mdhd")
    lies = [(box.body + 16, struct.pack(">I", 2**31)) for box in (movie, media)]
    assert check(spoiled(*lies), VideoLimits()).seconds == 2.0


def test_a_film_in_fragments_that_ends_before_its_declared_length_is_a_cut(make_film, tmp_path):
    whole = make_film(flags="+frag_keyframe+dash+global_sidx").read_bytes()
    end = next(box.end for box in boxes(whole) if box.kind == "mdat")
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[:end])
    check_boxes(path)
    refusal = refused(path)
    assert refusal.cut
    assert "ends after 0.8 s of the 2.0 s" in refusal.reason


@pytest.mark.parametrize("size", [0, 7, 2**31 - 1, 2**32 - 1])
def test_impossible_sizes_of_outer_boxes_are_refused(spoiled, film, size):
    for kind in ("ftyp", "moov"):
        refused(spoiled((inner(film.read_bytes(), kind).start, struct.pack(">I", size))))


def test_a_box_shorter_than_its_header_is_refused(tmp_path, film):
    path = tmp_path / "short.mp4"
    for header in (b"\0\0\0\x07free", b"\0\0\0\x01free" + struct.pack(">Q", 15)):
        path.write_bytes(film.read_bytes() + header + bytes(16))
        assert "can't be" in refused(path).reason


def test_a_long_box_is_read_by_its_long_length(tmp_path, film):
    path = tmp_path / "long.mp4"
    path.write_bytes(film.read_bytes() + b"\0\0\0\x01free" + struct.pack(">Q", 20) + b"1234")
    assert check_boxes(path) == path.stat().st_size
    path.write_bytes(film.read_bytes() + b"\0\0\0\x01free" + struct.pack(">Q", 2**63) + b"1234")
    assert refused(path).cut


def test_countless_boxes_are_refused(tmp_path):
    path = tmp_path / "boxes.mp4"
    path.write_bytes(b"\0\0\0\x08free" * 200_001)
    assert "more than 200,000 boxes" in refused(path).reason


def test_a_boxs_name_is_shown_without_control_characters(tmp_path, film):
    path = tmp_path / "name.mp4"
    path.write_bytes(film.read_bytes() + b"\0\0\xff\xff\x1b[2'")
    assert "'?[2?' box" in refused(path).reason


def test_an_index_of_a_hundred_million_samples_eats_no_memory_of_ours(spoiled, film):
    sizes = inner(film.read_bytes(), "moov", "trak", "mdia", "minf", "stbl", "stsz")
    chunks = inner(film.read_bytes(), "moov", "trak", "mdia", "minf", "stbl", "stsc")
    hostile = spoiled(
        (sizes.body + 4, struct.pack(">II", 1, 100_000_000)),
        (chunks.body + 8, struct.pack(">III", 1, 100_000_000, 1)),
    )
    with pytest.raises(VideoRefused):
        probe(hostile, VideoLimits(cpu_seconds=5, memory_bytes=512 * 2**20))


@settings(SHARING, max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=6,
    )
)
def test_changes_to_the_index_never_break_the_checker(spoiled, film, changes):
    moov = inner(film.read_bytes(), "moov")
    places = [(moov.body + int(where * (moov.end - moov.body - 8)), new) for where, new in changes]
    path = spoiled(*places)
    try:
        check_boxes(path)
        facts = check(path, VideoLimits())
    except VideoRefused:
        return
    assert 0 <= facts.seconds <= 6 * 3600
