from collections.abc import Iterator
from pathlib import Path

import pytest
from relayed import World, make_world

from service.ledger import notices, troubles
from service.scheduler_heartbeat import LOOK_SECONDS, SchedulerWatch, beat

TOML = """
[destinations.team]
connector = "archive"
path = "team"
[notices]
destinations = ["team"]
"""
PATIENCE = 3 * 2 + 120


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    world = make_world(tmp_path, database_url, TOML, {})
    yield world
    world.relay.ledger.close()


class Seconds:
    """A worker's own clock."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def lasting(world: World) -> list[str]:
    with world.relay.ledger.read() as tx:
        return [each.kind for each in troubles.open_ones(tx)]


def test_a_silent_scheduler_is_told_once_without_it_and_its_return_as_well(world: World) -> None:
    clock = Seconds()
    watches = [SchedulerWatch(2, clock) for _ in range(3)]
    beat(world.relay, world.clock())

    def look(at: float) -> None:
        world.clock.move(at - clock.at)
        clock.at = at
        for watch in watches:
            watch.look(world.relay)

    look(0)
    look(PATIENCE - 1)
    assert lasting(world) == []
    look(PATIENCE)
    assert lasting(world) == ["scheduler_silent"]
    assert len(world.queue.jobs) == 1, "on its way though nobody sweeps"
    with world.relay.ledger.read() as tx:
        (notice,) = notices.recent(tx, 9)
    assert "was last seen at 2026-03-01 12:00:00 UTC" in notice.text
    world.people_hear()
    beat(world.relay, world.clock())
    assert lasting(world) == []
    with world.relay.ledger.read() as tx:
        over, _ = notices.recent(tx, 9)
    assert (over.kind, over.text) == ("resolved", "It lasted 2 minutes. What waited is being done.")
    look(2 * PATIENCE)
    assert lasting(world) == [], "a new heartbeat, a new patience"


def test_a_notice_whose_worker_died_before_it_was_on_its_way_is_sent_by_the_next_look(world: World) -> None:
    clock = Seconds()
    watch = SchedulerWatch(2, clock)
    world.queue.down = True
    clock.at = PATIENCE
    watch.look(world.relay)
    assert (lasting(world), world.queue.jobs) == (["scheduler_silent"], []), "also one that never ran"
    world.queue.down = False
    clock.at += LOOK_SECONDS
    watch.look(world.relay)
    assert len(world.queue.jobs) == 1


def test_a_machine_that_slept_raises_no_alarm(world: World) -> None:
    clock = Seconds()
    beat(world.relay, world.clock())
    watch = SchedulerWatch(2, clock)
    watch.look(world.relay)
    world.clock.move(8 * 3600)
    clock.at = LOOK_SECONDS
    watch.look(world.relay)
    assert lasting(world) == []


def test_a_worker_looks_once_a_minute(world: World) -> None:
    clock = Seconds()
    watch = SchedulerWatch(2, clock)
    assert watch.is_due()
    watch.look(world.relay)
    clock.at = LOOK_SECONDS - 1
    assert not watch.is_due()
    clock.at = LOOK_SECONDS
    assert watch.is_due()
