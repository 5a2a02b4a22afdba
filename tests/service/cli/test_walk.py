"""A story's whole way by commands, with the steps worked on in this process."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from relayed import World, make_world

CONFIGURATION = """
[outbound]
allow = ["127.0.0.0/8"]

[destinations.shelf]
connector = "archive"
path = "published"

[destinations.attic]
connector = "archive"
path = "attic"

[[routes]]
name = "all"
destinations = ["shelf"]
"""


@pytest.fixture
def world(online, emulator) -> World:
    env = {"STORY_API_URL": emulator.url, "STORY_API_KEY": emulator.key}
    made = make_world(online.path, f"sqlite:///{online.path}/var/ledger.sqlite3", CONFIGURATION, env)
    made.clock.time = datetime.now(UTC)
    return made


def submit(online, idea: str) -> str:
    return str(online.json("submit", "idea", idea, "--scene-count", "1", "--scene-duration", "1")["story_id"])


def walk(online, world, emulator, story: str) -> dict:
    """Does what worker and scheduler would do until the story ended, as `show` tells it."""
    world.clock.time = datetime.now(UTC)
    for _ in range(600):
        world.run_for(5, step=5)
        told = online.json("show", story)
        if told["story"]["state"] in ("settled", "failed", "unknown", "given_up"):
            return told
    raise AssertionError(told)


def test_from_submit_to_replay(online, world, emulator):
    story = submit(online, "A day at sea. Gulls cry.")
    told = walk(online, world, emulator, story)
    assert told["story"]["state"] == "settled"
    assert told["story"]["noticed_by"] == "poll"
    assert told["video"]["sha256"] == emulator.video_sha256(story)
    assert [(each["destination"], each["state"]) for each in told["destinations"]] == [("shelf", "done")]
    assert (online.path / "published" / story / "video.mp4").is_file()
    assert {each["what"] for each in told["timeline"]} == {
        "submitted", "fetch", "finished", "download", "deliver shelf", "settled",
    }  # fmt: skip
    for file in told["video"]["files"]:
        assert Path(file["path"]).stat().st_size > 0

    online.done("replay", story, "--destination", "attic", "--destination", "shelf")
    assert online.json("show", story)["story"]["state"] == "settling"
    told = walk(online, world, emulator, story)
    assert (online.path / "attic" / story / "video.mp4").is_file()
    assert {each["destination"]: each["repeats"] for each in told["destinations"]} == {"shelf": 1, "attic": 0}


def test_a_failed_story_is_asked_for_again_and_fails_again(online, world, emulator):
    story = submit(online, "x [fault:fail=no-ideas-left]")
    told = walk(online, world, emulator, story)
    assert told["story"]["state"] == "failed"
    assert "no-ideas-left" in online.done("show", story).stdout
    online.done("replay", story)
    assert online.json("show", story)["story"]["state"] == "open"
    assert walk(online, world, emulator, story)["story"]["state"] == "failed"
