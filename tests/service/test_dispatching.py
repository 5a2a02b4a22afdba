import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from relayed import FakeQueue, World, make_world

from service.dispatching import STALE_BATCH, Dispatcher
from service.domain.states import StepKind
from service.domain.steps import Lane, Opens
from service.job_queue import QueueDown
from service.ledger import Ledger, lanes, steps
from service.ledger.tables import steps as table

TOML = """
[destinations.slow]
connector = "archive"
path = "p"
[destinations.other]
connector = "archive"
path = "q"
[destinations.narrow]
connector = "archive"
path = "r"
max_in_flight = 1
"""
FETCH = Lane(StepKind.FETCH)
DOWNLOAD = Lane(StepKind.DOWNLOAD)
SLOW, OTHER, NARROW = (Lane(StepKind.DELIVER, name) for name in ("slow", "other", "narrow"))
TELL = Lane(StepKind.NOTIFY, "slow")

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


def add(world: World, lane: Lane, count: int = 1, after: float = 0) -> list[int]:
    """Adds steps that are due `after` seconds from now; returns their keys."""
    now = world.clock() + timedelta(seconds=after)
    with world.relay.ledger.write() as tx:
        before = set(tx.execute(sa.select(table.c.id)).scalars())
        steps.add(tx, [steps.NewStep(lane, None) for _ in range(count)], now)
        return sorted(set(tx.execute(sa.select(table.c.id)).scalars()) - before)


def end(world: World, *ids: int) -> None:
    with world.relay.ledger.write() as tx:
        tx.execute(sa.update(table).where(table.c.id.in_(ids)).values(state="done"))


def states(world: World, ids: Iterable[int]) -> list[str]:
    with world.relay.ledger.read() as tx:
        found = dict(tx.execute(sa.select(table.c.id, table.c.state)).all())
    return [found[step] for step in ids]


def test_what_is_due_is_marked_and_enqueued_once(either: World) -> None:
    due, later = add(either, FETCH, 3), add(either, FETCH, after=1)
    assert either.relay.dispatcher.dispatch() == 3
    assert sorted(either.queue.jobs) == due
    assert states(either, due + later) == ["queued"] * 3 + ["pending"]
    assert either.relay.dispatcher.dispatch() == 0
    either.clock.move(1)
    assert either.relay.dispatcher.dispatch() == 1
    assert sorted(either.queue.jobs) == due + later


def test_the_oldest_go_first(make: MakeWorld, sqlite_url: str) -> None:
    world = make(sqlite_url, STORYRELAY_QUEUE_LIMIT="2")
    young, old, older = (add(world, FETCH, after=after)[0] for after in (-1, -5, -9))
    world.relay.dispatcher.dispatch()
    assert sorted(world.queue.jobs) == sorted([old, older])
    end(world, older)
    world.relay.dispatcher.dispatch()
    assert world.queue.jobs[-1] == young


def test_a_slow_destination_takes_its_share_and_no_more(either: World) -> None:
    slow, other = add(either, SLOW, 10), add(either, OTHER, 2)
    either.relay.dispatcher.dispatch()
    assert [states(either, lane).count("queued") for lane in (slow, other)] == [4, 2]
    assert len(either.queue.jobs) == 6
    assert either.relay.dispatcher.dispatch() == 0, "running ones count as well"
    end(either, slow[0])
    late = add(either, OTHER, 1)
    either.relay.dispatcher.dispatch()
    assert states(either, late) == ["queued"]
    assert states(either, slow).count("queued") == 4


def test_with_the_settings_as_they_are_a_slow_destination_leaves_workers_to_the_others(world: World) -> None:
    assert world.relay.dispatcher.limit(SLOW) < world.relay.settings.workers_deliver


def test_a_destination_may_have_a_share_of_its_own(world: World) -> None:
    narrow = add(world, NARROW, 3)
    world.relay.dispatcher.dispatch()
    assert sorted(states(world, narrow)) == ["pending", "pending", "queued"]


@pytest.mark.parametrize(
    ("lane", "limit"),
    [(FETCH, 200), (DOWNLOAD, 200), (SLOW, 4), (NARROW, 1), (TELL, 4), (Lane(StepKind.DELIVER, "gone"), 4)],
)
def test_every_lane_has_a_limit(world: World, lane: Lane, limit: int) -> None:
    assert world.relay.dispatcher.limit(lane) == limit


def test_only_the_named_lanes_are_looked_at(world: World) -> None:
    fetch, deliver = add(world, FETCH), add(world, SLOW)
    assert world.relay.dispatcher.dispatch([FETCH]) == 1
    assert states(world, fetch + deliver) == ["queued", "pending"]


def test_two_dispatchers_at_once_fill_the_room_once(either: World) -> None:
    ids = add(either, SLOW, 30) + add(either, FETCH, 30)
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        for _ in range(3):
            either.relay.dispatcher.dispatch()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(either.queue.jobs) == len(set(either.queue.jobs)) == 34
    assert states(either, ids).count("queued") == 34


def test_a_queue_that_is_down_gives_the_steps_back(either: World) -> None:
    ids = add(either, FETCH, 2) + add(either, SLOW)
    either.queue.down = True
    assert either.relay.dispatcher.dispatch() == 0
    assert states(either, ids) == ["pending"] * 3
    either.queue.down = False
    assert either.relay.dispatcher.dispatch() == 3, "due as before, at once"


class HalfQueue(FakeQueue):
    """Breaks off after the first jobs, as a server that dies in the middle."""

    def enqueue(self, steps: Iterable[tuple[int, StepKind]]) -> None:
        self.jobs += [step for step, _ in list(steps)[:1]]
        raise QueueDown("broken off")


