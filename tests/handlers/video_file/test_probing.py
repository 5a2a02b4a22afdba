import contextlib
from fractions import Fraction

import av
import pytest
from examples import SHARING
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.mp4_boxes import check_boxes
from handlers.video_decoder.checking import check
from handlers.video_file import VideoFacts, VideoLimits, VideoRefused, probe

B_FRAMES = (("preset", "medium"), ("bf", "3"), ("g", "30"))


def test_the_facts_of_a_film(film):
    assert probe(film) == VideoFacts(
        bytes=film.stat().st_size,
        seconds=2.0,
        width=160,
        height=120,
        video_codec="h264",
        audio_codec="aac",
        frames=30,
    )


@pytest.mark.parametrize(
    ("wishes", "size"),
    [
        ({"rotation": 90}, (120, 160)),
        ({"rotation": -90}, (120, 160)),
        ({"rotation": 180}, (160, 120)),
        ({"pixel_aspect": Fraction(4, 3)}, (213, 120)),
        ({"pixel_aspect": Fraction(4, 3), "rotation": 90}, (120, 213)),
        ({"size": (161, 119), "pix_fmt": "yuv444p"}, (161, 119)),
        ({"size": (2, 2)}, (2, 2)),
        ({"size": (90, 160)}, (90, 160)),
    ],
)
def test_sizes_are_as_displayed(make_film, wishes, size):
    facts = check(make_film(**wishes), VideoLimits())
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(
    "wishes",
    [
        {"flags": "+faststart"},
        {"flags": "-faststart"},
        {"flags": "+frag_keyframe"},
        {"flags": "+frag_keyframe+empty_moov+default_base_moof"},
        {"flags": "+frag_every_frame+dash+global_sidx"},
        {"encoder": B_FRAMES},
        {"encoder": (*B_FRAMES, ("x264-params", "open-gop=1"))},
        {"rate": 60},
        {"sound": False},
        {"seconds": 0.2},
        {"source": "color=c=black"},
    ],
)
def test_sound_films_of_every_shape_pass(make_film, wishes):
    path = make_film(**wishes)
    check_boxes(path)
    facts = check(path, VideoLimits())
    seconds = wishes.get("seconds", 2)
    assert facts.seconds == pytest.approx(seconds, abs=0.1)
    assert facts.frames == round(seconds * wishes.get("rate", 15))
    assert facts.audio_codec == ("aac" if wishes.get("sound", True) else None)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (VideoLimits(max_seconds=1.5), r"2 s long, more than 2 s"),
        (VideoLimits(max_side=100), r"160 × 120 pixels are too large"),
        (VideoLimits(max_pixels=160 * 119), r"too large"),
        (VideoLimits(max_streams=1), r"2 streams, more than 1"),
        (VideoLimits(max_bytes=1000), r"more than 1,000"),
    ],
)
def test_what_exceeds_a_limit_is_refused(film, limits, said):
    with pytest.raises(VideoRefused, match=said) as caught:
        probe(film, limits)
    assert not caught.value.cut


def test_the_rest_is_sampled_when_decoding_all_would_cost_too_much(film):
    assert check(film, VideoLimits(decode_seconds=0.001)).frames == 30


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        silence.rate = 48000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with pytest.raises(VideoRefused, match="no video stream"):
        probe(path)


PAGE = b"<!DOCTYPE html><html><head><title>Not found</title></head></html>"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (PAGE, "web page"),
        (b"\n\n  " + PAGE, "web page"),
        (b'{"message": "expired"}', "web page or other text"),
        (b"#EXTM3U\n#EXTINF:10\nfile:///etc/passwd\n", "other text"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "isn't an MP4"),
        (b"RIFF\x24\x00\x00\x00AVI LIST" + bytes(100), "isn't an MP4"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(100), "isn't an MP4"),
        (b"PK\x03\x04" + bytes(100), "isn't an MP4"),
        (bytes(5000), "isn't an MP4"),
    ],
)
def test_what_is_no_mp4_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "story.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoRefused, match=said):
        probe(path)


def test_a_playlist_in_an_mp4s_clothes_opens_nothing_else(tmp_path, film):
    path = tmp_path / "story.mp4"
    path.write_bytes(b"\0\0\0\x10ftyp#EXTM3U\n" + b"\0\0\0\x08moov\0\0\0\x08mdat")
    with pytest.raises(VideoRefused):
        probe(path)


@settings(SHARING, max_examples=60)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\0\0\0\x10ftypisom\0\0\0\0", b"\0\0\0\x08moov\0\0\0\x08mdat"]),
)
def test_junk_is_refused_and_nothing_else(tmp_path, junk, start):
    path = tmp_path / "story.mp4"
    path.write_bytes(start + junk)
    with contextlib.suppress(VideoRefused):
        check_boxes(path)
    with pytest.raises(VideoRefused, match=r"\w"):
        check(path, VideoLimits())


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "gone.mp4")
