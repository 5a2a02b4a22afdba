from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from relayed import World, make_world
from web_server import WebServer, running_web

from service.web import create_app

TOML = """
[destinations.shelf]
connector = "archive"
path = "published"
[[routes]]
name = "all"
destinations = ["shelf"]
"""

MakeWorld = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(url: str, toml: str = TOML, **env: str) -> World:
        world = make_world(tmp_path, url, toml, env)
        made.append(world)
        return world

    yield make
    for world in made:
        world.relay.ledger.close()


@pytest.fixture
def world(make: MakeWorld, sqlite_url: str) -> World:
    return make(sqlite_url)


@pytest.fixture
def either(make: MakeWorld, database_url: str) -> World:
    """A world on either database."""
    return make(database_url)


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_app(world.relay).test_client()


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """One process of four threads, of which two serve files; there is no queue behind it."""
    home = tmp_path_factory.mktemp("web")
    (home / "storyrelay.toml").write_text(TOML)
    with running_web(home, WEB_CONCURRENCY="1") as server:
        yield server
