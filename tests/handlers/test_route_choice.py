from dataclasses import replace

import pytest

from service.route_choice import routing_facts

SHELVES = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.short]
connector = "archive"
path = "short"
[destinations.long]
connector = "archive"
path = "long"
[destinations.night]
connector = "archive"
path = "night"
[[routes]]
name = "short"
when = { duration = "<= 2" }
destinations = ["short"]
[[routes]]
name = "long"
when = { duration = ["3..10", 1] }
destinations = ["long"]
[[routes]]
name = "night"
when = { hours = "22:00-06:00", timezone = "America/New_York" }
destinations = ["night"]
"""


@pytest.mark.parametrize(("hour", "taken"), [(12, {"short", "long"}), (4, {"short", "long", "night"})])
def test_a_story_is_routed_by_the_length_of_its_video_and_the_hour_at_which_it_is_here(
    make, ask, finished, hour, taken
):
    world = make(SHELVES)
    world.clock.time = world.clock.time.replace(hour=hour)
    story_id = ask()  # of one second
    finished(story_id)
    world.track(story_id)
    world.run()
    delivered = {name.partition("/")[2] for name in world.steps(story_id) if name.startswith("deliver/")}
    assert delivered == taken
    assert {path.name for path in world.home.iterdir() if (path / story_id / "video.mp4").exists()} == taken


def test_what_the_story_api_says_goes_before_what_was_asked_for_and_ours_before_both(world, ask, finished):
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    world.run()
    row = world.story(story_id)
    facts = routing_facts(row, 14.6)
    assert (facts["id"], facts["title"], facts["duration"]) == (story_id, "Fox", 15)
    assert (facts["labels"], facts["kind"], facts["aspect_ratio"]) == (
        {},
        row.kind,
        row.snapshot["aspect_ratio"],
    )
    assert facts["status"] == "success"
    assert routing_facts(row, None)["duration"] is None


@pytest.mark.parametrize(
    ("request_", "kind", "language"),
    [
        ({}, "idea", "English"),
        ({"language": "German"}, "idea", "German"),
        ({}, "", None),
    ],
)
def test_a_request_that_names_no_language_has_the_story_apis_own(world, request_, kind, language):
    row = world.track("story-1")
    facts = routing_facts(replace(row, request=request_, kind=kind), None)
    assert facts["language"] == language
    assert routing_facts(replace(row, snapshot={"language": "Turkish"}), None)["language"] == "Turkish"
