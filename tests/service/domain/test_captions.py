import html
import itertools
import re
import unicodedata
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.captions import Narration, captions


@dataclass(frozen=True)
class Cue:
    start: int
    end: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return html.unescape(" ".join(self.lines))


TIMING = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})")
PAYLOAD = re.compile(r"(?:[^&<>]|&amp;|&lt;|&gt;)+")


def read_strictly(text: str) -> list[Cue]:
    """What a browser would see; anything that isn't a plain cue is a failure (W3C WebVTT, 4.1)."""
    assert text.startswith("WEBVTT\n\n")
    assert text.endswith("\n")
    text.encode()
    assert not set(text) & set("\r\0\u2028\u2029")
    cues = []
    for block in text.removeprefix("WEBVTT\n\n").removesuffix("\n").split("\n\n"):
        timing, *lines = block.split("\n")
        match = TIMING.fullmatch(timing)
        assert match, block
        h, m, s, ms, h2, m2, s2, ms2 = map(int, match.groups())
        assert 1 <= len(lines) <= 2, block
        assert all(PAYLOAD.fullmatch(line) and line.strip() == line for line in lines), block
        cues.append(
            Cue(((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2, tuple(lines))
        )
    assert cues
    return cues


def read(scenes: list[Narration], seconds: float) -> list[Cue]:
    text = captions(scenes, seconds)
    assert text is not None
    return read_strictly(text)


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in html.unescape(line))


def test_scenes_share_the_video_equally():
    cues = read([Narration("One."), Narration("Two."), Narration("Three.")], 15)
    assert cues == [Cue(0, 5000, ("One.",)), Cue(5000, 10000, ("Two.",)), Cue(10000, 15000, ("Three.",))]


def test_a_silent_scene_keeps_its_share():
    assert read([Narration("  \n"), Narration("Two.")], 10) == [Cue(5000, 10000, ("Two.",))]


def test_a_given_length_is_kept_and_the_others_share_the_rest():
    cues = read([Narration("a", 2), Narration("b"), Narration("c")], 10)
    assert [(cue.start, cue.end) for cue in cues] == [(0, 2000), (2000, 6000), (6000, 10000)]


def test_lengths_beyond_the_video_are_scaled_to_it():
    cues = read([Narration("a", 30), Narration("b", 10)], 8)
    assert [(cue.start, cue.end) for cue in cues] == [(0, 6000), (6000, 8000)]


@pytest.mark.parametrize("length", [0, -3, float("nan"), float("inf")])
def test_a_senseless_length_counts_as_none(length):
    cues = read([Narration("a", length), Narration("b")], 10)
    assert [(cue.start, cue.end) for cue in cues] == [(0, 5000), (5000, 10000)]


def test_long_text_becomes_cues_of_two_lines_timed_by_length():
    text = "The lighthouse keeper climbs the stairs every evening and lights the lamp. " * 4
    cues = read([Narration(text)], 20)
    assert len(cues) > 2
    assert all(columns(line) <= 42 for cue in cues for line in cue.lines)
    assert " ".join(cue.text for cue in cues) == text.strip()
    assert cues[0].start == 0
    assert cues[-1].end == 20000
    assert all(a.end == b.start for a, b in itertools.pairwise(cues))
    pace = [len(cue.text) / (cue.end - cue.start) for cue in cues]
    assert max(pace) < 1.1 * min(pace)


def test_hours_are_written_out():
    assert read([Narration("a"), Narration("b")], 10800)[1].start == 5_400_000


@pytest.mark.parametrize(
    ("narration", "shown"),
    [
        ("a --> b & <i>c</i>", "a --> b & <i>c</i>"),
        ("First.\n\n00:00:01.000 --> 00:00:02.000\nForged.", "First. 00:00:01.000 --> 00:00:02.000 Forged."),
        ("NOTE hidden\n\nSTYLE\n::cue { color: red }", "NOTE hidden STYLE ::cue { color: red }"),
        ("one\r\n\r\ntwo\u2028three\x85four\x0bfive\x1dsix", "one two three four five six"),
        ("a\0b\x1b[31mc\x7fd", "a b [31mc d"),
        ("evil\u202egnp.exe\u2066x\u2069\ufeff", "evilgnp.exex"),
        ("lone \ud800 surrogate \ufffe", "lone surrogate"),
        ("&amp; stays", "&amp; stays"),
    ],
)
def test_hostile_text_is_shown_and_never_obeyed(narration, shown):
    [cue] = read([Narration(narration)], 10)
    assert cue.text == shown


def test_chinese_and_japanese_break_without_spaces_and_keep_their_stops():
    text = "昔々、あるところにおじいさんとおばあさんが住んでいました。ある日、おじいさんは山へ芝刈りに行きました。"
    cues = read([Narration(text)], 10)
    lines = [line for cue in cues for line in cue.lines]
    assert "".join(lines) == text
    assert max(map(columns, lines)) <= 44  # 42, and a stop that hangs over rather than starting a line
    assert not any(line[0] in "、。" for line in lines)


def test_text_of_nothing_but_marks_is_no_error():
    assert read([Narration("\u0300 \u0301")], 10)[0].end == 10000


def test_joined_emoji_and_marks_are_never_torn():
    family = "👨\u200d👩\u200d👧"
    cues = read([Narration("नमस्ते" * 20 + " " + family * 30)], 30)
    starts = [line[0] for cue in cues for line in cue.lines]
    assert not any(unicodedata.category(first).startswith("M") or first == "\u200d" for first in starts)
    assert "".join(line for cue in cues for line in cue.lines).count(family) == 30


@pytest.mark.parametrize("scenes", [[], [Narration("")], [Narration(" \n\t"), Narration("\u202e\0")]])
def test_nothing_spoken_gives_no_file(scenes):
    assert captions(scenes, 10) is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_video_without_length_gives_no_file(seconds):
    assert captions([Narration("a")], seconds) is None


def test_more_text_than_anyone_could_read_is_left_out():
    cues = read([Narration("word " * 200_000)] * 3, 9)
    assert all(cue.end - cue.start >= 290 for cue in cues)
    assert cues[-1].end == 9000


def test_more_scenes_than_anyone_could_see_cost_nothing():
    assert captions([Narration("word " * 2000)] * 20_000, 10) is None


@given(
    scenes=st.lists(
        st.builds(
            Narration,
            st.text(st.characters() | st.sampled_from("\n\r-><&\u202e\0"), max_size=400),
            st.none() | st.floats(),
        ),
        max_size=8,
    ),
    seconds=st.floats(0.001, 30000),
)
def test_whatever_is_said_the_file_stays_valid(scenes, seconds):
    text = captions(scenes, seconds)
    if text is None:
        return
    cues = read_strictly(text)
    assert all(cue.start < cue.end for cue in cues)
    assert all(a.end <= b.start for a, b in itertools.pairwise(cues))
    assert cues[-1].end <= round(seconds * 1000) + 1
