"""Questions on the dashboard: what waits, who may answer, what was answered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_client import SignIn, csrf, post
from placed import finished
from relayed import START, World, make_world

from service.domain.people import Role
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.ledger import approvals, people, reports, steps

TOML = """
[destinations.team]
connector = "email"
host = "127.0.0.1"
from = "a@example.com"
to = ["b@example.com"]
[destinations.shelf]
connector = "archive"
path = "s"
[[routes]]
name = "all"
approval = "team"
destinations = ["shelf"]
"""

NOW = START.isoformat()


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str) -> Iterator[World]:
    world = make_world(tmp_path, sqlite_url, TOML, {})
    finished(world, deliver=False)
    with world.relay.ledger.write() as tx:
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "shelf"), 1, 1, "all")], world.clock())
        approvals.ask(tx, 1, 1, {"all": "team"}, world.relay.configuration.approval, world.clock())
    yield world
    world.relay.ledger.close()


def test_what_waits_is_shown_and_counted(signed_in: SignIn) -> None:
    client = signed_in(Role.VIEWER)
    page = client.get("/approvals").text
    assert "team is asked whether it may go to shelf" in page
    assert 'value="approve"' not in page, "a viewer does not answer"
    assert client.get("/approvals/live").status_code == 200
    assert "waiting for approval" in client.get("/").text
    assert "Waits for approval" in client.get("/stories/story-1").text


def test_an_operator_answers_and_it_is_audited(world: World, signed_in: SignIn) -> None:
    client = signed_in(Role.OPERATOR)
    assert 'value="approve"' in client.get("/stories/story-1").text
    answer = post(
        client, "/approvals/1", answer="approve", note="good <one>", asked_at=NOW, **{"from": "story"}
    )
    assert answer.headers["Location"] == "/stories/story-1"
    page = client.get("/approvals").text
    assert "approved by the-operator: good &lt;one&gt;" in page
    assert "Nothing waits for an answer." in page
    assert (
        "already"
        in client.get(post(client, "/approvals/1", answer="reject", asked_at=NOW).headers["Location"]).text
    )
    with world.relay.ledger.read() as tx:
        deeds = [deed for _, deed in people.deeds(tx, 3)]
    assert ("the-operator", "approve", "story-1") in [(deed.who, deed.action, deed.about) for deed in deeds]


def test_who_may_not_answer_does_not(world: World, signed_in: SignIn) -> None:
    client = signed_in(Role.VIEWER)
    assert post(client, "/approvals/1", answer="approve", asked_at=NOW).status_code == 403
    with world.relay.ledger.read() as tx:
        assert approvals.count_open(tx) == 1


def test_an_answer_needs_a_form_of_ours_and_a_word(signed_in: SignIn) -> None:
    client = signed_in(Role.OPERATOR)
    assert client.post("/approvals/1", data={"answer": "approve"}).status_code == 400
    assert post(client, "/approvals/1", answer="perhaps").status_code == 400
    assert post(client, "/approvals/7", answer="approve", asked_at=NOW).status_code == 404
    assert csrf(client)


def test_a_form_of_an_earlier_asking_answers_nothing(world: World, signed_in: SignIn) -> None:
    client = signed_in(Role.OPERATOR)
    assert f'name="asked_at" value="{NOW}"' in client.get("/stories/story-1").text
    post(client, "/approvals/1", answer="reject", asked_at=NOW)
    world.clock.move(60)
    with world.relay.ledger.write() as tx:
        step = next(each.id for each in reports.steps_of(tx, 1) if each.destination == "shelf")
        approvals.ask_again(tx, step, world.relay.configuration.approval, world.clock())
    stale = post(client, "/approvals/1", answer="approve", asked_at=NOW)
    assert stale.status_code == 404
    assert "it was asked anew" in stale.text
    assert post(client, "/approvals/1", answer="approve").status_code == 400
    with world.relay.ledger.read() as tx:
        assert approvals.count_open(tx) == 1
