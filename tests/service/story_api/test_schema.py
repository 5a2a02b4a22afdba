"""Requests: every default, enum and bound of the V2 reference, checked before a byte is sent."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.story_api import (
    AudioOption,
    Concat,
    CreateElements,
    CreateScenes,
    CreateStoryboard,
    CreateVideos,
    Element,
    Elements,
    IdeaToVideo,
    ImagesToVideo,
    InvalidRequest,
    UrlToVideo,
    request_from_json,
)
from service.story_api import vocabulary as words
from service.story_api.refusals import SHOWN
from service.story_api.schema import Call

IDEA: dict[str, Any] = {"idea": "A fox learns to skate"}
PAGE: dict[str, Any] = {"idea": "About https://example.com/shop, quickly"}
IMAGES: dict[str, Any] = {"image_urls": ["https://example.com/1.jpg", "http://example.com/2.png"]}
STORYBOARD: dict[str, Any] = {"characters": [], "environments": [], "objects": [], "scenes": [{"name": "1"}]}

AUTOMATIC = [(IdeaToVideo, IDEA), (UrlToVideo, PAGE), (ImagesToVideo, IMAGES)]
FROM_TEXT = AUTOMATIC[:2]
RATIOS = "16:9 4:3 1:1 3:4 9:16"
LANGUAGES = "Arabic Chinese English French German Hindi Japanese Korean Spanish Turkish"
AUTO_IMAGE = "AutoI Seedream FluxTurbo NanoBanana QwenImage"
IMAGE = (
    "AutoI Seedream NanoBananaT2 NanoBananaPro QwenImage GPTImage FluxPro FluxTurbo NanoBanana FluxKontextPro "
    "StableDiffusion3.5 Auto"
)
AUTO_VIDEO = "Auto KlingAI Seedance Pixverse VeoFast Vidu AutoT1 VeoLite PVideo"
VIDEO = (
    "Auto AutoT3 AutoT1 Grok KlingAI KlingT3 VeoLite VeoFast Veo RunwayML MinimaxHailuo Seedance SeedanceFast "
    "SeedanceT6 Pixverse PixverseT3 Hunyuan Vidu PVideo StaticMotion Wan Sora SoraPro LumaAI LumaRay2"
)
VOICES = (
    "AutoV Rachel Aria Roger Sarah Laura Charlie George Callum River Liam Charlotte Alice Matilda Will Jessica "
    "Eric Chris Brian Daniel Lily Bill"
)

ENUMS = [
    *((model, base, "video_tool", AUTO_VIDEO) for model, base in AUTOMATIC),
    *((model, base, "aspect_ratio", RATIOS) for model, base in AUTOMATIC),
    *((model, base, "language", LANGUAGES) for model, base in AUTOMATIC),
    *((model, base, "image_tool", AUTO_IMAGE) for model, base in FROM_TEXT),
    (CreateElements, {}, "image_tool", IMAGE),
    (CreateElements, {}, "aspect_ratio", RATIOS),
    (CreateScenes, {}, "image_tool", IMAGE),
    (CreateVideos, {}, "video_tool", VIDEO),
]
BOUNDS = [
    *((model, base, "scene_duration", 1, 20) for model, base in AUTOMATIC),
    (CreateVideos, {}, "duration", 1, 10),
    (CreateVideos, {}, "loop", 1, 6),
]
DEFAULTS: list[tuple[type[Call], dict[str, Any], dict[str, Any]]] = [
    *(
        (
            model,
            base,
            {
                "scene_count": 3,
                "image_tool": "AutoI",
                "video_tool": "Auto",
                "scene_duration": 5,
                "aspect_ratio": "16:9",
                "is_transition": False,
                "elements": None,
                "audio_option": None,
                "language": "English",
                "title": "",
            },
        )
        for model, base in FROM_TEXT
    ),
    (
        ImagesToVideo,
        IMAGES,
        {
            "idea": "Create a stunning video showcasing these images with a compelling narrative",
            "video_tool": "Auto",
            "is_transition": False,
            "scene_duration": 5,
            "aspect_ratio": "16:9",
            "audio_option": None,
            "language": "English",
            "title": "",
        },
    ),
    (CreateStoryboard, IDEA, {"story_id": None, "scene_count": 3, "language": "English"}),
    (CreateElements, {}, {"image_tool": "AutoI", "aspect_ratio": "16:9", "storyboard": None}),
    (CreateScenes, {}, {"image_tool": "Seedream", "storyboard": None, "audio_option": None}),
    (
        CreateVideos,
        {},
        {
            "title": "",
            "storyboard": None,
            "is_transition": False,
            "video_tool": "Auto",
            "duration": 5,
            "loop": 1,
        },
    ),
    (Concat, {}, {}),
]


def problems(model: type[Call], data: object) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        model.read(data)
    return {problem.field: str(problem) for problem in refused.value.problems}


@pytest.mark.parametrize(("model", "base", "field", "names"), ENUMS)
def test_each_name_of_an_enum_passes_and_another_is_told_all_of_them(
    model: type[Call], base: dict[str, Any], field: str, names: str
) -> None:
    for name in names.split():
        assert model.read({**base, field: name}).body()[field] == name
    assert problems(model, {**base, field: "none such"}) == {
        field: f'{field}: "none such" is refused; allowed: one of {", ".join(names.split())}'
        + (", or null" if (model, field) == (CreateElements, "aspect_ratio") else "")
    }


@pytest.mark.parametrize(("model", "base", "field", "least", "most"), BOUNDS)
def test_bounds_pass_and_what_is_beyond_is_told_the_range(
    model: type[Call], base: dict[str, Any], field: str, least: int, most: int
) -> None:
    for number in (least, most):
        assert model.read({**base, field: number}).body()[field] == number
    for given_value in (least - 1, most + 1, True, "5", 5.0, None):
        assert f"{least} to {most}" in problems(model, {**base, field: given_value})[field]


@pytest.mark.parametrize("model_and_base", [*FROM_TEXT, (CreateStoryboard, IDEA)])
def test_scene_count_is_one_or_more(model_and_base: tuple[type[Call], dict[str, Any]]) -> None:
    model, base = model_and_base
    assert model.read({**base, "scene_count": 1}).body()["scene_count"] == 1
    assert model.read({**base, "scene_count": 500}).body()["scene_count"] == 500
    for given_value in (0, -1, 10**30, 2.5, "3", None):
        assert "1 or more" in problems(model, {**base, "scene_count": given_value})["scene_count"]


@pytest.mark.parametrize(("model", "base", "defaults"), DEFAULTS)
def test_defaults_are_those_of_the_reference_and_are_not_sent(
    model: type[Call], base: dict[str, Any], defaults: dict[str, Any]
) -> None:
    request = model.read(base)
    assert {name: getattr(request, name) for name in defaults} == defaults
    assert request.body() == base


@pytest.mark.parametrize(("model", "base", "defaults"), DEFAULTS)
def test_an_unknown_field_is_refused(
    model: type[Call], base: dict[str, Any], defaults: dict[str, Any]
) -> None:
    assert "there is no such field" in problems(model, {**base, "colour": "red"})["colour"]


def test_a_misspelt_field_is_told_the_nearest_right_name() -> None:
    assert "did you mean scene_count?" in problems(IdeaToVideo, {**IDEA, "scene_cuont": 3})["scene_cuont"]
    nested = problems(IdeaToVideo, {**IDEA, "audio_option": {"narator": "Bill"}})
    assert "did you mean narrator?" in nested["audio_option.narator"]


def test_a_misspelt_value_is_told_the_nearest_right_one() -> None:
    assert "did you mean KlingAI?" in problems(IdeaToVideo, {**IDEA, "video_tool": "Kling"})["video_tool"]
    assert "did you mean English?" in problems(IdeaToVideo, {**IDEA, "language": "english"})["language"]


def test_every_wrong_field_is_listed_at_once() -> None:
    found = problems(IdeaToVideo, {"scene_count": 0, "video_tool": "Sora", "is_transition": "yes", "x": 1})
    assert set(found) == {"idea", "scene_count", "video_tool", "is_transition", "x"}
    assert found["idea"] == "idea: is missing; allowed: a text that is not blank"
    assert found["is_transition"] == 'is_transition: "yes" is refused; allowed: true or false'


def test_the_text_says_that_nothing_was_sent_and_names_the_call() -> None:
    with pytest.raises(InvalidRequest, match=r"(?s)idea-2-video: not sent.*scene_count: 0 is refused"):
        IdeaToVideo(idea="x", scene_count=0)


@pytest.mark.parametrize("idea", ["", "  \n\t", None, 3, ["x"]])
def test_an_idea_is_a_text_that_is_not_blank(idea: object) -> None:
    assert "idea" in problems(IdeaToVideo, {"idea": idea})
    assert "idea" in problems(CreateStoryboard, {"idea": idea})


def test_a_storyboard_of_images_may_go_without_words() -> None:
    request = CreateStoryboard.read({"idea": "", **IMAGES})
    assert request.body() == {"idea": "", **IMAGES}


@pytest.mark.parametrize(
    "idea",
    [
        "https://example.com",
        "HTTP://EXAMPLE.COM/a?b=c",
        "See https://bücher.example/x.",
        "(http://[::1]:80/)",
    ],
)
def test_a_page_is_an_address_or_a_text_with_one(idea: str) -> None:
    assert UrlToVideo.read({"idea": idea}).body() == {"idea": idea}


@pytest.mark.parametrize(
    "idea", ["example.com", "ftp://example.com", "https://", "http:// x", "https://.", "www.x.y"]
)
def test_a_page_without_an_address_is_refused(idea: str) -> None:
    assert "http:// or https://" in problems(UrlToVideo, {"idea": idea})["idea"]


@pytest.mark.parametrize(
    "url",
    ["", "1.jpg", "ftp://e.com/1", "data:image/png;base64,AA", "https://e.com/a b", "https://", 3, None],
)
def test_images_are_http_addresses(url: object) -> None:
    for model, base in ((ImagesToVideo, {}), (CreateStoryboard, IDEA)):
        assert set(problems(model, {**base, "image_urls": [*IMAGES["image_urls"], url]})) == {"image_urls.2"}


@pytest.mark.parametrize("urls", [[], None, "https://example.com/1.jpg", {}])
def test_images_are_a_list_with_something_in_it(urls: object) -> None:
    assert "a list of at least one" in problems(ImagesToVideo, {"image_urls": urls})["image_urls"]


def test_images_bring_their_own_scenes_and_pictures() -> None:
    found = problems(ImagesToVideo, {**IMAGES, "scene_count": 2, "image_tool": "AutoI"})
    assert "each image makes one scene" in found["scene_count"]
    assert "leave it out" in found["image_tool"]
    assert ImagesToVideo.read(IMAGES).scenes == 2


def test_a_webhook_address_is_ours_to_make() -> None:
    for model, base in AUTOMATIC:
        found = problems(model, {**base, "webhook_url": "https://example.com/hook?token=s3cret"})[
            "webhook_url"
        ]
        assert "leave it out" in found
        assert "s3cret" not in found


class TestAudio:
    @pytest.mark.parametrize("voice", VOICES.split())
    def test_each_voice_passes(self, voice: str) -> None:
        assert AudioOption(narrator=voice).narrator == voice  # type: ignore[arg-type]  # from a list

    def test_there_are_22_voices(self) -> None:
        assert get_args(words.Narrator) == tuple(VOICES.split())
        assert len(get_args(words.Narrator)) == 22

    @pytest.mark.parametrize(("model", "base"), [*AUTOMATIC, (CreateStoryboard, IDEA), (CreateScenes, {})])
    def test_an_object_or_null_passes_everywhere(self, model: type[Call], base: dict[str, Any]) -> None:
        option = {"has_bg_music": True, "has_narration": False, "native_audio": True, "narrator": "Bill"}
        assert model.read({**base, "audio_option": option}).body()["audio_option"] == option
        assert model.read({**base, "audio_option": None}).body()["audio_option"] is None

    @pytest.mark.parametrize(("model", "base"), AUTOMATIC)
    def test_automatic_calls_take_its_json_as_a_text(self, model: type[Call], base: dict[str, Any]) -> None:
        request = model.read({**base, "audio_option": '{"native_audio": true}'})
        assert request.body()["audio_option"] == {"native_audio": True}
        assert model.read({**base, "audio_option": ""}).body()["audio_option"] is None

    @pytest.mark.parametrize("text", ["Rachel", "[]", "null", "{", "[" * 100_000])
    @pytest.mark.parametrize(("model", "base"), AUTOMATIC)
    def test_another_text_is_refused(self, model: type[Call], base: dict[str, Any], text: str) -> None:
        assert "its JSON as a text" in problems(model, {**base, "audio_option": text})["audio_option"]

    @pytest.mark.parametrize(("model", "base"), [(CreateStoryboard, IDEA), (CreateScenes, {})])
    def test_the_steps_take_no_text(self, model: type[Call], base: dict[str, Any]) -> None:
        assert "audio_option" in problems(model, {**base, "audio_option": '{"native_audio": true}'})

    @pytest.mark.parametrize(
        ("field", "value"),
        [("narrator", "Bob"), ("has_narration", 1), ("has_bg_music", "true"), ("native_audio", None)],
    )
    def test_wrong_values_are_named_by_their_place(self, field: str, value: object) -> None:
        text = problems(IdeaToVideo, {**IDEA, "audio_option": {field: value}})[f"audio_option.{field}"]
        assert "allowed: one of AutoV, Rachel" in text or "allowed: true or false" in text

    def test_defaults(self) -> None:
        assert AudioOption() == AudioOption(
            narrator="AutoV", has_narration=True, has_bg_music=True, native_audio=False
        )

    def test_native_audio_switches_narration_off(self) -> None:
        assert AudioOption().narrated
        assert not AudioOption(has_narration=False).narrated
        assert not AudioOption(has_narration=True, native_audio=True).narrated


class TestElements:
    @pytest.mark.parametrize(("model", "base"), [*FROM_TEXT, (CreateStoryboard, IDEA)])
    def test_scenes_are_refused(self, model: type[Call], base: dict[str, Any]) -> None:
        found = problems(model, {**base, "elements": {"scenes": []}})
        assert "scenes are made from the idea" in found["elements.scenes"]

    @pytest.mark.parametrize(("model", "base"), [*FROM_TEXT, (CreateStoryboard, IDEA)])
    def test_three_kinds_pass(self, model: type[Call], base: dict[str, Any]) -> None:
        one = {"name": "Fox", "description": "red", "image_url": ""}
        other = {"name": "Pond", "description": "frozen", "image_url": "https://example.com/p.jpg"}
        elements = {"characters": [one], "environments": [other], "objects": []}
        assert model.read({**base, "elements": elements}).body()["elements"] == elements

    def test_images_take_none(self) -> None:
        assert "no such field" in problems(ImagesToVideo, {**IMAGES, "elements": {}})["elements"]

    @pytest.mark.parametrize(
        ("element", "place"),
        [
            ({"name": "Fox"}, "description"),
            ({"description": "red"}, "name"),
            ({"name": "Fox", "description": "red", "image_url": "fox.jpg"}, "image_url"),
            ({"name": "Fox", "description": "red", "colour": "red"}, "colour"),
        ],
    )
    def test_an_element_has_a_name_and_a_description(self, element: dict[str, str], place: str) -> None:
        found = problems(IdeaToVideo, {**IDEA, "elements": {"characters": [element]}})
        assert list(found) == [f"elements.characters.0.{place}"]


class TestStoryboards:
    def test_elements_want_all_four_lists(self) -> None:
        assert CreateElements.read({"storyboard": STORYBOARD}).body() == {"storyboard": STORYBOARD}
        found = problems(CreateElements, {"storyboard": {"scenes": [], "objects": "x"}})["storyboard"]
        assert found.endswith("no list characters, environments, objects")

    @pytest.mark.parametrize("model", [CreateScenes, CreateVideos])
    def test_later_steps_take_any_object(self, model: type[Call]) -> None:
        assert model.read({"storyboard": {"x": [1, None]}}).body() == {"storyboard": {"x": [1, None]}}
        assert model.read({"storyboard": None}).body() == {"storyboard": None}
        assert "storyboard" in problems(model, {"storyboard": [1]})

    @pytest.mark.parametrize("model", [CreateElements, CreateScenes, CreateVideos])
    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_what_is_no_json_is_refused(self, model: type[Call], number: float) -> None:
        assert "plain JSON" in problems(model, {"storyboard": {**STORYBOARD, "x": number}})["storyboard"]

    @pytest.mark.parametrize("story_id", ["", "..", "a\nb", "x" * 201, "\ud800", 3])
    def test_a_storyboard_continues_a_story_by_a_usable_id(self, story_id: object) -> None:
        assert "story_id" in problems(CreateStoryboard, {**IDEA, "story_id": story_id})
        assert CreateStoryboard.read({**IDEA, "story_id": "a-1"}).body()["story_id"] == "a-1"


def test_concat_takes_addresses() -> None:
    urls = ["https://example.com/1.mp4"]
    body = {"concat_video_urls": urls, "audio_urls": urls}
    assert Concat.read(body).body() == body
    assert "audio_urls.0" in problems(Concat, {"audio_urls": ["1.mp3"]})


class TestGoldenBodies:
    def test_idea(self) -> None:
        request = IdeaToVideo(
            idea="A fox learns to skate",
            title="Fox",
            aspect_ratio="9:16",
            scene_count=4,
            image_tool="Seedream",
            audio_option=AudioOption(narrator="Bill", native_audio=False),
            elements=Elements(characters=(Element(name="Fox", description="red"),)),
        )
        assert request.body() == {
            "idea": "A fox learns to skate",
            "title": "Fox",
            "aspect_ratio": "9:16",
            "scene_count": 4,
            "image_tool": "Seedream",
            "audio_option": {"narrator": "Bill", "native_audio": False},
            "elements": {"characters": [{"name": "Fox", "description": "red"}]},
        }

    def test_a_default_that_was_asked_for_is_sent(self) -> None:
        assert IdeaToVideo(idea="x", scene_count=3).body() == {"idea": "x", "scene_count": 3}

    def test_steps(self) -> None:
        assert CreateElements(image_tool="GPTImage").body() == {"image_tool": "GPTImage"}
        assert CreateVideos(duration=10, loop=6).body() == {"duration": 10, "loop": 6}
        assert Concat().body() == {}


class TestFromJson:
    @pytest.mark.parametrize(
        ("kind", "data", "model"),
        [("idea", IDEA, IdeaToVideo), ("url", PAGE, UrlToVideo), ("images", IMAGES, ImagesToVideo)],
    )
    def test_each_kind(self, kind: str, data: dict[str, Any], model: type[Call]) -> None:
        request = request_from_json(kind, data)
        assert type(request) is model
        assert request.kind == kind
        assert request_from_json(kind, request.body()) == request

    def test_an_unknown_kind_is_told_the_nearest(self) -> None:
        with pytest.raises(InvalidRequest, match=r"did you mean images\? allowed: one of idea, url, images"):
            request_from_json("image", IMAGES)

    @pytest.mark.parametrize("data", [None, [], "idea", 3, [IDEA]])
    def test_only_an_object_is_a_body(self, data: object) -> None:
        with pytest.raises(InvalidRequest, match="allowed: a JSON object"):
            request_from_json("idea", data)

    @given(
        st.sampled_from(["idea", "url", "images"]),
        st.dictionaries(
            st.sampled_from([*IdeaToVideo.model_fields, "image_urls", "self", "webhook_url"]) | st.text(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            ),
        ),
    )
    def test_anything_is_a_request_or_a_readable_refusal(self, kind: str, data: dict[str, Any]) -> None:
        told: tuple[object, ...] = ()
        try:
            request = request_from_json(kind, data)
        except InvalidRequest as refused:
            told = (refused, *refused.problems)
        else:
            assert request_from_json(kind, request.body()).body() == request.body()
        assert all(line.isprintable() and line for each in told for line in str(each).split("\n"))


def test_what_was_given_is_cut_and_harmless() -> None:
    text = problems(IdeaToVideo, {**IDEA, "video_tool": "x\x1b[31m\u202e\n" * 1000})["video_tool"]
    assert len(text) < SHOWN + 200
    assert text.isprintable()
    signed = problems(ImagesToVideo, {"image_urls": ["ftp://user:hush@example.com/1.jpg?sig=s3cret"]})
    assert "s3cret" not in str(signed)
    assert "hush" not in str(signed)


def test_many_wrong_items_do_not_flood_the_message() -> None:
    found = problems(ImagesToVideo, {"image_urls": ["nonsense"] * 5000})
    assert len(found) == 20


def test_requests_can_not_be_changed() -> None:
    request = IdeaToVideo(idea="x")
    with pytest.raises(ValidationError):
        request.idea = "y"
