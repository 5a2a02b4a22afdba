import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video_store import check_key, safe_segment

TEXTS = st.text(st.characters() | st.sampled_from("aA.-_/\\x0"), max_size=120)


@pytest.mark.parametrize(
    "id_", ["66f1c2", "0d9c2b9e-6c5f-4a53-8d3a-2f8e1a1b9c11", "story_7", "a.b", "a" * 80]
)
def test_usual_ids_stay_as_they_are(id_):
    assert safe_segment(id_) == id_


@pytest.mark.parametrize(
    "id_",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "A",
        ".hidden",
        "-rf",
        "con",
        "nul.mp4",
        "a ",
        "a.",
        "é",
        "a\0",
        "a" * 81,
        "\ud800",
        "~",
        "%2e%2e",
        "a:b",
        "x\n",
        "\u202e",
    ],
)
def test_unusual_ids_are_marked(id_):
    assert re.fullmatch(r"[a-z0-9-]{1,46}-x[0-9a-f]{32}", safe_segment(id_))


def test_a_marked_name_is_no_other_ids_name():
    marked = safe_segment("Story")
    assert safe_segment(marked) != marked
    assert safe_segment("story") != marked


@given(TEXTS)
def test_every_text_gives_one_segment_that_any_store_takes(text):
    segment = safe_segment(text)
    assert segment.isascii()
    assert segment == segment.lower() == unicodedata.normalize("NFD", segment)
    assert len(segment) <= 80
    assert check_key(f"{segment}/video.mp4").count("/") == 1


@given(TEXTS, TEXTS)
def test_two_texts_never_share_a_segment(one, other):
    assert (safe_segment(one) == safe_segment(other)) == (one == other)


@given(TEXTS.map(str.swapcase), st.integers(0, 50))
def test_nor_do_texts_that_differ_in_case_or_shape_alone(text, cut):
    for other in (text.swapcase(), text[:cut], unicodedata.normalize("NFKD", text), safe_segment(text)):
        if other != text:
            assert safe_segment(other).casefold() != safe_segment(text).casefold()


@pytest.mark.parametrize("key", ["video.mp4", "a/b/c.mp4", "ü/x y.txt", "...", "a/.hidden", "~", "a" * 255])
def test_plain_keys_pass(key):
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    [
        *(
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/./b",
            "a/../b",
            "a\\b",
            "a\nb",
            "a\x7f",
            "\u202ea",
            "\ud800",
        ),
        *(".incoming", ".incoming/x", ".INCOMING/x", "a" * 256, "é" * 128, "/".join(["a" * 100] * 11)),
    ],
)
def test_other_keys_are_refused(key):
    with pytest.raises(ValueError, match=r"path|backslash|too long|whole yet"):
        check_key(key)


@given(st.text(st.characters() | st.sampled_from("./\\"), max_size=60))
def test_a_key_that_passes_stays_in_its_folder(tmp_path_factory, key):
    try:
        check_key(key)
    except ValueError:
        return
    root = tmp_path_factory.getbasetemp() / "root"
    assert (root / key).resolve().is_relative_to(root.resolve())
    assert (root / key).resolve() != root.resolve()
