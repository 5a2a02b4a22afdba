import hashlib
import json
from collections.abc import Callable

import pytest
from relayed import World
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from service.domain.states import StoryState
from service.emulator import EmulatorServer

Ask = Callable[..., str]
Await = Callable[[str], None]


def test_a_tracked_story_walks_to_the_shelf(
    world: World, emulator: EmulatorServer, ask: Ask, finished: Await
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    world.run()
    row = world.story(story_id)
    assert (row.state, row.revision, row.noticed_by, row.title) == (StoryState.SETTLED, 1, "poll", "Fox")
    assert {name: step.state for name, step in world.steps(story_id).items()} == {
        "fetch": "done",
        "download": "done",
        "deliver/shelf": "done",
    }
    folder = world.home / "published" / story_id
    kept = (folder / "video.mp4").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == emulator.video_sha256(story_id)
    assert sorted(path.name for path in folder.iterdir()) == [
        "captions.vtt",
        "poster.jpg",
        "story.json",
        "video.mp4",
    ]
    assert json.loads((folder / "story.json").read_text())


def test_the_log_names_the_story_as_people_do(world: World, ask: Ask, finished: Await) -> None:
    first, second = ask(), ask()
    for story_id in (first, second):
        finished(story_id)
        world.track(story_id)
    with capture_logs(processors=[merge_contextvars]) as said:
        world.run()
    done = [line for line in said if line["event"] == "step.done"]
    assert {line["story"]: line["story_key"] for line in done} == {
        first: world.story(first).id,
        second: world.story(second).id,
    }
    assert "story" not in get_contextvars(), "the next step may belong to none"


@pytest.mark.parametrize("times", [1, 3])
def test_asking_again_for_a_settled_story_delivers_nothing_new(
    world: World, ask: Ask, finished: Await, times: int
) -> None:
    story_id = ask()
    finished(story_id)
    for _ in range(times + 1):
        world.track(story_id)
        world.run()
        world.clock.move(60)
    assert world.story(story_id).revision == 1
    assert [attempt.kind for attempt in world.attempts(story_id)].count("deliver") == 1