def test_a_queue_that_breaks_off_half_way_leaves_jobs_that_find_nothing(world: World) -> None:
    ids = add(world, FETCH, 3)
    relay, queue = world.relay, HalfQueue()
    dispatcher = Dispatcher(relay.ledger, queue, relay.settings, relay.configuration, relay.now)
    assert dispatcher.dispatch() == 0
    assert states(world, ids) == ["pending"] * 3
    with relay.ledger.write() as tx:
        assert steps.claim(tx, queue.jobs[0], world.clock(), 60) is None, "a hint, and not the truth"


def test_lost_jobs_are_brought_back_after_a_minute_and_once_a_minute(either: World) -> None:
    ids = add(either, FETCH, 2)
    either.relay.dispatcher.sweep()
    either.queue.jobs.clear()  # FLUSHALL
    either.clock.move(60)
    assert either.relay.dispatcher.sweep() == 0
    either.clock.move(1)
    assert either.relay.dispatcher.sweep() == 2
    assert sorted(either.queue.jobs) == ids
    assert either.relay.dispatcher.sweep() == 0
    either.clock.move(61)
    assert either.relay.dispatcher.sweep() == 0, "as many jobs wait as steps: a long queue is no loss"
    either.queue.jobs.pop()
    assert either.relay.dispatcher.sweep() == 2


def test_a_running_step_is_brought_back_only_when_its_lease_lapsed(either: World) -> None:
    (step,) = add(either, FETCH)
    either.relay.dispatcher.sweep()
    either.clock.move(100)
    with either.relay.ledger.write() as tx:
        claimed = steps.claim(tx, step, either.clock(), 60)
    assert claimed is not None
    either.queue.jobs.clear()
    either.clock.move(59)
    assert either.relay.dispatcher.sweep() == 0
    either.clock.move(2)
    assert either.relay.dispatcher.sweep() == 1
    assert either.queue.jobs == [step]
    with either.relay.ledger.write() as tx:
        again = steps.claim(tx, step, either.clock(), 60)
    assert again is not None
    assert (again.generation, claimed.generation) == (2, 1)


def test_lost_jobs_stay_lost_to_nobody_while_the_queue_is_down(world: World) -> None:
    ids = add(world, FETCH, 2)
    world.relay.dispatcher.sweep()
    world.queue.jobs.clear()
    world.queue.down = True
    world.clock.move(61)
    world.relay.dispatcher.sweep()
    world.queue.down = False
    world.clock.move(61)
    assert world.relay.dispatcher.sweep() == 2
    assert sorted(world.queue.jobs) == ids


def test_many_lost_jobs_come_back_in_portions(make: MakeWorld, sqlite_url: str) -> None:
    world = make(sqlite_url, STORYRELAY_QUEUE_LIMIT="1000")
    add(world, FETCH, STALE_BATCH + 20)
    world.relay.dispatcher.sweep()
    world.queue.jobs.clear()
    world.clock.move(61)
    assert [world.relay.dispatcher.sweep() for _ in range(3)] == [STALE_BATCH, 20, 0]


def test_two_sweepers_at_once_bring_a_lost_job_back_once(either: World) -> None:
    add(either, FETCH, 20)
    either.relay.dispatcher.sweep()
    either.queue.jobs.clear()
    either.clock.move(61)
    start = threading.Barrier(3)

    def run() -> None:
        start.wait()
        either.relay.dispatcher.sweep()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(either.queue.jobs) == 20


def test_an_open_circuit_lets_one_probe_pass_when_its_time_has_come(world: World) -> None:
    ids = add(world, SLOW, 5)
    with world.relay.ledger.write() as tx:
        lanes.open_circuit(
            tx, SLOW, Opens("failing", "down"), world.clock(), first_delay=30, fingerprint=None
        )
    assert world.relay.dispatcher.dispatch() == 0
    world.clock.move(30)
    assert world.relay.dispatcher.dispatch() == 1
    assert world.relay.dispatcher.dispatch() == 0, "one at a time"
    assert states(world, ids).count("queued") == 1


def test_nothing_starts_in_a_lane_that_has_to_wait(world: World) -> None:
    add(world, SLOW, 2)
    with world.relay.ledger.write() as tx:
        lanes.hold_until(tx, SLOW, world.clock() + timedelta(seconds=90))
    world.clock.move(89)
    assert world.relay.dispatcher.dispatch() == 0
    world.clock.move(1)
    assert world.relay.dispatcher.dispatch() == 2


def test_a_crash_between_commit_and_enqueue_is_swept(world: World) -> None:
    ids = add(world, FETCH)

    class Dying(FakeQueue):
        def enqueue(self, steps: Iterable[tuple[int, StepKind]]) -> None:
            raise SystemExit

    relay = world.relay
    with pytest.raises(SystemExit):
        Dispatcher(relay.ledger, Dying(), relay.settings, relay.configuration, relay.now).dispatch()
    assert states(world, ids) == ["queued"]
    world.clock.move(61)
    relay.dispatcher.sweep()
    assert world.queue.jobs == ids


def test_a_ledger_that_is_down_is_the_callers_to_wait_for(world: World) -> None:
    relay = world.relay
    gone = Ledger("postgresql+psycopg://x@127.0.0.1:1/none")
    with pytest.raises(sa.exc.OperationalError):
        Dispatcher(gone, world.queue, relay.settings, relay.configuration, relay.now).sweep()
