from collections.abc import MutableMapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from relayed import KEY, World
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from service.web.refusal_log import RefusalLog
from service.webhook_url import WebhookUrls

ROUTE = WebhookUrls("", (KEY,), 30, {"all": 1}).for_route("all")


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_reason_has_one_line_a_second_and_says_what_it_leaves_out() -> None:
    clock = Seconds()
    refusals = RefusalLog("door.shut", clock)
    with capture_logs() as said:
        for reason in ("late", "late", "late", "full"):
            refusals.note(reason, "192.0.2.1")
        clock.now = 1.0
        refusals.note("late", "192.0.2.9")
        clock.now = 2.0
        refusals.note("late", "192.0.2.9")
    assert [(line["reason"], line["remote"], line["left_out"]) for line in said] == [
        ("late", "192.0.2.1", 0),
        ("full", "192.0.2.1", 0),
        ("late", "192.0.2.9", 2),
        ("late", "192.0.2.9", 0),
    ]
    assert {(line["event"], line["log_level"]) for line in said} == {("door.shut", "warning")}


def line_of(client: FlaskClient, path: str, **asked: Any) -> MutableMapping[str, Any]:
    with capture_logs(processors=[merge_contextvars]) as said:
        client.post(path, headers={"X-Request-Id": "night-1"}, **asked)
    (line,) = [line for line in said if line["event"].startswith("webhook.")]
    (one,) = line.pop("each", [{}])
    line |= one
    return {name: line[name] for name in line if name not in ("log_level", "event")} | {"is": line["event"]}


@pytest.mark.parametrize(
    ("body", "verdict", "story"),
    [({"batch_id": "story-1", "status": "success"}, "accepted", {"story": "story-1"}), ({}, "unmatched", {})],
)
def test_each_webhook_leaves_a_line_by_which_it_is_found(
    world: World, client: FlaskClient, body: dict[str, str], verdict: str, story: dict[str, str]
) -> None:
    named = {"request_id": "night-1", "is": "webhook.received", "route": "all"}
    assert line_of(client, ROUTE, json=body) == {**named, "verdict": verdict, **story}


def test_what_a_webhook_only_claims_is_not_said_of_that_story(world: World, client: FlaskClient) -> None:
    row = world.track("story-1")
    path = world.relay.webhook_urls.for_submission(row.submission_id).removeprefix("https://relay.example")
    line = line_of(client, path, json={"batch_id": "story-2"})
    assert (line["verdict"], line["claimed"], line["submission"]) == (
        "mismatch",
        "story-2",
        row.submission_id,
    )
    assert "story" not in line


def test_a_refused_webhook_leaves_a_line_without_its_token(world: World, client: FlaskClient) -> None:
    token = ROUTE.rpartition("/")[2][:-1]
    line = line_of(client, f"/webhooks/story/{token}", json={})
    assert (line["is"], line["reason"], line["remote"]) == ("webhook.refused", "404 not found", "127.0.0.1")
    assert token not in str(line)
