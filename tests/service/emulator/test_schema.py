"""The words, defaults and bounds of each call, written down a second time from the provider's page."""

import pytest

from service.emulator import schema

IMAGE = "AutoI Seedream FluxTurbo NanoBanana QwenImage"
STEP_IMAGE = (
    "AutoI Seedream NanoBananaT2 NanoBananaPro QwenImage GPTImage FluxPro FluxTurbo NanoBanana FluxKontextPro"
    " StableDiffusion3.5 Auto"
)
VIDEO = "Auto KlingAI Seedance Pixverse VeoFast Vidu AutoT1 VeoLite PVideo"
STEP_VIDEO = (
    "Auto AutoT3 AutoT1 Grok KlingAI KlingT3 VeoLite VeoFast Veo RunwayML MinimaxHailuo Seedance SeedanceFast"
    " SeedanceT6 Pixverse PixverseT3 Hunyuan Vidu PVideo StaticMotion Wan Sora SoraPro LumaAI LumaRay2"
)
RATIO = "16:9 4:3 1:1 3:4 9:16"
LANGUAGE = "Arabic Chinese English French German Hindi Japanese Korean Spanish Turkish"
VOICE = (
    "AutoV Rachel Aria Roger Sarah Laura Charlie George Callum River Liam Charlotte Alice Matilda Will Jessica"
    " Eric Chris Brian Daniel Lily Bill"
)
AUTOMATIC = {
    "video_tool": "Auto",
    "scene_duration": 5,
    "aspect_ratio": "16:9",
    "is_transition": False,
    "audio_option": None,
    "language": "English",
    "title": "",
    "webhook_url": "",
}
WITH_COUNT = {**AUTOMATIC, "scene_count": 3, "image_tool": "AutoI", "elements": None}


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        *((m, "video_tool", VIDEO) for m in (schema.IdeaToVideo, schema.UrlToVideo, schema.ImagesToVideo)),
        *((m, "aspect_ratio", RATIO) for m in (schema.IdeaToVideo, schema.UrlToVideo, schema.ImagesToVideo)),
        *((m, "language", LANGUAGE) for m in (schema.IdeaToVideo, schema.UrlToVideo, schema.ImagesToVideo)),
        *((m, "image_tool", IMAGE) for m in (schema.IdeaToVideo, schema.UrlToVideo)),
        *((m, "image_tool", STEP_IMAGE) for m in (schema.CreateElements, schema.CreateScenes)),
        *(
            (m, "aspect_ratio", RATIO)
            for m in (schema.CreateStoryboard, schema.CreateElements, schema.CreateScenes)
        ),
        (schema.CreateVideos, "video_tool", STEP_VIDEO),
        (schema.AudioOption, "narrator", VOICE),
    ],
)
def test_each_field_knows_exactly_the_words_of_the_page(model, field, words):
    described = model.model_json_schema()["properties"][field]
    known = described.get("enum") or described["anyOf"][0]["enum"]
    assert known == words.split()


@pytest.mark.parametrize(
    ("model", "required", "defaults"),
    [
        (schema.IdeaToVideo, {"idea": "x"}, WITH_COUNT),
        (schema.UrlToVideo, {"idea": "x"}, WITH_COUNT),
        (
            schema.ImagesToVideo,
            {"image_urls": ("x",)},
            {
                **AUTOMATIC,
                "idea": "Create a stunning video showcasing these images with a compelling narrative",
            },
        ),
        (
            schema.CreateStoryboard,
            {"idea": "x"},
            {
                "story_id": None,
                "scene_count": 3,
                "language": "English",
                "aspect_ratio": None,
                "audio_option": None,
                "elements": None,
                "image_urls": (),
                "title": "",
            },
        ),
        (schema.CreateElements, {}, {"image_tool": "AutoI", "aspect_ratio": None, "storyboard": None}),
        (
            schema.CreateScenes,
            {},
            {"image_tool": "Seedream", "aspect_ratio": None, "storyboard": None, "audio_option": None},
        ),
        (
            schema.CreateVideos,
            {},
            {
                "title": "",
                "storyboard": None,
                "is_transition": False,
                "video_tool": "Auto",
                "duration": 5,
                "loop": 1,
                "webhook_url": None,
            },
        ),
        (schema.Concat, {}, {"concat_video_urls": None, "audio_urls": None}),
        (
            schema.AudioOption,
            {},
            {"narrator": "AutoV", "has_narration": True, "has_bg_music": True, "native_audio": False},
        ),
    ],
)
def test_each_call_has_exactly_the_fields_and_defaults_of_the_page(model, required, defaults):
    assert dict(model(**required)) == {**required, **defaults}


@pytest.mark.parametrize(
    ("model", "field", "least", "most"),
    [
        (schema.IdeaToVideo, "scene_count", 1, None),
        (schema.UrlToVideo, "scene_count", 1, None),
        (schema.CreateStoryboard, "scene_count", 1, None),
        (schema.IdeaToVideo, "scene_duration", 1, 20),
        (schema.UrlToVideo, "scene_duration", 1, 20),
        (schema.ImagesToVideo, "scene_duration", 1, 20),
        (schema.CreateVideos, "duration", 1, 10),
        (schema.CreateVideos, "loop", 1, 6),
    ],
)
def test_each_number_has_the_bounds_of_the_page(model, field, least, most):
    described = model.model_json_schema()["properties"][field]
    assert (described["minimum"], described.get("maximum")) == (least, most)


def test_audio_option_says_what_is_to_be_heard():
    assert schema.AudioOption().narrated
    assert not schema.AudioOption(native_audio=True).narrated
    assert schema.AudioOption(has_narration=False, has_bg_music=False).silent
    assert not schema.AudioOption(has_narration=False, has_bg_music=False, native_audio=True).silent
