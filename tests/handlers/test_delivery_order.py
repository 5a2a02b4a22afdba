"""Deliveries of one story among themselves: who waits for whom, who stands in, who is taken back, how fast."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from placed import Place, finished, replay, rows, told, went_to, withdraw, world_on
from redis import Redis
from relayed import World

from handlers import attempt
from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service import pausing
from service.domain.delivery import DeliveryFailed, Publication, Published, Withdrawal
from service.domain.people import Doer
from service.domain.rates import Rate
from service.domain.states import StepKind, StoryState
from service.domain.steps import Lane
from service.ledger import deliveries, lanes, steps, withdrawals
from service.ledger.tables import steps as table
from service.pacing import Pacer
from service.replaying import Redone
from service.withdrawing import NothingToWithdraw, Undone

TOML = """
[destinations.blog]
connector = "archive"
path = "b"
fallback = "desk"
[destinations.team]
connector = "archive"
path = "t"
after = ["blog", "absent"]
[destinations.desk]
connector = "archive"
path = "d"
rate = "1/min"
[destinations.absent]
connector = "archive"
path = "a"
"""

Publish = Callable[[Publication], Published]


@pytest.fixture
def place() -> Place:
    place = Place()
    place.publish_as = lambda publication: Published(
        url=f"https://{publication.destination}.example/1", reference={"id": "1"}
    )
    return place


@pytest.fixture
def world(tmp_path: Path, database_url: str, place: Place) -> Iterator[World]:
    world = world_on(database_url, tmp_path, place, TOML)
    yield world
    world.relay.ledger.close()


def deliver_to(world: World, *destinations: str, revision: int = 1) -> None:
    """A story with a video that is to go there, in this order."""
    finished(world, revision, deliver=False)
    wanted = [steps.NewStep(Lane(StepKind.DELIVER, name), 1, revision, "all") for name in destinations]
    with world.relay.ledger.write() as tx:
        steps.add(tx, wanted, world.clock())


def failing(*names: str, permanent: bool = True) -> Publish:
    def publish(publication: Publication) -> Published:
        if publication.destination in names:
            raise DeliveryFailed("no", permanent=permanent)
        return Published(url=f"https://{publication.destination}.example/1", reference={"id": "1"})

    return publish


def test_a_delivery_waits_for_those_before_it_and_is_told_where_they_are(world: World, place: Place) -> None:
    deliver_to(world, "team", "blog")
    world.run()
    assert went_to(place) == ["blog", "team"]
    assert place.publications[1].elsewhere == {"blog": "https://blog.example/1"}
    assert place.publications[0].elsewhere == {}
    assert (rows(world)["team"].attempts, rows(world)["team"].waiting_for) == (1, None)
    assert world.story("story-1").state == StoryState.SETTLED


def test_what_is_retried_is_waited_for_and_no_attempt_is_spent(world: World, place: Place) -> None:
    deliver_to(world, "team", "blog")
    place.publish_as = failing("blog", permanent=False)
    world.run()
    waiting = rows(world)["team"]
    assert (waiting.state, waiting.attempts, waiting.waiting_for) == ("pending", 0, ["blog"])
    assert waiting.next_at is not None
    assert waiting.next_at > world.clock() + timedelta(minutes=10), "it does not look again and again"
    place.publish_as = failing()
    world.clock.move(5)
    world.run()
    assert went_to(place)[-2:] == ["blog", "team"]


def test_one_that_ends_while_the_other_looks_is_not_missed(world: World) -> None:
    deliver_to(world, "team", "blog")
    world.relay.dispatcher.sweep()
    (team,) = [step for step in world.queue.jobs if step == rows(world)["team"].id]
    with world.relay.ledger.write() as tx:
        claimed = steps.claim(tx, team, world.clock(), 60)
        assert claimed is not None
        first = deliveries.unended(tx, 1, 1, ["blog"])
        tx.execute(sa.text("UPDATE steps SET state = 'done' WHERE destination = 'blog'"))
        deliveries.wake(tx, 1, world.clock())
        late = world.clock() + timedelta(hours=1)
        steps.postpone(tx, claimed, world.clock(), late, spends=False, error=None)
        deliveries.wait_for(tx, claimed, first, world.clock())
    assert rows(world)["team"].next_at == world.clock()


def test_the_fallback_gets_what_could_not_be_delivered(world: World, place: Place) -> None:
    deliver_to(world, "blog", "team")
    place.publish_as = failing("blog")
    world.run()
    assert went_to(place) == ["blog", "team", "desk"]
    made = rows(world)
    assert (made["blog"].state, made["desk"].state, made["desk"].instead_of) == ("dead", "done", "blog")
    assert made["desk"].route == "all"
    assert world.story("story-1").state == StoryState.SETTLED
    with world.relay.ledger.read() as tx:
        said = tx.execute(sa.text("SELECT text FROM notices")).scalars().all()
    assert len(said) == 1
    assert "desk instead" in said[0]


def test_a_fallback_that_has_the_story_anyway_gets_it_once(world: World, place: Place) -> None:
    deliver_to(world, "desk", "blog")
    place.publish_as = failing("blog")
    world.run()
    assert sorted(went_to(place)) == ["blog", "desk"]
    assert rows(world)["desk"].instead_of is None


def test_a_withdrawn_story_is_gone_and_told(world: World, place: Place) -> None:
    deliver_to(world, "blog", "desk")
    world.run()
    assert withdraw(world, "blog") == {"blog": Undone.DUE}
    assert world.story("story-1").state == StoryState.SETTLING
    world.run()
    (withdrawal,) = place.withdrawals
    published = place.publications[0]
    assert (withdrawal.key, withdrawal.reference) == (published.key, {"id": "1"})
    assert withdrawal.message_id != published.message_id
    row = rows(world)["blog"]
    assert (row.state, row.url, row.remark, row.reference) == ("cancelled", None, "withdrawn", {})
    story = world.story("story-1")
    assert (story.state, story.message) == (StoryState.SETTLED, "withdrawn from blog")
    assert withdraw(world) == {"blog": Undone.WITHDRAWN, "desk": Undone.DUE}
    world.run()
    assert world.story("story-1").message == "withdrawn"


def test_only_a_replay_publishes_it_again(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    world.run()
    withdraw(world)
    world.run()
    assert replay(world) == {"blog": Redone.REPEATED}
    assert world.story("story-1").message is None
    world.run()
    assert (rows(world)["blog"].state, rows(world)["blog"].url) == ("done", "https://blog.example/1")
    assert len({each.message_id for each in [*place.publications, *place.withdrawals]}) == 3


def test_what_never_ran_is_just_cancelled(world: World, place: Place) -> None:
    deliver_to(world, "blog", "absent")
    world.relay.dispatcher.sweep()
    assert withdraw(world) == {"blog": Undone.CANCELLED, "absent": Undone.CANCELLED}
    world.run()
    assert (place.publications, place.withdrawals) == ([], [])
    assert world.story("story-1").state == StoryState.SETTLED
    assert world.story("story-1").message == "withdrawn"


def test_a_cancelled_delivery_is_waited_for_no_more(world: World, place: Place) -> None:
    deliver_to(world, "blog", "team")
    with world.relay.ledger.write() as tx:
        lanes.hold_until(tx, Lane(StepKind.DELIVER, "blog"), world.clock() + timedelta(hours=1))
    world.run()
    assert went_to(place) == []
    withdraw(world, "blog")
    world.run()
    assert went_to(place) == ["team"]


def test_a_running_publication_is_withdrawn_right_after(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    done: list[dict[str, Undone]] = []

    def publish(_publication: Publication) -> Published:
        done.append(withdraw(world))
        return Published(url="https://blog.example/1", reference={"id": "7"})

    place.publish_as = publish
    world.run()
    assert done == [{"blog": Undone.AFTER_THIS}]
    assert [each.reference for each in place.withdrawals] == [{"id": "7"}]
    assert rows(world)["blog"].state == "cancelled"
    assert world.story("story-1").state == StoryState.SETTLED


@pytest.mark.parametrize("permanent", [True, False])
def test_a_running_publication_that_fails_is_withdrawn_and_has_no_fallback(
    world: World, place: Place, permanent: bool
) -> None:
    deliver_to(world, "blog")

    def publish(publication: Publication) -> Published:
        publication.save({"part": "1"})
        withdraw(world)
        raise DeliveryFailed("no", permanent=permanent)

    place.publish_as = publish
    world.run()
    assert [each.reference for each in place.withdrawals] == [{"part": "1"}]
    assert {name: row.state for name, row in rows(world).items()} == {"blog": "cancelled"}
    assert told(world) == []


def test_a_replay_while_it_is_being_withdrawn_publishes_afterwards(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    world.run()
    withdraw(world)

    def take_back(_withdrawal: Withdrawal) -> Published:
        assert replay(world) == {"blog": Redone.REPEATED}
        return Published()

    place.withdraw_as = take_back
    world.run()
    assert len(place.publications) == 2
    assert (rows(world)["blog"].state, world.story("story-1").message) == ("done", None)


def test_what_can_t_be_withdrawn_is_told_and_stays_visible(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    world.run()

    def refuse(_withdrawal: Withdrawal) -> Published:
        raise DeliveryFailed("mails can't be taken back", permanent=True)

    place.withdraw_as = refuse
    withdraw(world)
    world.run()
    row = rows(world)["blog"]
    assert (row.state, row.url) == ("dead", "https://blog.example/1")
    assert list(rows(world)) == ["blog"], "a fallback is for what could not be published"
    assert withdraw(world) == {"blog": Undone.DUE}, "it may be tried again"


def test_an_earlier_revision_is_forgotten_with_the_later_one(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    world.run()
    deliver_to(world, "blog", "desk", revision=2)
    place.publish_as = failing("blog")
    world.run()
    place.publish_as = failing()
    assert withdraw(world, "blog") == {"blog": Undone.DUE}
    world.run()
    assert [each.reference for each in place.withdrawals] == [{"id": "1"}]
    with world.relay.ledger.read() as tx:
        assert deliveries.visible(tx, 1, but="", until=9) == {"desk": "https://desk.example/1"}
        assert deliveries.withdrawn(tx, 1) == ["blog"]


def test_a_story_that_went_nowhere_can_t_be_withdrawn(world: World) -> None:
    finished(world, deliver=False)
    with pytest.raises(NothingToWithdraw, match="settling"):
        withdraw(world)


def test_labels_reach_the_destinations(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    with world.relay.ledger.write() as tx:
        tx.execute(sa.text('UPDATE stories SET labels = \'{"team": "red"}\''))
    world.run()
    assert place.publications[0].story.labels == {"team": "red"}


def killed(world: World, owner: Any, name: str) -> None:
    """Runs what is due in a child process that dies where `owner.name` stands."""
    world.relay.dispatcher.sweep()
    step = world.queue.jobs.pop(0)
    pid = os.fork()
    if pid == 0:
        try:
            setattr(owner, name, lambda *_a, **_k: os.kill(os.getpid(), signal.SIGKILL))
            StepMachine(world.relay, HANDLERS).run(step)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, f"{name} was not reached"


POINTS = [
    (steps, "claim"),
    (StepMachine, "_attempt"),
    (StepMachine, "_record"),
    (steps, "end_attempt"),
    (withdrawals, "forget_publication"),
    (deliveries, "tell_withdrawn"),
    (deliveries, "wake"),
    (StepMachine, "_recover"),
]


@pytest.mark.parametrize(("owner", "name"), POINTS, ids=[name for _, name in POINTS])
def test_a_withdrawal_that_is_killed_is_done_all_the_same(
    world: World, place: Place, owner: Any, name: str
) -> None:
    deliver_to(world, "blog")
    world.run()
    withdraw(world)
    killed(world, owner, name)
    for _ in range(3):
        world.clock.move(61)
        world.run()
    row = rows(world)["blog"]
    assert (row.state, row.url, row.remark) == ("cancelled", None, "withdrawn")
    story = world.story("story-1")
    assert (story.state, story.message) == (StoryState.SETTLED, "withdrawn")


def test_a_fallback_that_is_killed_half_way_is_made_once(world: World, place: Place) -> None:
    deliver_to(world, "blog", "team")
    place.publish_as = failing("blog")
    killed(world, deliveries, "wake")
    assert "desk" not in rows(world), "all of it or nothing"
    for _ in range(3):
        world.clock.move(61)
        world.run()
    assert sorted(went_to(place)) == ["blog", "desk", "team"]
    assert world.story("story-1").state == StoryState.SETTLED


def test_a_destination_whose_turn_is_far_costs_no_attempt_and_no_worker(
    tmp_path: Path, sqlite_url: str, place: Place, valkey: str, redis: Redis
) -> None:
    world = world_on(sqlite_url, tmp_path, place, TOML)
    object.__setattr__(world.relay, "pacer", Pacer(redis))
    Pacer(redis).take("desk", Rate(1, 60.0), 0)
    deliver_to(world, "desk")
    world.run()
    row = rows(world)["desk"]
    assert (place.publications, row.state, row.attempts) == ([], "pending", 0)
    with world.relay.ledger.write() as tx:
        held = lanes.lock(tx, Lane(StepKind.DELIVER, "desk")).not_before
    assert held is not None
    assert 50 < (held - world.clock()).total_seconds() <= 58
    assert world.relay.dispatcher.sweep() == 0, "the lane waits, not a worker"
    redis.flushdb()
    world.clock.move(60)
    world.run()
    assert went_to(place) == ["desk"]
    world.relay.ledger.close()


@pytest.mark.parametrize("write", ["save_reference", "end", "end_attempt"])
def test_what_was_published_is_recorded_though_the_ledger_was_away(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    real, failures = getattr(steps, write), iter(range(2))

    def away(*given: Any) -> None:
        if next(failures, None) is not None:
            raise sa.exc.OperationalError("UPDATE", {}, Exception("the database is starting up"))
        real(*given)

    def publish(publication: Publication) -> Published:
        publication.save({"made": 1})
        return Published(url="https://blog.test/1")

    place.publish_as = publish
    finished(world, deliver=False)
    monkeypatch.setattr(attempt, "LEDGER_PAUSE", 0.0)
    with world.relay.ledger.write() as tx:
        new = steps.NewStep(Lane(StepKind.DELIVER, "desk"), 1, 1, "all")
        steps.add(tx, [new], world.clock())
    monkeypatch.setattr(steps, write, away)
    world.run()
    assert went_to(place) == ["desk"]
    assert [each.outcome for each in world.attempts("story-1")][-1] == "done"


def test_a_pause_reaches_a_delivery_that_its_worker_has_claimed_already(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    world.relay.dispatcher.sweep()
    blog = rows(world)["blog"].id
    with world.relay.ledger.write() as tx:
        lanes.pause(tx, Lane(StepKind.DELIVER, "blog"), "ada", world.clock())
        tx.execute(sa.update(table).where(table.c.id == blog).values(state="queued"))
    StepMachine(world.relay, HANDLERS).run(blog)
    world.run_for(60)
    waiting = rows(world)["blog"]
    assert (went_to(place), waiting.state, waiting.attempts) == ([], "pending", 0)
    assert pausing.resume(world.relay, "blog", Doer("ada"))
    world.run()
    assert went_to(place) == ["blog"]


def test_a_pause_outlives_what_was_under_way(world: World, place: Place) -> None:
    """The delivery that runs when somebody presses the button succeeds: that says nothing of the pause."""
    deliver_to(world, "blog")

    def publish(publication: Publication) -> Published:
        assert pausing.pause(world.relay, publication.destination, Doer("ada"))
        return Published()

    place.publish_as = publish
    world.run()
    assert rows(world)["blog"].state == "done"
    with world.relay.ledger.read() as tx:
        assert lanes.read(tx, Lane(StepKind.DELIVER, "blog")).is_paused
