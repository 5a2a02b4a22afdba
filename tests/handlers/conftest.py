import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from placed import Place
from relayed import World, make_world

from service.emulator import EmulatorOptions, EmulatorServer

TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.shelf]
connector = "archive"
path = "published"
[[routes]]
name = "all"
destinations = ["shelf"]
"""

MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture
def emulator(films: Path) -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorOptions(story_seconds=0.0, short_side=120, films=films, seed=1)) as server:
        yield server


@pytest.fixture
def make(tmp_path: Path, sqlite_url: str, emulator: EmulatorServer) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(toml: str = TOML, **env: str) -> World:
        base = {"STORY_API_URL": emulator.url, "STORY_API_KEY": emulator.key}
        world = make_world(tmp_path, sqlite_url, toml, base | env)
        made.append(world)
        return world

    yield make
    for world in made:
        world.relay.ledger.close()


@pytest.fixture
def world(make: MakeWorld) -> World:
    return make()


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def ask(emulator: EmulatorServer) -> Callable[..., str]:
    """Asks the emulator for a story of one second, as somebody else would; returns its id."""

    def ask(idea: str = "A fox walks home", **fields: Any) -> str:
        body = {"idea": idea, "scene_count": 1, "scene_duration": 1, "title": "Fox", **fields}
        request = urllib.request.Request(
            f"{emulator.url}/v2/story/idea-2-video",
            data=json.dumps(body).encode(),
            headers={"X-Api-Key": emulator.key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            story_id: str = json.load(answer)["id"]
        return story_id

    return ask


@pytest.fixture
def finished(emulator: EmulatorServer) -> Callable[[str], None]:
    """Waits until the emulator, whose time is the real one, has drawn the story's film."""

    def finished(story_id: str) -> None:
        for _ in range(1500):
            if emulator.story(story_id).status in ("success", "fail"):
                return
            time.sleep(0.02)
        raise AssertionError("the emulator did not finish the story")

    return finished
