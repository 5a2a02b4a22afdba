"""Prices by the V2 reference's table and formula."""

from decimal import Decimal
from typing import Any, get_args

import pytest

from service.story_api import RATES, estimate, request_from_json
from service.story_api.vocabulary import AutoVideoTool

NATIVE = '{"native_audio": true}'


def price(kind: str = "idea", **given: Any) -> int:
    base = (
        {"image_urls": ["https://example.com/1.jpg"]} if kind == "images" else {"idea": "https://example.com"}
    )
    return estimate(request_from_json(kind, base | given)).credits


@pytest.mark.parametrize("tool", ["Auto", "KlingAI", "Seedance", "Pixverse", "VeoFast", "Vidu"])
def test_standard_tools_cost_ten_a_second(tool: str) -> None:
    assert price(video_tool=tool, scene_count=1, scene_duration=1) == 10


@pytest.mark.parametrize("tool", ["AutoT1", "PVideo", "VeoLite"])
def test_economy_tools_cost_five_a_second(tool: str) -> None:
    assert price(video_tool=tool, scene_count=1, scene_duration=1) == 5


def test_every_tool_has_one_rate() -> None:
    assert sorted(tool for row in RATES for tool in row.video_tools) == sorted(get_args(AutoVideoTool))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"video_tool": "Vidu"}, 150),  # the reference's example says 75, against its own table
        ({"video_tool": "Auto", "scene_count": 3, "scene_duration": 5}, 150),
        ({"video_tool": "AutoT1", "scene_count": 5, "audio_option": {"native_audio": True}}, 250),
        (
            {
                "video_tool": "VeoFast",
                "scene_count": 5,
                "scene_duration": 10,
                "audio_option": '{"native_audio":true}',
            },
            1000,
        ),
    ],
)
def test_examples_of_the_reference(given: dict[str, Any], expected: int) -> None:
    assert price("idea", **given) == expected
    assert price("url", **given) == expected


def test_defaults_are_priced() -> None:
    assert price() == 10 * 3 * 5


def test_narration_and_music_cost_nothing() -> None:
    assert price(audio_option={"has_narration": True, "has_bg_music": True}) == price()
    assert price(audio_option=None) == price()


def test_each_image_is_a_scene() -> None:
    images = [f"https://example.com/{number}.jpg" for number in range(7)]
    assert price("images", image_urls=images, scene_duration=2) == 10 * 7 * 2


def test_an_estimate_shows_its_reckoning() -> None:
    request = request_from_json(
        "idea", {"idea": "x", "video_tool": "VeoLite", "audio_option": {"native_audio": True}}
    )
    told = estimate(request)
    assert told.formula == "5 × 3 scenes × 5 s × 2 (native audio) = 150 credits"
    assert told.dollars == Decimal("1.50")
    assert str(told.dollars) == "1.50"
    assert (told.rate.tier, told.rate.credits_per_second) == ("Economy", 5)
