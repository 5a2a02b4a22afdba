"""Destinations on the dashboard: what they are, how they do, pausing, testing, and which routes lead there."""

from pathlib import Path

from dashboard_client import SignIn, post
from relayed import World
from stories_told import told_in

from service import send_testing
from service.domain.people import Doer, Role
from service.domain.states import Circuit, Origin, Outcome, StepKind, StepState, StoryState
from service.domain.steps import Lane, Opens
from service.ledger import lanes, people, send_tests, steps, stories
from service.ledger.send_tests import Stand
from service.ledger.stories import NewStory

SHELF = Lane(StepKind.DELIVER, "shelf")


def waiting(world: World, destination: str = "shelf") -> None:
    """A delivery that is due."""
    with world.relay.ledger.write() as tx:
        key = stories.add(
            tx, NewStory("sub-1", Origin.TRACKED, StoryState.SETTLING, story_id="story-1"), world.clock()
        )
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, destination), key, 1, "all")], world.clock())


def state(world: World) -> lanes.LaneState:
    with world.relay.ledger.read() as tx:
        return lanes.read(tx, SHELF)


def deeds(world: World) -> list[tuple[str, str, str]]:
    with world.relay.ledger.read() as tx:
        found = [(deed.who, deed.action, deed.about) for _, deed in people.deeds(tx, 9)]
    return [deed for deed in found if deed[2] == "shelf"]


def test_a_destination_and_the_routes_are_shown(signed_in: SignIn, world: World) -> None:
    waiting(world)
    page = signed_in(Role.VIEWER).get("/destinations").text
    for told in ("shelf", "archive", "Nothing was sent there yet", "never", "published", "takes all"):
        assert told in page
    assert "Pause" not in page, "a viewer has no buttons"


def test_a_place_where_nothing_arrived_yet_does_not_look_well(signed_in: SignIn, world: World) -> None:
    told = told_in(world)
    step = told.step(told.story(StoryState.SETTLING), StepKind.DELIVER, "shelf", StepState.PENDING)
    told.attempt(step, "no room", 1, Outcome.RETRY)
    with world.relay.ledger.write() as tx:
        lanes.lock(tx, SHELF)
    viewer = signed_in(Role.VIEWER)
    page = viewer.get("/destinations/live").text
    assert 'class="place failing"' in page
    assert "Nothing arrived there yet" in page
    assert "1 failed try<" in page
    told.attempt(step, "", 2, Outcome.DONE)
    told.attempt(step, "no room", 3, Outcome.RETRY)
    page = viewer.get("/destinations/live").text
    assert 'class="place works"' in page
    assert "2 failed tries<" in page


def test_pausing_holds_everything_up_and_resuming_sends_it_at_once(signed_in: SignIn, world: World) -> None:
    waiting(world)
    client = signed_in(Role.OPERATOR)
    post(client, "/destinations/shelf/pause")
    page = client.get("/destinations").text
    assert "Paused</span> by the-operator" in page
    assert world.relay.dispatcher.sweep() == 0
    post(client, "/destinations/shelf/pause")
    assert "was paused already" in client.get("/destinations").text
    post(client, "/destinations/shelf/resume")
    assert world.queue.jobs == [1]
    step = world.steps("story-1")["deliver/shelf"]
    assert (step.state, step.attempts) == (StepState.QUEUED, 0)
    post(client, "/destinations/shelf/resume")
    assert "was not paused" in client.get("/destinations").text
    assert deeds(world) == [
        ("the-operator", "destination_resumed", "shelf"),
        ("the-operator", "destination_paused", "shelf"),
    ]


def test_a_held_back_destination_says_why_and_is_resumed(signed_in: SignIn, world: World) -> None:
    with world.relay.ledger.write() as tx:
        opens = Opens(lanes.REFUSED, "wrong <key>")
        lanes.open_circuit(tx, SHELF, opens, world.clock(), first_delay=600, fingerprint=None)
    client = signed_in(Role.OPERATOR)
    page = client.get("/destinations/live").text
    assert "Held back" in page
    assert "wrong &lt;key&gt;" in page
    assert "in 10 min" in page
    post(client, "/destinations/shelf/resume")
    assert state(world).circuit == Circuit.CLOSED


