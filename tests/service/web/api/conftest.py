"""Programs with tokens, and a Story API that says what a test wants."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from relayed import World, make_world
from scripted_api import ScriptedApi, scripted_api
from werkzeug.test import TestResponse

from service.api_tokens import ApiTokens
from service.domain.api_tokens import Scope
from service.web import create_app

TOML = """
[destinations.shelf]
connector = "archive"
path = "published"
[destinations.cms]
connector = "webhook"
url = "https://cms.example/hooks?key=planted-key"
secret = "whsec_cGxhbnRlZC1zZWNyZXQtcGxhbnRlZC1zZWNyZXQ="
[[routes]]
name = "all"
destinations = ["shelf"]
"""


@dataclass
class Program:
    """Calls the API with its token."""

    client: FlaskClient
    token: str

    def get(self, path: str, **more: Any) -> TestResponse:
        return self._call("GET", path, more)

    def post(self, path: str, body: object = None, **more: Any) -> TestResponse:
        return self._call("POST", path, more if body is None else {"json": body, **more})

    def _call(self, method: str, path: str, more: dict[str, Any]) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **more)


WithScopes = Callable[..., Program]


@pytest.fixture
def story_api() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        yield api


@pytest.fixture
def world(tmp_path: Path, database_url: str, story_api: ScriptedApi) -> Iterator[World]:
    env = {"STORY_API_URL": story_api.url, "STORY_API_KEY": "planted-story-key"}
    world = make_world(tmp_path, database_url, TOML, env)
    yield world
    world.relay.ledger.close()


@pytest.fixture
def app(world: World) -> Flask:
    return create_app(world.relay)


@pytest.fixture
def with_scopes(world: World, app: Flask) -> WithScopes:
    tokens = ApiTokens(world.relay.ledger, world.relay.now)

    def make(*scopes: Scope, days: int | None = None) -> Program:
        made = tokens.add(f"t{len(tokens.all())}", scopes, days, "test")
        return Program(app.test_client(), made.text)

    return make


@pytest.fixture
def program(with_scopes: WithScopes) -> Program:
    """A program that may do everything."""
    return with_scopes(*Scope)
