"""Keys, ownership, credits, and the plan's limits."""

import pytest


@pytest.mark.parametrize("key", ["", "wrong", "emulator-key2", "schlüssel"])
def test_without_a_known_key_every_call_gets_401(shared, other, key):
    stranger = other(shared, key)
    for method, path in (
        ("POST", "/v2/story/idea-2-video"),
        ("POST", "/v2/story/url-2-video"),
        ("POST", "/v2/story/images-2-video"),
        ("POST", "/v2/story"),
        ("POST", "/v2/story/x/elements"),
        ("POST", "/v2/story/x/scenes"),
        ("POST", "/v2/story/x/videos"),
        ("POST", "/v2/story/x/concat"),
        ("GET", "/v2/story/x"),
        ("DELETE", "/v2/story/x"),
    ):
        answer = stranger.call(method, path, {})
        assert (answer.status, answer.json["code"]) == (401, "UNAUTHORIZED")
        assert answer.json["message"]


def test_a_story_belongs_to_the_key_that_made_it(start, other):
    owner = start(keys=("first", "second"))
    stranger = other(owner, "second")
    story_id = owner.submit()["id"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/elements"), ("POST", "/concat")):
        answer = stranger.call(method, f"/v2/story/{story_id}{path}", {})
        assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")
    assert owner.get(story_id).status == 200


def test_credits_run_out_for_each_key_alone(start, other):
    rich = start(keys=("first", "second"), credits=25)
    rich.submit()
    rich.submit()
    refused = rich.post("/v2/story/idea-2-video", {"idea": "A fox.", "scene_count": 1, "scene_duration": 1})
    assert (refused.status, refused.json["code"]) == (402, "INSUFFICIENT_CREDIT")
    assert "10 credits and 5" in refused.json["message"]
    assert rich.submit(video_tool="AutoT1")["used_credits"] == 5
    assert other(rich, "second").submit()["used_credits"] == 10
    assert len(rich.server.stories) == 4


def test_calls_above_the_rate_get_429_and_say_when_to_come_back(start, other):
    caller = start(keys=("first", "second"), calls_per_minute=2)
    story_id = caller.submit()["id"]
    assert caller.get(story_id).status == 200
    refused = caller.get(story_id)
    assert (refused.status, refused.json["code"]) == (429, "REACHED_LIMIT")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert other(caller, "second").get(story_id).status == 404


def test_stories_above_the_concurrency_get_429_until_one_is_out_of_the_way(start, other):
    caller = start(keys=("first", "second"), concurrency=1, story_seconds=60)
    story_id = caller.submit()["id"]
    refused = caller.post("/v2/story/idea-2-video", {"idea": "A fox."})
    assert (refused.status, refused.json["code"]) == (429, "REACHED_LIMIT")
    assert refused.headers["Retry-After"] == "1"
    other(caller, "second").submit()
    caller.call("DELETE", f"/v2/story/{story_id}")
    caller.submit()


def test_a_finished_story_no_longer_counts_against_the_concurrency(start):
    caller = start(concurrency=1)
    for _ in range(3):
        caller.finished(caller.submit()["id"])


def test_a_seed_makes_ids_and_chances_repeat(start):
    def run():
        caller = start(seed=7, faults={"webhook-never": 0.5}, story_seconds=60)
        for _ in range(12):
            caller.submit()
        return [(story.id, dict(story.faults)) for story in caller.server.stories]

    first = run()
    assert first == run()
    assert 0 < sum("webhook-never" in faults for _, faults in first) < 12
