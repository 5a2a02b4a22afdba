import json
from typing import Literal, get_args, get_origin

import click
import pytest

from service.cli.program import storyrelay
from service.cli.request_options import _MEANINGS
from service.story_api import KINDS, AudioOption

FIELDS = {name: field for model in KINDS.values() for name, field in model.model_fields.items()}
INNER = AudioOption.model_fields


@pytest.fixture(params=["submit", "estimate"])
def command(request) -> click.Command:
    found = storyrelay.get_command(click.Context(storyrelay), request.param)
    assert found is not None
    return found


def option(command: click.Command, name: str) -> click.Option:
    return next(each for each in command.params if isinstance(each, click.Option) and each.name == name)


@pytest.mark.parametrize("name", sorted((FIELDS | INNER).keys() - {"image_urls"}))
def test_every_field_of_a_request_is_an_option_that_says_what_it_is(command, name):
    assert name in _MEANINGS, "say in people's words what the new field means"
    assert _MEANINGS[name] in str(option(command, name).help)


def test_no_meaning_is_left_of_a_field_that_is_gone():
    assert _MEANINGS.keys() <= (FIELDS | INNER).keys()


@pytest.mark.parametrize(
    "name", [name for name, field in (FIELDS | INNER).items() if get_origin(field.annotation) is Literal]
)
def test_choices_are_those_of_the_model_and_shown_in_help(bare, command, name):
    field = (FIELDS | INNER)[name]
    choice = option(command, name).type
    assert isinstance(choice, click.Choice)
    assert tuple(choice.choices) == get_args(field.annotation)
    assert f"[{'|'.join(choice.choices)}]" in bare.done(str(command.name), "--help", COLUMNS="500").stdout
    assert f"[default: {field.default}]" in str(option(command, name).help)


def request(bare, *words: str, stdin: str | None = None) -> dict[str, object]:
    """What would be sent."""
    result = bare.done("submit", *words, "--dry-run", "--json", stdin=stdin)
    return json.loads(result.stdout)["request"]


def refusal(bare, *words: str, stdin: str | bytes | None = None) -> str:
    result = bare.run("submit", "--dry-run", *words, stdin=stdin)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def test_only_what_was_said_is_sent(bare):
    assert request(bare, "idea", "A day at sea") == {"idea": "A day at sea"}


def test_words_without_quotes_are_one_idea(bare):
    assert request(bare, "idea", "A", "day", "at", "sea") == {"idea": "A day at sea"}


def test_options_may_stand_anywhere(bare):
    assert request(bare, "--scene-count", "2", "idea", "x", "--language", "German") == {
        "idea": "x", "scene_count": 2, "language": "German",
    }  # fmt: skip


def test_all_options_together(bare):
    words = (
        "idea", "x", "--title", "T", "--scene-count", "4", "--scene-duration", "20", "--image-tool", "seedream",
        "--video-tool", "VIDU", "--aspect-ratio", "9:16", "--transition", "--language", "Korean",
        "--narrator", "Rachel", "--no-bg-music", "--native-audio",
        "--elements", '{"objects": [{"name": "a", "description": "b"}]}',
    )  # fmt: skip
    assert request(bare, *words) == {
        "idea": "x", "title": "T", "scene_count": 4, "scene_duration": 20, "image_tool": "Seedream",
        "video_tool": "Vidu", "aspect_ratio": "9:16", "is_transition": True, "language": "Korean",
        "audio_option": {"narrator": "Rachel", "has_bg_music": False, "native_audio": True},
        "elements": {"objects": [{"name": "a", "description": "b"}]},
    }  # fmt: skip


def test_images_take_addresses_and_an_idea(bare):
    sent = request(bare, "images", "https://x.example/1.jpg", "https://x.example/2.jpg", "--idea", "A walk")
    assert sent == {"image_urls": ["https://x.example/1.jpg", "https://x.example/2.jpg"], "idea": "A walk"}


