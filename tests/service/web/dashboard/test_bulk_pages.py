"""Replaying many stories on the dashboard: looking first, starting, watching, cancelling."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from dashboard_client import SignIn, post
from relayed import START, World

from service.bulk_replaying import BulkReplaying
from service.domain.people import Role
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import people, steps, stories
from service.ledger.stories import NewStory, VideoRow
from service.ledger.tables import steps as step_table
from service.web.slow_lane import Busy, SlowLane

WINDOW = {"from": "2026-02-01T00:00", "to": "", "by": "", "route": "", "destination": ""}
HOSTILE = "<script>alert(1)</script>"


def dead(world: World, number: int, title: str = "") -> int:
    """A story whose delivery was given up."""
    at = START - timedelta(days=1)
    with world.relay.ledger.write() as tx:
        new = NewStory(
            f"sub-{number}", Origin.TRACKED, StoryState.SETTLED, story_id=f"story-{number}", title=title
        )
        key = stories.add(tx, new, at)
        assert key is not None
        stories.change(tx, key, at, revision=1, finished_at=at, settled_at=at)
        stories.add_video(tx, VideoRow(key, 1, "p", "ab", 1, 1.0, 1, 1, "h264", None, False, False), at)
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "shelf"), key, 1, "all")], at)
        tx.execute(
            step_table.update().where(step_table.c.story == key).values(state=StepState.DEAD, next_at=None)
        )
    return key


def test_nothing_is_done_before_it_was_looked_at(signed_in: SignIn, world: World) -> None:
    dead(world, 1, HOSTILE)
    page = signed_in(Role.VIEWER).get("/replay", query_string={"state": "dead", **WINDOW}).text
    assert "1 would be replayed" in page
    assert "&lt;script&gt;alert(1)" in page
    assert HOSTILE not in page
    assert "An operator can start it" in page
    assert "None yet." in page


def test_a_bulk_replay_is_begun_worked_off_and_told(signed_in: SignIn, world: World) -> None:
    for number in range(3):
        dead(world, number)
    client = signed_in(Role.OPERATOR)
    answer = post(client, "/replay", state="dead", **WINDOW)
    assert answer.status_code == 302, answer.text
    address = answer.headers["Location"]
    assert "Under way" in client.get(address).text
    assert 'hx-trigger="every 2s"' in client.get(f"{address}/live").text
    relay = world.relay
    assert BulkReplaying(relay.ledger, relay.settings, relay.configuration, relay.now).advance() == 3
    page = client.get(f"{address}/live").text
    assert "3 of 3 seen to" in page
    assert "shelf again" in page
    assert "hx-trigger" not in page, "what has ended is not asked for again"
    with relay.ledger.read() as tx:
        deeds = [(deed.who, deed.action, deed.about) for _, deed in people.deeds(tx, 1)]
    assert deeds == [("the-operator", "bulk_replay_started", "bulk replay 1")]


def test_it_can_be_cancelled_once(signed_in: SignIn, world: World) -> None:
    dead(world, 1)
    client = signed_in(Role.OPERATOR)
    address = post(client, "/replay", state="dead", **WINDOW).headers["Location"]
    post(client, f"{address}/cancel")
    assert "Cancelled" in client.get(address).text
    post(client, f"{address}/cancel")
    assert "It had ended already." in client.get(address).text


def test_a_choice_that_makes_no_sense_is_told(signed_in: SignIn) -> None:
    client = signed_in(Role.OPERATOR)
    for wrong, told in (
        ({"state": "open"}, "choose one from the list"),
        ({"from": ""}, "Say from when on"),
        ({"from": "soon"}, "should be a time"),
        ({"to": "2026-01-01T00:00"}, "ends before it begins"),
        ({"destination": "nowhere"}, "no destination"),
        ({"state": "given_up", "by": "finished"}, "never finished"),
    ):
        asked = {"state": "dead", **WINDOW, **wrong}
        assert told in client.get("/replay", query_string=asked).text, wrong
        assert post(client, "/replay", **asked).headers["Location"] == "/replay", wrong
        assert told in client.get("/replay").text, wrong


def test_a_viewer_starts_and_cancels_nothing(signed_in: SignIn) -> None:
    client = signed_in(Role.VIEWER)
    assert post(client, "/replay", state="dead", **WINDOW).status_code == 403
    assert post(client, "/replay/1/cancel").status_code == 403
    assert client.get("/replay/9").status_code == 404


def test_many_looks_at_once_leave_room_for_webhooks(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def taken(_lane: SlowLane) -> Iterator[None]:
        raise Busy
        yield

    monkeypatch.setattr(SlowLane, "place", taken)
    client = signed_in(Role.OPERATOR)
    shown = client.get("/replay?state=settled&from=2026-01-01T00:00")
    assert (shown.status_code, shown.headers["Retry-After"]) == (503, "2")
    assert "Others are just looking for stories to replay" in shown.text
    assert client.get("/replay").status_code == 200
