"""Answers: the V2 shape, V1's shapes, and whatever else a server may say."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.delivery import Scene
from service.story_api import BadAnswer, Story, StoryStatus, parse_story

NEW: dict[str, Any] = {
    "id": "abc123-def456",
    "title": "Winter",
    "idea": "Snow on a mountain",
    "is_transition": False,
    "status": "new",
    "progress_percentage": 0,
    "aspect_ratio": "16:9",
    "used_credits": 300,
    "all_medias": [],
    "created_at": "2026-02-06T02:05:40.985431+00:00",
    "updated_at": "2026-02-06T02:10:00.000000+00:00",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=10,
)


def test_the_v2_shape() -> None:
    assert parse_story(NEW) == Story(
        id="abc123-def456",
        title="Winter",
        idea="Snow on a mountain",
        status=StoryStatus.NEW,
        status_text="new",
        progress=0,
        aspect_ratio="16:9",
        used_credits=300,
        video_url=None,
        message="",
        scenes=(),
        created_at=datetime(2026, 2, 6, 2, 5, 40, 985431, UTC),
        updated_at=datetime(2026, 2, 6, 2, 10, tzinfo=UTC),
        is_transition=False,
        raw=NEW,
    )


@pytest.mark.parametrize(
    ("status", "read"),
    [
        ("new", StoryStatus.NEW),
        ("processing", StoryStatus.PROCESSING),
        ("success", StoryStatus.SUCCESS),
        ("fail", StoryStatus.FAIL),
        (" SUCCESS ", StoryStatus.SUCCESS),
        ("composing", StoryStatus.PROCESSING),
        ("", StoryStatus.PROCESSING),
    ],
)
def test_an_unknown_status_counts_as_processing_and_is_kept(status: str, read: StoryStatus) -> None:
    story = parse_story(NEW | {"status": status})
    assert story.status is read
    assert story.status_text == status.strip()


@pytest.mark.parametrize("status", [None, 3, [], {}])
def test_a_status_that_is_no_text_counts_as_processing(status: object) -> None:
    assert parse_story(NEW | {"status": status}).status is StoryStatus.PROCESSING


def test_finished_is_a_failure_or_a_success_with_its_video() -> None:
    assert not parse_story(NEW | {"status": "success", "video_url": ""}).finished
    assert not parse_story(NEW | {"status": "success"}).finished
    assert not parse_story(NEW | {"status": "processing", "video_url": "https://cdn.example/v.mp4"}).finished
    assert parse_story(NEW | {"status": "success", "video_url": "https://cdn.example/v.mp4"}).finished
    assert parse_story(NEW | {"status": "fail"}).finished


@pytest.mark.parametrize("url", ["", "  ", None, 3, [], "http://[", "https://x/\ny", "h" * 10_000])
def test_an_empty_or_impossible_video_url_is_none(url: object) -> None:
    assert parse_story(NEW | {"video_url": url}).video_url is None


@pytest.mark.parametrize("name", ["id", "story_id", "batch_id"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_id_under_each_name_and_under_data(name: str, wrapped: bool) -> None:
    flat = {name: "s-1", "status": "success"}
    answer = {"data": flat, "extra": 1} if wrapped else flat
    story = parse_story(answer)
    assert (story.id, story.status) == ("s-1", StoryStatus.SUCCESS)
    assert story.raw == answer


def test_a_data_field_beside_an_id_is_no_wrapper() -> None:
    assert parse_story({"id": "s-1", "data": {"id": "s-2"}}).id == "s-1"


def test_a_number_as_id() -> None:
    assert parse_story({"id": 42}).id == "42"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "story",
        3,
        {},
        {"id": ""},
        {"id": None},
        {"id": True},
        {"id": "a\x00b"},
        {"id": ".."},
        {"id": "x" * 201},
        {"id": -1},
        {"data": {}},
        {"data": [{"id": "s-1"}]},
        [{"id": "s-1"}],
    ],
)
def test_no_usable_id_is_a_bad_answer(answer: object) -> None:
    with pytest.raises(BadAnswer) as bad:
        parse_story(answer)
    assert bad.value.sent


def test_deep_json_is_a_bad_answer() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(BadAnswer, match="nests deeper"):
        parse_story({"id": "s-1", "x": deep})


def test_scenes_of_the_storyboard_and_of_v1() -> None:
    scenes = [
        {"name": "One", "narrator": "Snow falls.", "narration_url": "https://x/1.mp3"},
        "odd",
        {"name": 3},
    ]
    expected = (Scene("One", "Snow falls."), Scene("", ""))
    assert parse_story(NEW | {"storyboard": {"scenes": scenes}}).scenes == expected
    assert parse_story(NEW | {"scenes": scenes}).scenes == expected
    assert parse_story(NEW | {"storyboard": {}, "scenes": scenes}).scenes == expected
    assert parse_story(NEW | {"storyboard": {"scenes": "none"}}).scenes == ()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-02-06T02:05:40+00:00", datetime(2026, 2, 6, 2, 5, 40, tzinfo=UTC)),
        ("2026-02-06 02:05:40.5+02:00", datetime(2026, 2, 6, 0, 5, 40, 500_000, UTC)),
        ("2026-02-06T02:05:40Z", datetime(2026, 2, 6, 2, 5, 40, tzinfo=UTC)),
        ("2026-02-06 02:05:40", datetime(2026, 2, 6, 2, 5, 40, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        (1770343540, None),
        (None, None),
    ],
)
def test_times_are_aware(text: object, read: datetime | None) -> None:
    story = parse_story(NEW | {"created_at": text, "updated_at": text})
    assert story.created_at == story.updated_at == read
    assert read is None or (story.created_at and story.created_at.utcoffset() == timedelta(0))


@pytest.mark.parametrize(
    ("given_value", "read"),
    [(True, True), ("Yes", True), ("yes ", True), (False, False), ("No", False), (None, False), (1, False)],
)
def test_is_transition_as_boolean_or_word(given_value: object, read: bool) -> None:
    assert parse_story(NEW | {"is_transition": given_value}).is_transition is read


@pytest.mark.parametrize(
    ("given_value", "credits_read", "progress"),
    [
        (50, 50, 50),
        ("50", 50, 50),
        (12.6, 12.6, 13),
        (250, 250, 100),
        (-3, -3, 0),
        (True, None, 0),
        (None, None, 0),
        ("half", None, 0),
        (float("nan"), None, 0),
        (float("inf"), None, 0),
        (10**400, None, 0),
        ("9" * 5000, None, 0),
    ],
)
def test_odd_numbers_are_no_reason_to_fail(
    given_value: object, credits_read: float | None, progress: int
) -> None:
    story = parse_story(NEW | {"used_credits": given_value, "progress_percentage": given_value})
    assert story.used_credits == credits_read
    assert story.progress == progress


def test_unknown_fields_are_kept() -> None:
    answer = NEW | {"brand_new": {"deep": [1, 2.5, None, True, "x"]}}
    assert parse_story(answer).raw == answer


def test_what_no_database_keeps_is_replaced() -> None:
    story = parse_story(
        NEW | {"title": "a\x00b\ud800c", "x\x00": float("inf"), "y": ["\udfff", {"z": float("nan")}]}
    )
    assert story.title == "a\ufffdb\ufffdc"
    assert story.raw["x\ufffd"] is None
    assert story.raw["y"] == ["\ufffd", {"z": None}]


def test_why_it_failed_is_one_short_line() -> None:
    story = parse_story(NEW | {"status": "fail", "message": "No\r\nway\x1b[31m " + "x" * 5000})
    assert story.message.startswith("No way[31m x")
    assert len(story.message) == 500


def test_the_repr_shows_no_address_and_no_body() -> None:
    story = parse_story(NEW | {"video_url": "https://cdn.example/v.mp4?sig=s3cret"})
    assert "s3cret" not in repr(story)


@given(JSON)
def test_any_json_is_a_story_or_a_bad_answer(answer: object) -> None:
    with suppress(BadAnswer):
        assert isinstance(parse_story(answer), Story)


@given(
    st.fixed_dictionaries(
        {"id": st.just("s-1")},
        optional={
            name: JSON
            for name in (*NEW, "storyboard", "scenes", "video_url", "message", "data")
            if name != "id"
        },
    )
)
def test_an_id_is_enough_and_a_kept_answer_reads_the_same(answer: dict[str, Any]) -> None:
    story = parse_story(answer)
    assert story.id == "s-1"
    kept = json.loads(json.dumps(story.raw, allow_nan=False))
    assert parse_story(kept) == story
    json.dumps(story.raw, ensure_ascii=False).encode()
