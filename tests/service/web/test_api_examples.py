"""The examples of docs/api.md, run as they stand."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from web_server import WebServer

from service.api_tokens import ApiTokens
from service.domain.api_tokens import Scope
from service.wiring import utc_now

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
EXAMPLES = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def token(web_server: WebServer) -> str:
    made = ApiTokens(web_server.relay.ledger, utc_now).add("examples", list(Scope), None, "test")
    return made.text


def test_every_example_gets_an_answer(web_server: WebServer, token: str) -> None:
    assert len(EXAMPLES) > 9
    for example in EXAMPLES:
        told = run(example + " -w '\\n%{http_code}'", web_server, token)
        body, _, status = told.rpartition("\n")
        if '/stories" ' in example:  # this server has no key for the Story API
            assert (status, json.loads(body)["type"]) == ("503", "urn:storyrelay:problem:not-set-up")
        else:
            assert status in ("200", "201"), (example, told)
            assert isinstance(json.loads(body), dict)


def run(example: str, server: WebServer, token: str) -> str:
    done = subprocess.run(
        ["sh", "-c", example.replace("\n -w", " -w")],
        env={"RELAY": server.url, "TOKEN": token, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
