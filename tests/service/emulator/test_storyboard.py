"""Sentences become scenes, and what the caller has in mind is kept."""

import pytest

from service.emulator.schema import AudioOption, Element, Elements
from service.emulator.storyboard import Wish, make_storyboard, shares


@pytest.mark.parametrize(
    ("text", "count", "wanted"),
    [
        ("One. Two! Three?", 3, ["One.", "Two!", "Three?"]),
        ("One. Two. Three. Four.", 2, ["One. Two.", "Three. Four."]),
        ("a b c d", 2, ["a b", "c d"]),
        ("fox", 3, ["fox", "fox", "fox"]),
        ("一。二。三。", 3, ["一。", "二。", "三。"]),
        ("One line\n\nAnother line", 2, ["One line", "Another line"]),
    ],
)
def test_an_idea_is_shared_out_over_the_scenes(text, count, wanted):
    assert shares(text, count) == wanted


@pytest.mark.parametrize("count", range(1, 40))
def test_every_scene_has_text_and_none_is_lost(count):
    words = "The quick brown fox jumps. Over it, the lazy dog dreams on."
    parts = shares(words, count)
    assert len(parts) == count
    assert all(parts)
    if count <= len(words.split()):
        assert " ".join(parts) == words


def test_elements_of_the_caller_are_used_and_named_in_the_scenes():
    elements = Elements(characters=(Element(name="Pip", description="a rabbit"),))
    storyboard = make_storyboard(Wish("A walk.", 2, AudioOption(), elements))
    assert storyboard.characters == elements.characters
    assert all("With Pip" in scene.image_description for scene in storyboard.scenes)


def test_narration_and_music_follow_the_audio_option():
    def made(**audio):
        return make_storyboard(Wish("A walk. A rest.", 2, AudioOption(**audio), Elements()))

    assert [s.narrator for s in made().scenes] == ["A walk.", "A rest."]
    assert [s.narrator for s in made(native_audio=True).scenes] == ["", ""]
    assert [s.narrator for s in made(has_narration=False).scenes] == ["", ""]
    assert made().music is not None
    assert made(has_bg_music=False).music is None


def test_characters_and_places_are_found_in_the_idea():
    storyboard = make_storyboard(
        Wish("See Anna Maria in the warm barn. Then Bob.", 1, AudioOption(), Elements())
    )
    assert [e.name for e in storyboard.characters] == ["Anna Maria", "Bob"]
    assert [e.name for e in storyboard.environments] == ["warm barn"]


def test_an_idea_of_nothing_but_markers_still_makes_scenes():
    storyboard = make_storyboard(Wish("", 2, AudioOption(), Elements()))
    assert all(scene.narrator for scene in storyboard.scenes)
