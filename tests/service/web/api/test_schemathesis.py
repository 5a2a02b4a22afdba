"""Asks the API all that its document allows, and much that it doesn't: no 5xx, no answer outside the document."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from relayed import START, World, make_world
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from scripted_api import scripted_api

from service.api_tokens import ApiTokens
from service.domain.api_tokens import Scope
from service.domain.states import Origin, StepKind, StepState, StoryState, Verdict
from service.domain.steps import Lane
from service.ledger import approvals, receipts, steps, stories
from service.ledger.receipts import Receipt
from service.ledger.stories import NewStory, VideoRow
from service.ledger.tables import steps as step_table
from service.web.api import add_api
from service.web.app import create_app

EXAMPLES = 25
"""Of each call, and as many that break its rules: the whole file takes about twenty seconds."""

TOML = """
[destinations.shelf]
connector = "archive"
path = "published"
[[routes]]
name = "all"
destinations = ["shelf"]
"""
DOCUMENT = json.loads((Path(__file__).parents[4] / "docs" / "openapi.json").read_text())
CALLS = sorted((path, method) for path, item in DOCUMENT["paths"].items() for method in item)
KNOWN = {
    "story": lambda number: f"story-{number}",  # the last of them is nowhere
    "receipt": lambda number: number + 1,
    "bulk": lambda number: number + 1,
    "approval": lambda number: number + 1,
    "destination": lambda number: "shelf" if number else "nowhere",
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]


def _answer(body: dict) -> tuple[int, object] | None:
    """The Story API takes some submissions, refuses others, and knows few stories; the same for the same request.

    It never asks to wait: that is answered with 503, as the document says, and here no 5xx counts as right.
    """
    kinds = (
        (201, {"id": "new-story", "status": "processing", "used_credits": 150}),
        (402, {"code": "INSUFFICIENT_CREDIT", "message": "no credits"}),
        (422, {"code": "INVALID", "message": "no"}),
        (500, {"message": "down"}),
    )
    if not body:
        return 404, {"code": "NOT_FOUND", "message": "there is no such story"}
    return kinds[len(str(body.get("idea"))) % len(kinds)]  # not of all of it: its webhook differs each time


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("schemathesis")
    with scripted_api() as api:
        api.answer = _answer
        env = {"STORY_API_URL": api.url, "STORY_API_KEY": "key"}
        world = make_world(home, f"sqlite:///{home}/ledger.sqlite3", TOML, env)
        _seed(world)
        yield world
        world.relay.ledger.close()


def _seed(world: World) -> None:
    with world.relay.ledger.write() as tx:
        for number, state in enumerate(StoryState):
            new = NewStory(
                f"sub-{number}", Origin.SUBMITTED, state, story_id=f"story-{number}", title="<b>A&B</b>"
            )
            key = stories.add(tx, new, START - timedelta(hours=number))
            assert key is not None
            receipt = Receipt(
                "submission", Verdict.ACCEPTED, b'{"id": "\xff"}', "text/plain", "", START, story=key
            )
            receipts.add(tx, [receipt])
            steps.add(tx, [steps.NewStep(Lane(StepKind.FETCH), key)], START)
            approvals.ask(tx, key, 1, {"all": "shelf"}, world.relay.configuration.approval, START)
        _settle(tx, key)


def _settle(tx, key: int) -> None:
    stories.change(tx, key, START, state=StoryState.SETTLED, revision=1, settled_at=START, finished_at=START)
    video = VideoRow(key, 1, "v/r1", "ab" * 32, 12345, 15.0, 640, 360, "h264", "aac", True, False)
    stories.add_video(tx, video, START)
    steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "shelf"), key, 1, "all")], START)
    ended = {"state": StepState.DONE, "ended_at": START, "url": "https://example.com/1"}
    tx.execute(step_table.update().where(step_table.c.kind == StepKind.DELIVER).values(**ended))


@pytest.fixture(scope="module")
def token(world: World) -> str:
    return ApiTokens(world.relay.ledger, world.relay.now).add("all", list(Scope), None, "test").text


@pytest.fixture(scope="module")
def api_schema(world: World, token: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.web.app.add_api", lambda app, relay: add_api(app, relay, rate=1e9))
        app = create_app(world.relay)
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
@pytest.mark.parametrize(("path", "method"), CALLS)
def test_no_answer_is_outside_the_document(api_schema, token: str, path: str, method: str, mode) -> None:
    call = api_schema[path][method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,  # the same cases each time
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=call.as_strategy(generation_mode=mode), number=st.integers(0, 9))
    def ask(case: schemathesis.Case, number: int) -> None:
        if mode == GenerationMode.POSITIVE:  # else no call would ever find what it is about
            case.path_parameters = {name: KNOWN[name](number) for name in case.path_parameters or {}}
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    ask()


def test_an_answer_outside_the_document_would_be_found(api_schema, token: str) -> None:
    narrower = json.loads(json.dumps(api_schema.raw_schema))
    del narrower["paths"]["/api/v1/stories/{story}"]["get"]["responses"]["404"]
    narrowed = schemathesis.openapi.from_dict(narrower)
    narrowed.app = api_schema.app
    case = narrowed["/api/v1/stories/{story}"]["GET"].Case(path_parameters={"story": "nowhere"})
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)
