import json
import urllib.request
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from relayed import World

from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.domain.states import Circuit, StepKind, StoryState
from service.domain.steps import Lane
from service.emulator import EmulatorServer
from service.ledger import lanes, notices, reports, steps, stories, troubles
from service.ledger.tables import steps as steps_table

Ask = Callable[..., str]
MakeWorld = Callable[..., World]
Await = Callable[[str], None]

FETCH = Lane(StepKind.FETCH)
NOTICES = """
[notices]
destinations = ["shelf"]
"""


def told(world: World) -> list[str]:
    with world.relay.ledger.read() as tx:
        return [notice.kind for notice in reversed(notices.recent(tx, 50))]


def circuit(world: World, lane: Lane) -> lanes.LaneState:
    with world.relay.ledger.write() as tx:
        return lanes.lock(tx, lane)


def outcomes(world: World, story_id: str, kind: str) -> list[str]:
    return [attempt.outcome for attempt in world.attempts(story_id) if attempt.kind == kind]


def test_a_success_without_its_video_is_asked_again_soon(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask("[fault:video-url-late=60] A fox")
    finished(story_id)
    world.track(story_id)
    world.run()
    assert outcomes(world, story_id, "fetch") == ["waited"]
    world.run_for(2)
    assert outcomes(world, story_id, "fetch") == ["waited", "waited"]
    world.run_for(66)
    assert outcomes(world, story_id, "fetch") == ["waited"] * 5 + ["done"]
    row = world.story(story_id)
    assert row.state == StoryState.OPEN
    assert row.next_poll_at is not None, "after the short looks it is polled as usual"
    assert world.steps(story_id)["fetch"].attempts == 1, "a wait spends no attempt"


def test_a_failed_story_ends_with_its_message_and_a_notice(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask("[fault:fail=no fox was found] A fox")
    finished(story_id)
    world.track(story_id)
    world.run()
    row = world.story(story_id)
    assert (row.state, row.message, row.next_poll_at) == (StoryState.FAILED, "no fox was found", None)
    assert told(world) == ["story_failed"]
    world.track(story_id)
    world.run()
    assert told(world) == ["story_failed"], "told once"


def test_an_unknown_id_ends_after_three_tries_and_ten_minutes(world: World) -> None:
    world.track("nobody-knows-it")
    world.run()
    for _ in range(5):
        world.track("nobody-knows-it")
        world.run()
    assert world.story("nobody-knows-it").state == StoryState.OPEN, (
        "hints in a row do not shorten the ten minutes"
    )
    world.run_for(700, step=10)
    assert world.story("nobody-knows-it").state == StoryState.UNKNOWN
    assert told(world) == ["story_unknown"]
    tries = len(world.attempts("nobody-knows-it"))
    world.run_for(7200, step=60)
    assert len(world.attempts("nobody-knows-it")) == tries, "no loop"


def test_an_expired_address_is_fetched_anew(
    world: World, ask: Ask, finished: Await, emulator: EmulatorServer
) -> None:
    story_id = ask("[fault:video-url-expires=1] A fox")
    finished(story_id)
    world.track(story_id)
    world.queue.down = True
    world.run()
    world.queue.down = False
    row = world.story(story_id)
    assert row.state == StoryState.OPEN
    world.run()
    assert world.story(story_id).state == StoryState.SETTLED


def test_a_download_that_breaks_off_is_resumed(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask("[fault:download-cut=2] A fox")
    finished(story_id)
    world.track(story_id)
    world.run()
    world.run_for(310, step=5)
    assert outcomes(world, story_id, "download") == ["retry", "retry", "done"]
    assert world.story(story_id).state == StoryState.SETTLED
    assert list(world.relay.video_store().incoming.iterdir()) == []


@pytest.mark.parametrize("fault", ["video-corrupt"])
def test_a_video_that_cannot_be_decoded_is_refused_for_good(
    world: World, ask: Ask, finished: Await, fault: str
) -> None:
    story_id = ask(f"[fault:{fault}] A fox")
    finished(story_id)
    world.track(story_id)
    world.run()
    row = world.story(story_id)
    assert row.state == StoryState.GIVEN_UP
    assert row.message is not None
    assert "refused" in row.message
    assert told(world) == ["story_given_up"]
    assert not (world.home / "published").exists()


def test_a_cut_video_is_tried_again_and_then_refused(make: MakeWorld, ask: Ask, finished: Await) -> None:
    world = make(STORYRELAY_RETRY_SCHEDULE="5,10")
    story_id = ask("[fault:video-cut] A fox")
    finished(story_id)
    world.track(story_id)
    world.run()
    world.run_for(20)
    assert outcomes(world, story_id, "download") == ["retry", "retry", "dead"]
    assert world.story(story_id).state == StoryState.GIVEN_UP


def test_a_private_address_is_refused_unless_it_is_allowed(
    make: MakeWorld, ask: Ask, finished: Await
) -> None:
    world = make(
        '[destinations.shelf]\nconnector = "archive"\npath = "p"\n[[routes]]\nname = "a"\ndestinations = ["shelf"]\n'
    )
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    world.run()
    row = world.story(story_id)
    assert row.state == StoryState.GIVEN_UP
    assert row.message is not None
    assert "127.0.0.1" in row.message


def test_a_refused_key_pauses_the_asking_spends_nothing_and_recovers(
    make: MakeWorld, ask: Ask, finished: Await
) -> None:
    world = make(STORY_API_KEY="wrong-key-of-a-person")
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    world.run()
    state = circuit(world, FETCH)
    assert (state.circuit, state.reason) == (Circuit.OPEN, "refused")
    assert world.steps(story_id)["fetch"].attempts == 0
    assert told(world) == ["key_refused"], "told as what it is, not as a pause as well"
    world.run_for(890, step=10)
    assert len(outcomes(world, story_id, "fetch")) == 1, "one probe a quarter of an hour"
    world.run_for(20, step=10)
    assert len(outcomes(world, story_id, "fetch")) == 2
    assert "wrong-key-of-a-person" not in str(state) + str(world.attempts(story_id))
    mended = make()
    with mended.relay.ledger.write() as tx:
        changed = lanes.close_changed(tx, {FETCH: mended.relay.fingerprint(FETCH) or ""}, mended.clock())
    assert changed == [FETCH]
    mended.clock.time = world.clock.time
    with mended.relay.ledger.read() as tx:
        assert [each.kind for each in troubles.open_ones(tx)] == ["key_refused"], "until a call is answered"
    mended.run()
    assert mended.story(story_id).state == StoryState.SETTLED
    with mended.relay.ledger.read() as tx:
        assert troubles.open_ones(tx) == []


def test_trouble_of_the_api_backs_off_and_honours_retry_after(
    world: World, ask: Ask, finished: Await
) -> None:
    story_id = ask("[fault:api-burst=2] A fox")
    finished(story_id)
    world.track(story_id)
    world.run()
    assert outcomes(world, story_id, "fetch") == ["retry"]
    assert world.story(story_id).state == StoryState.OPEN
    world.run_for(700, step=5)
    assert outcomes(world, story_id, "fetch") == ["retry", "retry", "done"]
    assert world.story(story_id).state == StoryState.SETTLED


def test_a_silent_story_is_polled_and_given_up_after_days(make: MakeWorld, ask: Ask) -> None:
    world = make(STORYRELAY_POLL_GIVE_UP_SECONDS="7200")
    story_id = ask("[fault:video-url-late=86400] A fox")
    world.track(story_id)
    world.run()
    world.run_for(9600, step=60)
    row = world.story(story_id)
    assert row.state == StoryState.GIVEN_UP
    assert told(world) == ["story_given_up"]
    polls = row.polls
    assert 10 < polls < 80
    world.run_for(3600, step=60)
    assert world.story(story_id).polls == polls


def test_a_new_video_for_a_settled_story_is_a_revision(
    world: World, ask: Ask, finished: Await, emulator: EmulatorServer
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    world.run()
    remake(emulator, story_id)
    finished(story_id)
    world.clock.move(60)
    world.track(story_id)
    world.run()
    row = world.story(story_id)
    assert (row.state, row.revision) == (StoryState.SETTLED, 2)
    assert (world.home / "published" / story_id / "r2" / "video.mp4").exists()


def remake(emulator: EmulatorServer, story_id: str) -> None:

    request = urllib.request.Request(
        f"{emulator.url}/v2/story/{story_id}/videos",
        data=json.dumps({"title": "Fox, again", "duration": 2}).encode(),
        headers={"X-Api-Key": emulator.key, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_a_queue_that_is_down_loses_nothing(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask()
    finished(story_id)
    world.queue.down = True
    world.track(story_id)
    world.run()
    assert world.steps(story_id)["fetch"].state == "pending"
    world.queue.down = False
    world.run()
    assert world.story(story_id).state == StoryState.SETTLED


def test_jobs_that_vanish_are_brought_back(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    world.relay.dispatcher.sweep()
    world.queue.jobs.clear()  # FLUSHALL
    world.run()
    assert world.steps(story_id)["fetch"].state == "queued"
    world.clock.move(61)
    world.run()
    assert world.story(story_id).state == StoryState.SETTLED


def test_a_pinned_route_that_is_gone_ends_the_story_and_says_so(
    world: World, ask: Ask, finished: Await
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id, route="gone")
    world.run()
    row = world.story(story_id)
    assert row.state == StoryState.GIVEN_UP
    assert row.message is not None
    assert "gone" in row.message


def test_a_revision_that_turns_out_the_same_is_delivered_when_the_first_was_overtaken(
    world: World, ask: Ask, finished: Await
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    run_only(world, "fetch")
    with (
        world.relay.ledger.write() as tx
    ):  # as if the API had named another address while revision 1 downloaded
        row = stories.lock(tx, world.story(story_id).id)
        stories.change(tx, row.id, world.clock(), video_identity="https://elsewhere.example/v.mp4")
    world.track(story_id)
    run_only(world, "fetch")
    assert world.story(story_id).revision == 2
    world.run()
    row = world.story(story_id)
    assert row.state == StoryState.SETTLED
    assert world.steps(story_id)["deliver/shelf"].state == "done"


def test_a_story_made_anew_at_the_same_address_is_taken_again(
    world: World, ask: Ask, finished: Await
) -> None:
    story_id = ask("[fault:video-corrupt] A fox")
    finished(story_id)
    world.track(story_id)
    world.run()
    assert world.story(story_id).state == StoryState.GIVEN_UP
    with world.relay.ledger.write() as tx:  # the API said `processing` meanwhile
        stories.change(
            tx, world.story(story_id).id, world.clock(), state=StoryState.OPEN, next_poll_at=world.clock()
        )
    world.run_for(60, step=10)
    row = world.story(story_id)
    assert (row.state, row.revision) == (StoryState.GIVEN_UP, 2), "looked at again, and told again"
    assert told(world) == ["story_given_up", "story_given_up"]


def test_a_download_that_was_overtaken_and_dies_holds_nothing_up(
    world: World, ask: Ask, finished: Await
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    world.run()
    key = world.story(story_id).id
    with world.relay.ledger.write() as tx:
        stories.change(tx, key, world.clock(), state=StoryState.SETTLING, revision=2)
        step = next(step for step in reports.steps_of(tx, key) if step.kind == "download")
        steps.repeat(tx, [step.id], world.clock())
        tx.execute(sa.update(steps_table).where(steps_table.c.id == step.id).values(attempts=50))
    world.run()
    assert world.story(story_id).state == StoryState.SETTLED


def run_only(world: World, kind: str) -> None:
    """Runs the due steps of one kind, and leaves what follows from them."""
    world.relay.dispatcher.sweep()
    with world.relay.ledger.read() as tx:
        jobs = set(world.queue.jobs)
        mine = (
            tx.execute(
                sa.select(steps_table.c.id).where(steps_table.c.id.in_(jobs), steps_table.c.kind == kind)
            )
            .scalars()
            .all()
        )
    for step in mine:
        world.queue.jobs.remove(step)
        StepMachine(world.relay, HANDLERS).run(step)
