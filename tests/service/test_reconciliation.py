import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from relayed import START, World, make_world

from service.domain.states import Origin, StoryState
from service.ledger import notices, reports, stories
from service.ledger.stories import NewStory
from service.ledger.tables import stories as table
from service.reconciliation import Reconciled, Reconciliation

TOML = """
[destinations.shelf]
connector = "archive"
path = "p"
[notices]
destinations = ["shelf"]
"""
DAY = 86400
MakeWorld = Callable[..., World]


@pytest.fixture
def make(tmp_path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(url: str, **env: str) -> World:
        made.append(make_world(tmp_path, url, TOML, env))
        return made[-1]

    yield make
    for world in made:
        world.relay.ledger.close()


@pytest.fixture
def world(make: MakeWorld, sqlite_url: str) -> World:
    return make(sqlite_url)


@pytest.fixture
def either(make: MakeWorld, database_url: str) -> World:
    """A world on either database."""
    return make(database_url)


def reconciled(world: World) -> Reconciled:
    relay = world.relay
    return Reconciliation(relay.ledger, relay.settings, relay.configuration, relay.now).run()


def add(
    world: World, *names: str, state: StoryState = StoryState.OPEN, poll: float | None = 0, **values
) -> None:
    """Adds stories that are to be polled in `poll` seconds."""
    now = world.clock()
    known = state not in (StoryState.SUBMITTING, StoryState.UNCONFIRMED)
    with world.relay.ledger.write() as tx:
        for name in names:
            next_poll_at = None if poll is None else now + timedelta(seconds=poll)
            new = NewStory(f"sub-{name}", Origin.SUBMITTED, state, story_id=name if known else None)
            key = stories.add(tx, new, now)
            assert key is not None
            stories.change(tx, key, now, next_poll_at=next_poll_at, **values)


def asked(world: World) -> list[float]:
    """When the fetches that there are may run, in seconds from the start."""
    with world.relay.ledger.read() as tx:
        keys = tx.execute(sa.select(table.c.id).order_by(table.c.id)).scalars().all()
        found = [step.next_at for key in keys for step in reports.steps_of(tx, key)]
    return [(at - START).total_seconds() for at in found if at is not None]


def told(world: World) -> list[str]:
    with world.relay.ledger.read() as tx:
        return sorted(f"{notice.kind} {notice.title}" for notice in notices.recent(tx, 1000))


def states(world: World) -> dict[str, int]:
    with world.relay.ledger.read() as tx:
        return stories.counts(tx)


def test_only_what_is_due_is_asked_for_oldest_first(either: World) -> None:
    add(either, "due", poll=-1)
    add(either, "older", poll=-60)
    add(either, "not-yet", poll=1)
    add(either, "settled", state=StoryState.SETTLED, poll=None)
    assert sorted(reconciled(either).polled) == ["due", "older"]
    assert either.steps("due")["fetch"].state == "pending"
    assert (either.steps("not-yet"), either.steps("settled")) == ({}, {})


def test_the_longest_waiting_go_first_when_not_all_can(make: MakeWorld, sqlite_url: str) -> None:
    world = make(sqlite_url, STORYRELAY_POLL_BATCH="2")
    add(world, "a", poll=-1)
    add(world, "b", poll=-30)
    add(world, "c", poll=-20)
    assert sorted(reconciled(world).polled) == ["b", "c"]
    assert reconciled(world).polled == ["a"]


def test_all_processes_together_keep_the_rate(either: World) -> None:
    add(either, *(f"story-{number}" for number in range(50)))
    passes = [len(reconciled(either).polled) for _ in range(3)]
    assert passes == [20, 0, 0], "two a second, for the next ten seconds"
    assert sorted(asked(either)) == [number / 2 for number in range(20)]
    either.clock.move(5)
    assert len(reconciled(either).polled) == 10
    either.clock.move(100)
    assert len(reconciled(either).polled) == 20
    assert len(set(asked(either))) == 50, "no two at the same moment"


def test_a_pass_without_work_uses_up_no_rate(world: World) -> None:
    for _ in range(5):
        reconciled(world)
    add(world, "story-1")
    reconciled(world)
    assert asked(world) == [0]


def test_a_rate_below_one_in_ten_seconds_is_a_rate(make: MakeWorld, sqlite_url: str) -> None:
    world = make(sqlite_url, STORYRELAY_POLL_RATE="0.02")
    add(world, "a", "b")
    polls = []
    for _ in range(12):
        polls.append(len(reconciled(world).polled))
        world.clock.move(5)
    assert polls == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert asked(world) == [0, 50]


def test_what_was_ordered_is_not_ordered_again_before_it_ran(world: World) -> None:
    add(world, "story-1")
    assert reconciled(world).polled == ["story-1"]
    world.clock.move(119)
    assert reconciled(world).polled == []
    world.clock.move(2)
    assert reconciled(world).polled == ["story-1"], "its fetch never came back to set the next poll"
    assert asked(world) == [0], "one fetch, due since the first order"


def test_two_at_once_order_each_poll_once(either: World) -> None:
    add(either, *(f"story-{number}" for number in range(20)))
    polled: list[str] = []
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        polled.extend(reconciled(either).polled)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(polled) == sorted(f"story-{number}" for number in range(20))
    assert sorted(asked(either)) == [number / 2 for number in range(20)]
    with either.relay.ledger.read() as tx:
        assert {step.generation for key in range(1, 21) for step in reports.steps_of(tx, key)} == {0}


def test_a_story_that_was_asked_in_vain_for_days_is_given_up(either: World) -> None:
    add(either, "story-1", polls=200, api_status="processing")
    add(either, "story-2", polls=200)
    either.clock.move(3 * DAY - 1)
    assert reconciled(either).given_up == []
    either.clock.move(200)
    with either.relay.ledger.write() as tx:  # the last look came back, as unfinished as ever
        stories.change(tx, 1, either.clock(), next_poll_at=either.clock())
    assert reconciled(either).given_up == ["story-1"]
    row = either.story("story-1")
    assert (row.state, row.next_poll_at) == (StoryState.GIVEN_UP, None)
    assert "3 days" in (row.message or "")
    assert "processing" in (row.message or "")
    assert told(either) == ["story_given_up Story given up: story-1"]
    assert either.story("story-2").state == StoryState.OPEN
    either.clock.move(10)
    assert reconciled(either).given_up == []


def test_nobody_is_given_up_for_an_outage_of_ours(world: World) -> None:
    add(world, "story-1", polls=3)
    world.clock.move(3 * DAY + 3600)
    assert reconciled(world) == Reconciled(["story-1"], [], []), "asked once more first"
    world.clock.move(DAY)
    assert reconciled(world).given_up == ["story-1"]


def test_a_dead_submitting_process_leaves_a_doubt_and_later_a_notice(either: World) -> None:
    add(either, "x", state=StoryState.SUBMITTING, poll=None)
    either.clock.move(299)
    reconciled(either)
    assert states(either) == {"submitting": 1}
    either.clock.move(2)
    assert reconciled(either).unconfirmed == []
    assert states(either) == {"unconfirmed": 1}
    either.clock.move(3298)
    assert reconciled(either).unconfirmed == []
    either.clock.move(2)
    assert reconciled(either).unconfirmed == ["sub-x"]
    assert told(either) == ["story_unconfirmed Submission never confirmed: submission sub-x"]
    for _ in range(3):
        either.clock.move(3600)
        assert reconciled(either).unconfirmed == []
    assert len(told(either)) == 1


def test_many_old_ones_hide_no_new_one(world: World) -> None:
    add(world, *(f"old-{number:03}" for number in range(450)), state=StoryState.UNCONFIRMED, poll=None)
    world.clock.move(4000)
    assert [len(reconciled(world).unconfirmed) for _ in range(4)] == [200, 200, 50, 0]
    add(world, "new", state=StoryState.UNCONFIRMED, poll=None)
    world.clock.move(4000)
    assert reconciled(world).unconfirmed == ["sub-new"]
    assert len(told(world)) == 451


def test_the_notice_is_told_to_people_once(world: World) -> None:
    add(world, "x", state=StoryState.UNCONFIRMED, poll=None)
    world.clock.move(4000)
    for _ in range(3):
        reconciled(world)
    with world.relay.ledger.read() as tx:
        (step,) = reports.steps_of(tx, 1)
    assert (step.kind, step.destination, step.state) == ("notify", "shelf", "pending")