def test_a_page_may_come_within_prose(bare):
    assert request(bare, "url", "about", "https://x.example/a")["idea"] == "about https://x.example/a"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what the video is about"),
        (("idea",), "idea"),
        (("idea", "  "), "not blank"),
        (("images",), "at least one text"),
        (("images", "no-address"), "http://"),
        (("url", "no address here"), "http://"),
        (("ideas", "x"), "did you mean 'idea'"),
        (("A day at sea",), 'idea "A day at sea"'),
        (("idea", "x", "--scene-count", "0"), "1<=x"),
        (("idea", "x", "--scene-count", "three"), "three"),
        (("idea", "x", "--scene-duration", "21"), "1<=x<=20"),
        (("idea", "x", "--video-tool", "Kling"), "did you mean 'KlingAI'"),
        (("idea", "x", "--aspect-ratio", "16:10"), "16:9"),
        (("idea", "x", "--language", "Klingon"), "Arabic"),
        (("images", "https://x.example/1.jpg", "--scene-count", "2"), "each image makes one scene"),
        (("images", "https://x.example/1.jpg", "--image-tool", "AutoI"), "the images are given"),
        (("images", "https://x.example/1.jpg", "--elements", "{}"), "elements"),
        (("idea", "x", "--idea", "y"), "the same field"),
        (("idea", "x", "--elements", "{"), "this is no JSON"),
        (("idea", "x", "--elements", "[]"), "elements"),
        (("idea", "x", "--elements", '{"scenes": []}'), "made from the idea"),
        (("idea", "x", "--elements", "@/no/such/file.json"), "/no/such/file.json"),
        (("idea", "x", "--audio-option", "3"), "audio_option"),
        (("idea", "x", "--audio-option", "3", "--narrator", "Rachel"), "no object"),
        (("idea", "x", "--narrator", "Racheal"), "did you mean 'Rachel'"),
        (("--file", "/no/such/file.json", "--kind", "idea"), "No such file"),
        (("--file", "/tmp", "--kind", "idea"), "Is a directory"),
        (("idea", "--kind", "url", "x"), "contradict"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_before_anything_is_sent(bare, words, said):
    assert said in refusal(bare, *words)


def test_a_file_brings_the_request(bare):
    path = bare.path / "story.json"
    path.write_text(json.dumps({"idea": "x", "scene_count": 5}), encoding="utf-8-sig")
    assert request(bare, "--file", str(path), "--kind", "idea") == {"idea": "x", "scene_count": 5}


def test_options_win_over_the_file(bare):
    path = bare.path / "story.json"
    path.write_text(json.dumps({"idea": "x", "scene_count": 5, "audio_option": {"narrator": "Bill"}}))
    sent = request(bare, "--file", str(path), "idea", "--scene-count", "2", "--native-audio")
    assert sent == {"idea": "x", "scene_count": 2, "audio_option": {"narrator": "Bill", "native_audio": True}}


def test_a_file_may_name_its_kind_and_come_by_standard_input(bare):
    given = json.dumps({"kind": "url", "idea": "https://x.example"})
    assert request(bare, "--file", "-", stdin=given) == {"idea": "https://x.example"}


def test_a_file_with_images_needs_no_kind(bare):
    given = json.dumps({"image_urls": ["https://x.example/1.jpg"]})
    assert request(bare, "--file", "-", stdin=given) == {"image_urls": ["https://x.example/1.jpg"]}


def test_elements_come_from_a_file(bare):
    path = bare.path / "elements.json"
    path.write_text('{"characters": [{"name": "Ann", "description": "tall"}]}')
    sent = request(bare, "idea", "x", "--elements", f"@{path}")
    assert sent["elements"] == {"characters": [{"name": "Ann", "description": "tall"}]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"{", "line 1, column"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"[1, 2]", "a JSON object"),
        (b'"idea"', "a JSON object"),
        (b"null", "a JSON object"),
        (b'{"idea": "x"}', "--kind"),
        (b'{"kind": "movie", "idea": "x"}', "one of idea, url, images"),
        (b'{"kind": ["idea"], "idea": "x"}', "one of idea, url, images"),
        (b'{"kind": "idea"}', "idea: is missing"),
        (b'{"kind": "idea", "idea": 3}', "idea: 3 is refused"),
        (b'{"kind": "idea", "idea": "x", "scenecount": 3}', "did you mean scene_count"),
        (b'{"kind": "idea", "idea": "x", "webhook_url": "https://me.example"}', "an address of its own"),
        (b'{"kind": "idea", "idea": "x", "scene_count": NaN}', "no JSON"),
        (b'{"kind": "idea", "idea": "x", "scene_count": 1e999}', "scene_count"),
        (b"[" * 100_000, "no JSON"),
        (b" " * ((1 << 20) + 1), "larger than"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_told(bare, content, said):
    assert said in refusal(bare, "--file", "-", stdin=content)


@pytest.mark.parametrize("content", ["{", "{}", "[1]", '{"kind": "idea", "idea": 3}', '{"kind": "movie"}'])
def test_what_is_wrong_in_a_file_names_it(bare, content):
    path = bare.path / "story.json"
    path.write_text(content)
    assert repr(str(path)) in refusal(bare, "--file", str(path))
    assert "standard input" in refusal(bare, "--file", "-", stdin=content)


def test_a_file_that_contradicts_the_kind_is_told(bare):
    given = json.dumps({"kind": "url", "idea": "https://x.example"})
    assert "contradict" in refusal(bare, "--file", "-", "--kind", "idea", stdin=given)


def test_terminal_codes_in_what_was_typed_are_not_echoed(bare):
    assert "\x1b" not in refusal(bare, "idea", "x", "--video-tool", "\x1b[31mred")