def test_what_is_not_configured_any_more_is_told_while_deliveries_wait(
    signed_in: SignIn, world: World
) -> None:
    waiting(world, "gone")
    client = signed_in(Role.OPERATOR)
    page = client.get("/destinations").text
    assert "not configured any more" in page
    assert "Send a test to gone" not in page


def test_nobody_pauses_or_tests_what_is_not_there(signed_in: SignIn) -> None:
    client = signed_in(Role.OPERATOR)
    for deed in ("pause", "resume", "test"):
        assert post(client, f"/destinations/nowhere/{deed}").status_code == 404


def test_a_viewer_may_press_nothing(signed_in: SignIn) -> None:
    client = signed_in(Role.VIEWER)
    for deed in ("pause", "resume", "test"):
        assert post(client, f"/destinations/shelf/{deed}").status_code == 403


def test_a_test_is_sent_by_a_worker_and_the_page_hears_of_it(signed_in: SignIn, world: World) -> None:
    with world.relay.ledger.write() as tx:
        opens = Opens(lanes.FAILING, "9 of 10")
        lanes.open_circuit(tx, SHELF, opens, world.clock(), first_delay=600, fingerprint=None)
    client = signed_in(Role.OPERATOR)
    post(client, "/destinations/shelf/test")
    assert world.queue.tests == [1]
    page = client.get("/destinations/live").text
    assert "under way…" in page
    assert 'hx-trigger="every 1s"' in page
    send_testing.run(world.relay, 1)
    send_testing.run(world.relay, 1)
    page = client.get("/destinations/live").text
    assert '<span class="good">sent</span>' in page
    assert 'hx-trigger="every 5s"' in page
    assert state(world).circuit == Circuit.CLOSED, "what works is used again"
    assert deeds(world) == [("the-operator", "send_test", "shelf")]


def test_a_test_opens_nothing_that_a_person_paused(signed_in: SignIn, world: World) -> None:
    client = signed_in(Role.OPERATOR)
    post(client, "/destinations/shelf/pause")
    post(client, "/destinations/shelf/test")
    send_testing.run(world.relay, 1)
    assert state(world).is_paused


def test_a_test_that_fails_says_why(signed_in: SignIn, world: World, tmp_path: Path) -> None:
    (tmp_path / "published").write_text("a file stands where the folder should be")
    key = send_testing.ask(world.relay, "shelf", Doer("ada"))
    send_testing.run(world.relay, key)
    page = signed_in(Role.VIEWER).get("/destinations").text
    assert '<span class="bad">failed:</span>' in page


def test_without_a_queue_a_test_fails_at_once(signed_in: SignIn, world: World) -> None:
    world.queue.down = True
    client = signed_in(Role.OPERATOR)
    post(client, "/destinations/shelf/test")
    assert "nothing was sent" in client.get("/destinations").text


def test_a_test_that_nobody_answers_is_not_waited_for(signed_in: SignIn, world: World) -> None:
    key = send_testing.ask(world.relay, "shelf", Doer("ada"))
    world.clock.move(send_testing.ANSWER_SECONDS + 1)
    assert "no answer." in signed_in(Role.VIEWER).get("/destinations").text
    send_testing.run(world.relay, key)
    with world.relay.ledger.read() as tx:
        late = send_tests.read(tx, key)
    assert late is not None
    assert late.state == Stand.FAILED, "nobody waits for it any more, so it is not sent"


def test_a_described_story_is_told_its_routes(signed_in: SignIn, world: World) -> None:
    client = signed_in(Role.VIEWER)
    page = client.get(
        "/routes", query_string={"title": "<b>Fox</b>", "labels": "team=brand", "duration": "15"}
    ).text
    assert "It would go to <strong>shelf</strong>" in page
    assert "<b>Fox" not in page
    assert "as team=brand" in client.get("/routes", query_string={"labels": "team"}).text
    assert "should be a number" in client.get("/routes", query_string={"duration": "long"}).text


def test_a_known_story_is_told_its_routes(signed_in: SignIn, world: World) -> None:
    waiting(world)
    client = signed_in(Role.VIEWER)
    assert "It would go to" in client.get("/routes?story=story-1").text
    assert "No story here has the id “nothing”" in client.get("/routes?story=nothing").text
    with world.relay.ledger.write() as tx:
        stories.change(tx, 1, world.clock(), route="gone")
    assert "no route &#39;gone&#39;" in client.get("/routes?story=story-1").text
