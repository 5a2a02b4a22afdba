"""The videos themselves, looked at with the library's decoder."""

import io
import itertools

import av
import pytest

from service.emulator.cards import Words, size_of
from service.emulator.film import FilmPlan, draw_film, draw_still, frames_a_second
from service.emulator.films import Films
from service.emulator.font import _DRAWN, glyph, plain, wrap

SCENES = ("A fox walks home.", "A hen sleeps.", "It snows.", "日本語", "The end.")


def drawn(path, **changes):
    plan = FilmPlan(
        **{"title": "Fox", "scenes": SCENES[:3], "scene_seconds": 1, "aspect_ratio": "16:9", **changes}
    )
    draw_film(plan, 90, path)
    return plan


def colours(path):
    """The mean colour of each frame."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield tuple(round(sum(bytes(p)[:500]) / 500) for p in frame.planes[1:])


def loudness(path):
    """The largest sample of the whole sound."""
    with av.open(str(path)) as container:
        return max(max(memoryview(bytes(f.planes[0])).cast("f")) for f in container.decode(audio=0))


@pytest.mark.parametrize(
    ("ratio", "width", "height"),
    [("16:9", 640, 360), ("4:3", 480, 360), ("1:1", 360, 360), ("3:4", 360, 480), ("9:16", 360, 640)],
)
def test_sizes_have_the_ratio_and_are_even(ratio, width, height):
    assert (size_of(ratio, 360).width, size_of(ratio, 360).height) == (width, height)
    for side in range(90, 200):
        size = size_of(ratio, side)
        assert size.width % 2 == size.height % 2 == 0


@pytest.mark.parametrize("ratio", ["16:9", "4:3", "1:1", "3:4", "9:16"])
@pytest.mark.parametrize(("count", "seconds"), [(1, 1), (3, 1), (5, 2)])
def test_a_video_is_h264_and_aac_of_the_right_length(tmp_path, ratio, count, seconds):
    path = tmp_path / "film.mp4"
    plan = drawn(path, scenes=SCENES[:count], scene_seconds=seconds, aspect_ratio=ratio)
    fps = frames_a_second(plan.seconds)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height) == (size_of(ratio, 90).width, size_of(ratio, 90).height)
        assert video.frames == fps * count * seconds
        assert abs(container.duration / av.time_base - count * seconds) <= 1 / fps
        assert abs(float(audio.duration * audio.time_base) - count * seconds) <= 1024 / 44_100
        assert container.metadata["title"] == "Fox"


def test_the_index_comes_first(tmp_path):
    path = tmp_path / "film.mp4"
    drawn(path)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("transition", [False, True])
def test_each_scene_is_a_card_of_its_own(tmp_path, transition):
    path = tmp_path / "film.mp4"
    drawn(path, scenes=SCENES, transition=transition)
    runs = [(colour, len(list(frames))) for colour, frames in itertools.groupby(colours(path))]
    assert [length for _, length in runs] == [12] * 5
    assert len({colour for colour, _ in runs}) == 5


def test_something_moves_in_every_frame(tmp_path):
    path = tmp_path / "film.mp4"
    drawn(path)
    with av.open(str(path)) as container:
        frames = [bytes(frame.planes[0]) for frame in container.decode(video=0)]
    assert all(a != b for a, b in itertools.pairwise(frames))


def test_a_silent_story_has_a_silent_track(tmp_path):
    drawn(tmp_path / "loud.mp4")
    drawn(tmp_path / "silent.mp4", silent=True)
    assert loudness(tmp_path / "loud.mp4") > 0.05
    assert loudness(tmp_path / "silent.mp4") < 0.001


def test_the_same_plan_gives_the_same_bytes_and_another_cut_does_not(tmp_path):
    for name, cut in (("a", 1), ("b", 1), ("c", 2)):
        drawn(tmp_path / name, cut=cut)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_long_videos_have_a_bounded_number_of_frames():
    assert frames_a_second(15) == 12
    assert all(frames_a_second(seconds) * seconds <= 1_200 for seconds in range(1, 601))


def test_films_are_drawn_once_and_cleaned_up():
    films = Films(None, 90, None)
    plan = FilmPlan("Fox", SCENES[:1], 1, "1:1")
    first = films.request(plan).result()
    assert films.request(plan).result() is first
    assert first.path.exists()
    films.close()
    films.close()
    assert not first.path.parent.exists()


def test_a_given_folder_keeps_films(tmp_path):
    plan = FilmPlan("Fox", SCENES[:1], 1, "1:1")
    for _ in range(2):
        films = Films(tmp_path / "films", 90, None)
        film = films.request(plan).result()
        films.close()
    assert [p.name for p in (tmp_path / "films").iterdir()] == [film.path.name]


def test_a_still_is_a_jpeg():
    data = draw_still(Words("Fox", "Scene 1", "A fox walks."), 0, "4:3", 90)
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (120, 90)


def test_every_glyph_is_five_by_seven_and_no_two_are_alike():
    for character, rows in _DRAWN.items():
        assert [len(row) for row in rows.split()] == [5] * 7, character
        assert set(rows) <= set("#. "), character
    assert len(set(_DRAWN.values())) == len(_DRAWN)


def test_text_of_any_script_is_told_apart():
    assert plain("Übergrößé – ‘naïve’\n\x07\u202e…") == "UBERGROSSE - 'NAIVE' ..."
    assert len({glyph(c) for c in "日本語ابجд😀"}) == 8
    for character in "日\U0010ffff":
        assert [len(row) for row in glyph(character)] == [5] * 7


def test_long_text_is_broken_and_cut():
    assert wrap("ONE TWO THREE", 7, 9) == ["ONE TWO", "THREE"]
    assert wrap("A" * 20, 8, 2) == ["A" * 8, "A" * 5 + "..."]
    assert wrap("", 8, 2) == [""]


def test_a_story_from_the_api_is_such_a_video(shared, tmp_path):
    idea = "A fox walks home. A hen sleeps. It snows."
    path = tmp_path / "film.mp4"
    url = shared.video(idea, scene_count=3, scene_duration=2, aspect_ratio="9:16")
    path.write_bytes(shared.send("GET", url).body)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (90, 160)
        assert container.duration == 6 * av.time_base
    assert len(dict.fromkeys(colours(path))) == 3
