"""Answers from outside: the page behind a signed link, and clicks in Slack."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from placed import finished
from relayed import World, make_world

from service.domain.approvals import ApprovalState
from service.domain.states import StepKind, StepState
from service.domain.steps import Lane
from service.ledger import approvals, notices, reports, steps
from service.ledger.approvals import ApprovalRow
from service.stand_ins.slack_clicks import Clicked, click, signed
from service.stand_ins.slack_shapes import Message
from service.web import create_app
from service.web.slack_interactions import LONGEST_BODY

SECRET = "the-apps-secret"
TOML = """
[destinations.team]
connector = "slack"
token = "xoxb-1"
channel = "#videos"
signing_secret = "the-apps-secret"
[destinations.others]
connector = "slack"
token = "xoxb-2"
channel = "#videos"
signing_secret = "another-apps-secret"
[destinations.shelf]
connector = "archive"
path = "s"
[[routes]]
name = "all"
approval = "team"
destinations = ["shelf"]
"""


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    world = make_world(tmp_path, database_url, TOML, {})
    finished(world, deliver=False)
    with world.relay.ledger.write() as tx:
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "shelf"), 1, 1, "all")], world.clock())
        approvals.ask(tx, 1, 1, {"all": "team"}, world.relay.configuration.approval, world.clock())
    yield world
    world.relay.ledger.close()


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_app(world.relay).test_client()


def row(world: World) -> ApprovalRow:
    with world.relay.ledger.read() as tx:
        found = approvals.read(tx, 1)
    assert found is not None
    return found


def path(world: World) -> str:
    url = world.relay.approval_urls.link(1, row(world).asked_at)
    return "/approve/" + url.rpartition("/")[2]


def clicked(world: World, action: str = "storyrelay_approve", secret: str = SECRET) -> Clicked:
    value = world.relay.approval_urls.button(1, row(world).asked_at)
    button = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": "x"},
        "value": value,
    }
    message = Message("C0VIDEOS01", "1.2", blocks=[{"type": "actions", "elements": [button]}])
    return click(message, action, secret=secret, at=world.clock().timestamp())


def send(client: FlaskClient, request: Clicked) -> int:
    answer = client.post("/slack/interactions", data=request.body, headers=dict(request.headers))
    assert answer.status_code != 200 or answer.data == b""
    return answer.status_code


def test_looking_decides_nothing_and_keeps_the_address_secret(world: World, client: FlaskClient) -> None:
    for method in (client.get, client.head):
        answer = method(path(world))
        assert answer.status_code == 200
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert row(world).is_open


def test_the_form_decides_once(world: World, client: FlaskClient) -> None:
    answer = client.post(path(world), data={"answer": "reject", "name": "Ann <b>", "note": "too\nlong"})
    assert answer.status_code == 200
    assert "Rejected by Ann &lt;b&gt; (by the link to team): too long" in answer.text
    assert row(world).decided_through == "mail"
    again = client.post(path(world), data={"answer": "approve"})
    assert again.status_code == 409
    assert "Nothing changed" in again.text
    assert row(world).state == ApprovalState.REJECTED
    assert "Rejected by Ann" in client.get(path(world)).text


def test_an_answer_that_is_none_decides_nothing(world: World, client: FlaskClient) -> None:
    assert client.post(path(world), data={"answer": "perhaps"}).status_code == 400
    assert row(world).is_open


@pytest.mark.parametrize("wrong", ["/approve/x", "/approve/WzEsMV0.AAAA", "/approve/" + "A" * 400])
def test_a_wrong_link_opens_nothing(client: FlaskClient, wrong: str) -> None:
    assert client.get(wrong).status_code == 404
    assert client.post(wrong, data={"answer": "approve"}).status_code == 404


@pytest.mark.parametrize("way", ["link", "slack", "looking"])
def test_who_comes_after_its_time_decides_nothing(world: World, client: FlaskClient, way: str) -> None:
    address = path(world)
    world.clock.move(3 * 86400)  # and no scheduler runs
    if way == "slack":
        assert send(client, clicked(world)) == 200
    elif way == "link":
        assert client.post(address, data={"answer": "approve"}).status_code == 409
    else:
        assert 'value="approve"' not in client.get(address).text
    assert (row(world).state, row(world).decided_by) == (ApprovalState.EXPIRED, "nobody in time")
    with world.relay.ledger.read() as tx:
        delivery = next(each for each in reports.steps_of(tx, 1) if each.destination == "shelf")
        assert delivery.state == StepState.CANCELLED
        assert [each.kind for each in notices.recent(tx, 9)] == ["approval_expired"]


def test_a_buttons_value_is_no_link(world: World, client: FlaskClient) -> None:
    value = world.relay.approval_urls.button(1, row(world).asked_at)
    assert client.post(f"/approve/{value}", data={"answer": "approve"}).status_code == 404


def test_a_click_decides_and_keeps_who_it_was(world: World, client: FlaskClient) -> None:
    assert send(client, clicked(world)) == 200
    decided = row(world)
    assert (decided.state, decided.decided_by, decided.decided_through) == (
        "approved",
        "ann (U0PERSON01)",
        "slack",
    )
    assert send(client, clicked(world, "storyrelay_reject")) == 200
    assert (row(world).state, row(world).late_clicks) == ("approved", 1)


def test_what_slack_did_not_sign_decides_nothing(world: World, client: FlaskClient) -> None:
    right = clicked(world)
    headers = dict(right.headers)
    stamp, signature = "X-Slack-Request-Timestamp", "X-Slack-Signature"
    for wrong in (
        Clicked(right.body + b"&x=1", headers),
        Clicked(right.body, {**headers, signature: "v0=" + "0" * 64}),
        Clicked(right.body, {**headers, signature: "é"}),
        Clicked(right.body, {**headers, stamp: "soon"}),
        Clicked(right.body, {name: value for name, value in headers.items() if name != signature}),
        Clicked(b"\xff\xfe", headers),
        clicked(world, secret="guessed"),
    ):
        assert send(client, wrong) == 401
    assert row(world).is_open


def test_a_click_that_was_recorded_is_good_for_five_minutes(world: World, client: FlaskClient) -> None:
    early = clicked(world)
    world.clock.move(301)
    assert send(client, early) == 401
    assert row(world).is_open


def test_another_workspace_decides_nothing_here(world: World, client: FlaskClient) -> None:
    assert send(client, clicked(world, secret="another-apps-secret")) == 200
    assert row(world).is_open


def test_a_workspace_that_got_the_story_instead_decides(world: World, client: FlaskClient) -> None:
    with world.relay.ledger.write() as tx:
        lane = Lane(StepKind.DELIVER, "others")
        steps.add(tx, [steps.NewStep(lane, 1, 1, "all", instead_of="team")], world.clock())
    assert send(client, clicked(world, secret="another-apps-secret")) == 200
    assert row(world).state == ApprovalState.APPROVED


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "view_submission"},
        {"type": "block_actions", "user": None, "actions": None},
        {"type": "block_actions", "user": {"id": "U1"}, "actions": [None, {"action_id": 7}]},
        {"type": "block_actions", "user": {}, "actions": [{"action_id": "storyrelay_approve", "value": "x"}]},
        [],
        "text",
    ],
)
def test_whatever_else_slack_tells_is_answered_and_left(
    world: World, client: FlaskClient, payload: object
) -> None:
    request = signed(payload, "the-apps-secret", world.clock().timestamp())  # type: ignore[arg-type]
    assert send(client, request) == 200
    assert row(world).is_open


def test_a_body_has_its_limit(world: World, client: FlaskClient) -> None:
    request = signed({"x": "y" * LONGEST_BODY}, "the-apps-secret", world.clock().timestamp())
    assert send(client, request) == 413
