"""The ten calls, each on its happy path, with the defaults that the page names."""

import re
from dataclasses import replace

import pytest

from service.emulator.film import FilmPlan
from service.emulator.stories import Making

STORY_FIELDS = [
    "id",
    "title",
    "idea",
    "is_transition",
    "status",
    "progress_percentage",
    "aspect_ratio",
    "used_credits",
    "all_medias",
    "created_at",
    "updated_at",
]


def test_an_idea_becomes_a_story_with_every_default(shared):
    answer = shared.post("/v2/story/idea-2-video", {"idea": "A fox walks. A hen sleeps. It snows."})
    story = answer.json
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert story["title"] == ""
    assert story["aspect_ratio"] == "16:9"
    assert story["is_transition"] is False
    assert story["used_credits"] == 10 * 3 * 5
    assert story["all_medias"] == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", story["created_at"])
    shared.call("DELETE", f"/v2/story/{story['id']}")


def test_a_fresh_story_is_new_and_has_neither_storyboard_nor_video(start):
    story = start(story_seconds=60).submit("A fox walks.", title="Fox")
    assert list(story) == STORY_FIELDS
    assert (story["status"], story["progress_percentage"], story["title"]) == ("new", 0, "Fox")


def test_a_story_moves_from_new_through_processing_to_success(start):
    caller = start(story_seconds=0.3)
    story_id = caller.submit()["id"]
    seen = [caller.get(story_id).json]
    while seen[-1]["status"] != "success":
        seen.append(caller.get(story_id).json)
    assert {story["status"] for story in seen} <= {"new", "processing", "success"}
    progress = [story["progress_percentage"] for story in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert seen[-1]["video_url"].startswith(caller.server.url)
    assert all("video_url" not in story for story in seen[:-1])
    assert len(seen[-1]["storyboard"]["scenes"]) == 1


def test_progress_follows_the_time_that_has_passed():
    making = Making(FilmPlan("Fox", ("A fox.",), 1, "1:1"), began=100, seconds=10, from_progress=0)
    assert [making.is_new(100 + s) for s in (0, 0.9, 1, 5)] == [True, True, False, False]
    assert [making.progress(100 + s) for s in (0, 0.9, 1, 5, 10, 60)] == [0, 0, 10, 48, 95, 95]
    resumed = replace(making, from_progress=50)
    assert [resumed.progress(100 + s) for s in (0, 5, 10)] == [50, 72, 95]
    assert replace(making, seconds=0).progress(100) == 95


@pytest.mark.parametrize(
    "idea", ["https://example.com/shoes", "A cool film for example.com, please", "http://x.y"]
)
def test_a_url_becomes_a_story(shared, idea):
    fields = {"scene_count": 1, "scene_duration": 1, "aspect_ratio": "9:16", "elements": {"objects": []}}
    story = shared.post("/v2/story/url-2-video", {"idea": idea, **fields}).json
    assert story["idea"] == idea
    assert shared.finished(story["id"])["aspect_ratio"] == "9:16"


def test_images_become_a_story_of_one_scene_each(shared):
    urls = ["https://example.com/1.jpg", "https://example.com/2.jpg"]
    story = shared.post("/v2/story/images-2-video", {"image_urls": urls, "scene_duration": 1}).json
    assert story["idea"] == "Create a stunning video showcasing these images with a compelling narrative"
    assert story["used_credits"] == 10 * 2 * 1
    scenes = shared.finished(story["id"])["storyboard"]["scenes"]
    assert [scene["image_url"] for scene in scenes] == urls


def test_the_string_form_of_audio_option_is_read_as_json(shared):
    story = shared.submit(audio_option='{"native_audio": true}')
    assert story["used_credits"] == 10 * 1 * 1 * 2
    assert shared.submit(audio_option="")["used_credits"] == 10


def test_what_the_page_does_not_name_is_ignored(shared):
    assert shared.submit(colour="red")["status"] in ("new", "processing", "success")


def test_delete_answers_the_last_snapshot_and_the_story_is_gone(shared):
    story = shared.finished(shared.submit(title="Short-lived")["id"])
    answer = shared.call("DELETE", f"/v2/story/{story['id']}")
    assert (answer.status, answer.json["title"], answer.json["status"]) == (200, "Short-lived", "success")
    for method in ("GET", "DELETE"):
        gone = shared.call(method, f"/v2/story/{story['id']}")
        assert (gone.status, gone.json["code"]) == (404, "NOT_FOUND")
    assert shared.send("GET", story["video_url"]).status == 404


def test_a_story_deleted_in_the_making_comes_to_nothing(start, receiver):
    caller = start(story_seconds=0.05)
    deleted = caller.submit("One.", webhook_url=receiver.url)["id"]
    caller.call("DELETE", f"/v2/story/{deleted}")
    kept = caller.submit("Two.", webhook_url=receiver.url)["id"]
    assert receiver.next().json["batch_id"] == kept
    assert receiver.waiting == 0


@pytest.mark.parametrize(
    ("tool", "count", "seconds", "native", "price"),
    [
        ("Vidu", 3, 5, False, 150),  # the table, not the page's first example
        ("Auto", 3, 5, False, 150),
        ("AutoT1", 5, 5, True, 250),
        ("VeoFast", 5, 10, True, 1000),
        ("PVideo", 1, 20, False, 100),
        ("VeoLite", 2, 1, True, 20),
    ],
)
def test_credits_are_charged_by_the_table(start, tool, count, seconds, native, price):
    caller = start(story_seconds=60, max_seconds=1000)
    fields = {"video_tool": tool, "scene_count": count, "scene_duration": seconds}
    story = caller.submit(**fields, audio_option={"native_audio": native})
    assert story["used_credits"] == price
