"""The flow by steps: storyboard, elements, scenes, videos, concat."""

import pytest

IDEA = "Whiskers meets Pip Longear in the sunny meadow. They play a flute. Everybody dances."


@pytest.fixture
def story(shared):
    answer = shared.post("/v2/story", {"idea": IDEA, "scene_count": 2, "title": "Musical"})
    assert answer.status == 200
    return answer.json


def step(caller, story, name, body=None):
    return caller.post(f"/v2/story/{story['id']}/{name}", body)


def test_a_storyboard_costs_nothing_and_is_there_at_once(story):
    assert (story["status"], story["progress_percentage"], story["used_credits"]) == ("new", 0, 0)
    assert story["title"] == "Musical"
    assert [s["narrator"] for s in story["storyboard"]["scenes"]] == [
        "Whiskers meets Pip Longear in the sunny meadow. They play a flute.",
        "Everybody dances.",
    ]
    assert all("image_url" not in s for s in story["storyboard"]["scenes"])


def test_the_whole_flow_ends_with_a_video_and_its_price(shared, story, receiver):
    elements = step(shared, story, "elements", {"image_tool": "StableDiffusion3.5"}).json
    assert (elements["status"], elements["progress_percentage"]) == ("processing", 10)
    pictures = [e["image_url"] for e in elements["storyboard"]["characters"]]
    assert pictures
    assert shared.send("GET", pictures[0]).body.startswith(b"\xff\xd8\xff")
    scenes = step(shared, story, "scenes", {"audio_option": {"narrator": "Rachel"}}).json
    assert (scenes["status"], scenes["progress_percentage"]) == ("processing", 50)
    first = scenes["storyboard"]["scenes"][0]
    assert shared.send("GET", first["image_url"]).headers["Content-Type"] == "image/jpeg"
    assert shared.send("GET", first["narration_url"]).body.startswith(b"RIFF")
    body = {"duration": 2, "video_tool": "AutoT1", "webhook_url": receiver.url, "title": "Renamed"}
    videos = step(shared, story, "videos", body).json
    assert (videos["used_credits"], videos["title"]) == (5 * 2 * 2, "Renamed")
    assert receiver.next().json["batch_id"] == story["id"]
    done = shared.finished(story["id"])
    assert (done["status"], done["progress_percentage"]) == ("success", 100)
    assert done["video_url"]


def test_a_video_in_the_making_goes_on_from_where_the_scenes_ended(start):
    caller = start(story_seconds=60)
    story = caller.post("/v2/story", {"idea": IDEA}).json
    step(caller, story, "scenes")
    making = step(caller, story, "videos").json
    assert (making["status"], making["progress_percentage"]) == ("processing", 50)
    assert making["used_credits"] == 10 * 3 * 5
    assert "storyboard" in making
    for name in ("elements", "scenes", "videos", "concat"):
        refused = step(caller, story, name)
        assert (refused.status, refused.json["code"]) == (400, "BAD_REQUEST")


def test_steps_in_the_wrong_order_are_refused(shared, story):
    for name, word in (("videos", "/scenes"), ("concat", "/videos")):
        refused = step(shared, story, name)
        assert (refused.status, refused.json["code"]) == (400, "BAD_REQUEST")
        assert word in refused.json["message"]


def test_a_storyboard_of_the_callers_own_is_used(shared, story):
    own = {
        "scenes": [
            {"name": "Only", "narrator": "Hello.", "image_url": "https://example.com/1.jpg", "mood": "calm"}
        ]
    }
    step(shared, story, "scenes")
    making = step(shared, story, "videos", {"storyboard": own, "duration": 1}).json
    assert making["used_credits"] == 10
    scene = shared.finished(story["id"])["storyboard"]["scenes"][0]
    assert (scene["narrator"], scene["mood"]) == ("Hello.", "calm")


def test_an_own_storyboard_without_scenes_makes_no_video(shared, story):
    assert step(shared, story, "videos", {"storyboard": {}}).status == 400


def test_a_storyboard_can_be_made_anew_for_the_same_story(shared, story):
    again = shared.post("/v2/story", {"idea": "It rains.", "story_id": story["id"], "scene_count": 1}).json
    assert (again["id"], again["title"]) == (story["id"], "Musical")
    assert [s["narrator"] for s in again["storyboard"]["scenes"]] == ["It rains."]
    assert shared.post("/v2/story", {"idea": "It rains.", "story_id": "nobody's"}).status == 404


def test_image_urls_override_the_scene_count(shared):
    urls = [f"https://example.com/{n}.jpg" for n in range(3)]
    story = shared.post("/v2/story", {"idea": "It rains.", "scene_count": 9, "image_urls": urls}).json
    assert [s["image_url"] for s in story["storyboard"]["scenes"]] == urls


def test_concat_makes_another_cut_and_the_url_is_empty_meanwhile(start, receiver):
    caller = start()
    story_id = caller.submit(webhook_url=receiver.url)["id"]
    first = caller.finished(story_id)["video_url"]
    before = caller.server.video_sha256(story_id)
    composing = caller.post(f"/v2/story/{story_id}/concat").json
    assert composing["status"] == "success"
    assert composing["video_url"] != first
    caller.until(lambda: caller.server.story(story_id).cuts == 2)
    second = caller.finished(story_id)["video_url"]
    assert first.split("?")[0] != second.split("?")[0]
    assert caller.server.video_sha256(story_id) != before
    assert caller.send("GET", second).status == 200
    receiver.next()
    assert receiver.waiting == 0


def test_concat_needs_no_body_and_takes_v1s_fields(shared):
    story_id = shared.submit()["id"]
    shared.finished(story_id)
    assert shared.call("POST", f"/v2/story/{story_id}/concat").status == 200
    shared.finished(story_id)
    urls = {"concat_video_urls": ["https://example.com/1.mp4"] * 2, "audio_urls": None}
    assert shared.post(f"/v2/story/{story_id}/concat", urls).status == 200
    shared.finished(story_id)
    assert shared.server.story(story_id).cuts == 3


def test_video_url_is_empty_while_a_finished_story_is_composed_anew(start):
    caller = start(story_seconds=1)
    story_id = caller.submit()["id"]
    caller.finished(story_id)
    composing = caller.post(f"/v2/story/{story_id}/concat").json
    assert (composing["video_url"], composing["progress_percentage"]) == ("", 100)
