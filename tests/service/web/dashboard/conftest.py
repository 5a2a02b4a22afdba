from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_client import PASSWORD, SignIn, post
from flask import Flask
from flask.testing import FlaskClient
from relayed import World, make_world

from service.accounts import Accounts
from service.domain.people import Role
from service.web import create_app

TOML = """
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
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    world = make_world(tmp_path, database_url, TOML, {})
    yield world
    world.relay.ledger.close()


@pytest.fixture
def app(world: World) -> Flask:
    return create_app(world.relay)


@pytest.fixture
def accounts(world: World) -> Accounts:
    return Accounts(world.relay.ledger, world.relay.now)


@pytest.fixture
def signed_in(app: Flask, accounts: Accounts) -> SignIn:
    """A browser in which somebody with that role is signed in."""

    def sign_in(role: Role) -> FlaskClient:
        accounts.add(f"the-{role}", role, PASSWORD, "test")
        client = app.test_client()
        answer = post(client, "/sign-in", name=f"the-{role}", password=PASSWORD)
        assert answer.status_code == 302, answer.text
        return client

    return sign_in
