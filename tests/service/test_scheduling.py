import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
import structlog
from machine import free_port
from relayed import World, make_world

from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.domain.states import Circuit, NoticedBy, Origin, StepKind, StoryState
from service.domain.steps import Lane, Opens
from service.ledger import Ledger, lanes, notices, reports, steps, stories, troubles
from service.ledger.lanes import LaneState
from service.ledger.stories import NewStory
from service.ledger.tables import steps as table
from service.scheduler_heartbeat import is_alive
from service.scheduling import Scheduler

TOML = """
[destinations.team]
connector = "archive"
path = "{path}"
[destinations.desk]
connector = "archive"
path = "desk"
[notices]
destinations = ["team", "desk"]
"""
TEAM, FETCH, DOWNLOAD = Lane(StepKind.DELIVER, "team"), Lane(StepKind.FETCH), Lane(StepKind.DOWNLOAD)
DAY = 86400

MakeWorld = Callable[..., World]


@pytest.fixture
def make(tmp_path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(url: str, path: str = "p", toml: str = TOML, **env: str) -> World:
        made.append(make_world(tmp_path, url, toml.replace("{path}", path), env))
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


def once(world: World) -> None:
    Scheduler(world.relay).once()


def probe_fails(world: World, lane: Lane) -> None:
    with world.relay.ledger.write() as tx:
        lanes.probe_failed(tx, lanes.lock(tx, lane), world.clock(), 900)


def pause(world: World, lane: Lane, reason: str = "refused") -> None:
    fingerprint = world.relay.fingerprint(lane)
    with world.relay.ledger.write() as tx:
        opens = Opens(reason, "it said no")
        assert lanes.open_circuit(tx, lane, opens, world.clock(), first_delay=900, fingerprint=fingerprint)


def deliver(world: World) -> None:
    """Adds a delivery to the destination that is due."""
    row = world.track("story-1")
    with world.relay.ledger.write() as tx:
        steps.add(tx, [steps.NewStep(TEAM, row.id)], world.clock())


def state(world: World, lane: Lane) -> LaneState:
    with world.relay.ledger.write() as tx:
        return lanes.lock(tx, lane)


def told(world: World) -> list[tuple[str, str]]:
    with world.relay.ledger.read() as tx:
        return [(notice.kind, notice.title) for notice in reversed(notices.recent(tx, 50))]


def tell_all(world: World) -> None:
    world.people_hear()


def finish(
    world: World, count: int, *, missed: int, origin: Origin = Origin.SUBMITTED, prefix: str = "story"
) -> None:
    now = world.clock()
    with world.relay.ledger.write() as tx:
        for number in range(count):
            name = f"{prefix}-{number}"
            key = stories.add(tx, NewStory(name, origin, StoryState.SETTLED, story_id=name), now)
            assert key is not None
            by = NoticedBy.POLL if number < missed else NoticedBy.WEBHOOK
            webhook_at = None if number < missed else now
            stories.change(tx, key, now, finished_at=now, noticed_by=by, webhook_at=webhook_at)


def test_a_pass_says_that_the_scheduler_is_alive(either: World) -> None:
    once(either)
    with either.relay.ledger.read() as tx:
        seen = reports.last_beat(tx, "scheduler")
    assert seen == either.clock()
    for age, alive in ((0, True), (10.9, True), (11, False)):
        assert is_alive(seen, either.clock() + timedelta(seconds=age), 2) is alive
    assert not is_alive(None, either.clock(), 2)


def test_a_pass_does_what_is_due(either: World) -> None:
    row = either.track("story-1")
    with either.relay.ledger.write() as tx:
        tx.execute(sa.update(table).values(state="done", next_at=None))
        stories.change(tx, row.id, either.clock(), next_poll_at=either.clock())
    once(either)
    assert either.steps("story-1")["fetch"].state == "queued", "reconciled first, swept then"
    assert len(either.queue.jobs) == 1


def test_a_destination_that_is_down_for_a_day_is_switched_off_with_one_notice(either: World) -> None:
    pause(either, TEAM, "failing")
    either.clock.move(DAY - 1)
    once(either)
    assert state(either, TEAM).circuit == Circuit.OPEN
    either.clock.move(2)
    once(either)
    assert state(either, TEAM).circuit == Circuit.OPEN, "nobody needed it, so nobody knows whether it is down"
    probe_fails(either, TEAM)
    for _ in range(3):
        once(either)
    assert state(either, TEAM).circuit == Circuit.OFF
    assert told(either) == [("lane_off", "Switched off: team")]
    with either.relay.ledger.read() as tx:
        tellers = tx.execute(sa.select(table.c.destination).where(table.c.kind == "notify")).scalars().all()
    assert tellers == ["desk"], "not told where it would not arrive"
    deliver(either)
    either.clock.move(100 * DAY)
    once(either)
    assert either.steps("story-1")["deliver/team"].state == "pending", "nothing is tried any more"


def test_switched_off_takes_the_place_of_paused_and_its_end_is_told_once(either: World) -> None:
    run = StepMachine(either.relay, HANDLERS)
    began = either.clock()
    with either.relay.ledger.write() as tx:
        run._open(tx, TEAM, Opens("failing", "it said no"), 30, began)
    tell_all(either)
    either.clock.move(DAY + 1)
    probe_fails(either, TEAM)
    once(either)
    with either.relay.ledger.read() as tx:
        (lasting,) = troubles.open_ones(tx)
    assert (lasting.kind, lasting.about, lasting.opened_at) == ("lane_off", "deliver/team", began)
    tell_all(either)
    with either.relay.ledger.write() as tx:
        assert lanes.close_circuit(tx, TEAM, either.clock())
    assert told(either) == [
        ("lane_paused", "Paused: deliveries to team"),
        ("lane_off", "Switched off: team"),
        ("lane_recovered", "Works again: deliveries to team"),
    ]
    with either.relay.ledger.read() as tx:
        assert notices.recent(tx, 1)[0].text.startswith("It lasted 1 day.")


def test_what_a_person_takes_in_hand_troubles_no_more(either: World) -> None:
    with either.relay.ledger.write() as tx:
        StepMachine(either.relay, HANDLERS)._open(tx, TEAM, Opens("failing", "no"), 30, either.clock())
    tell_all(either)
    with either.relay.ledger.write() as tx:
        lanes.pause(tx, TEAM, "ada", either.clock())
        assert troubles.open_ones(tx) == []
        (said, _) = notices.recent(tx, 5)
    assert (said.kind, said.title) == ("resolved", "In hand: deliveries to team")
    assert said.text.endswith("Paused by ada: nothing is sent there until somebody resumes it.")


@pytest.mark.parametrize("lane", [FETCH, DOWNLOAD])
def test_only_destinations_are_switched_off(world: World, lane: Lane) -> None:
    pause(world, lane)
    world.clock.move(10 * DAY)
    once(world)
    assert (state(world, lane).circuit, told(world)) == (Circuit.OPEN, [])


@pytest.mark.parametrize("off", [False, True])
def test_other_settings_start_a_destination_again(make: MakeWorld, sqlite_url: str, off: bool) -> None:
    world = make(sqlite_url)
    pause(world, TEAM)
    if off:
        world.clock.move(DAY + 1)
        probe_fails(world, TEAM)
        once(world)
        assert state(world, TEAM).circuit == Circuit.OFF
    mended = make(sqlite_url, path="elsewhere")
    mended.clock.time = world.clock.time
    deliver(mended)
    once(mended)
    assert state(mended, TEAM).circuit == Circuit.CLOSED
    assert mended.steps("story-1")["deliver/team"].state == "queued"


@pytest.mark.parametrize("lane", [TEAM, FETCH, DOWNLOAD])
def test_the_same_settings_start_nothing_again(world: World, lane: Lane) -> None:
    pause(world, lane)
    for _ in range(3):
        world.clock.move(2)
        once(world)
    assert state(world, lane).circuit == Circuit.OPEN


def test_a_new_key_starts_the_asking_again(make: MakeWorld, sqlite_url: str) -> None:
    pause(make(sqlite_url, STORY_API_KEY="a-wrong-key"), FETCH)
    other = make(sqlite_url, STORY_API_KEY="a-right-key")
    once(other)
    assert state(other, FETCH).circuit == Circuit.CLOSED


def test_a_destination_that_is_configured_no_more_is_not_waited_for(make: MakeWorld, sqlite_url: str) -> None:
    pause(make(sqlite_url), TEAM)
    without = make(sqlite_url, toml='[destinations.desk]\nconnector = "archive"\npath = "desk"\n')
    once(without)
    assert state(without, TEAM).circuit == Circuit.CLOSED, "its steps come to their end, which says why"


def test_missed_webhooks_are_told_once_while_it_lasts(either: World) -> None:
    finish(either, 10, missed=6)
    for _ in range(5):
        once(either)
        either.clock.move(400)
    assert told(either) == [("webhooks_missed", "Webhooks do not arrive")]
    with either.relay.ledger.read() as tx:
        (notice,) = notices.recent(tx, 5)
    assert "6 of the 10" in notice.text
    assert "https://relay.example" in notice.text
    either.clock.move(DAY)
    finish(either, 10, missed=10, prefix="next-day")
    once(either)
    assert len(told(either)) == 1


def test_webhooks_that_arrive_again_are_told_when_enough_of_them_did(either: World) -> None:
    finish(either, 10, missed=10)
    once(either)
    tell_all(either)
    for count, missed in ((9, 0), (10, 3)):
        either.clock.move(400)
        finish(either, count, missed=missed, prefix=f"then-{count}")
        once(either)
        assert len(told(either)) == 1, "too few, or too many of them still missed"
    either.clock.move(400)
    finish(either, 10, missed=2, prefix="well")
    once(either)
    assert told(either)[1:] == [("resolved", "Over: Webhooks do not arrive")]
    either.clock.move(400)
    once(either)
    assert len(told(either)) == 2, "what was missed before counts no more"
    finish(either, 10, missed=10, prefix="again")
    either.clock.move(400)
    once(either)
    assert [kind for kind, _ in told(either)][2:] == ["webhooks_missed"]


@pytest.mark.parametrize(("count", "missed"), [(9, 9), (10, 5), (100, 50), (0, 0)])
def test_few_missed_webhooks_are_no_news(world: World, count: int, missed: int) -> None:
    finish(world, count, missed=missed)
    once(world)
    assert told(world) == []


def test_of_the_stories_of_others_no_webhook_is_expected(world: World) -> None:
    finish(world, 30, missed=30, origin=Origin.TRACKED)
    once(world)
    assert told(world) == []


def test_missed_webhooks_of_yesterday_are_forgotten(world: World) -> None:
    finish(world, 20, missed=20)
    world.clock.move(DAY + 1)
    once(world)
    assert told(world) == []


def test_a_ledger_that_is_down_is_waited_for(world: World) -> None:
    gone = Ledger(f"postgresql+psycopg://relay:secret@127.0.0.1:{free_port()}/none")

    class TwicePatient(threading.Event):
        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waits += 1
            if self.waits == 2:
                self.set()
            return self.is_set()

    stopped = TwicePatient()
    with structlog.testing.capture_logs() as said:
        Scheduler(dataclasses.replace(world.relay, ledger=gone)).run(stopped)
    assert [event["event"] for event in said] == [
        "scheduler.started",
        "ledger.down",
        "ledger.down",
        "scheduler.stopped",
    ]
    assert "secret" not in str(said)


PARTS = (
    "_watch_lanes",
    "_reconcile",
    "_count",
    "_watch_webhooks",
    "_clear_store",
    "_prune",
    "_replay_many",
    "_mind_questions",
    "_watch_trouble",
)


@pytest.mark.parametrize("part", [*PARTS, "_beat"])
def test_a_part_that_fails_keeps_no_other_from_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    done: list[str] = []
    for each in (*PARTS, "_ping"):
        monkeypatch.setattr(Scheduler, each, lambda _self, _now, each=each: done.append(each))

    def mistaken(_self: Scheduler, _now: object) -> None:
        raise PermissionError("no look at this folder")

    world.track("story-1")
    with monkeypatch.context() as patched, structlog.testing.capture_logs() as said:
        mistaken.__name__ = part
        patched.setattr(Scheduler, part, mistaken)
        once(world)
    assert done == [each for each in PARTS if each != part], "whoever waits for the ping hears of it"
    assert [(event["event"], event["part"]) for event in said if event["log_level"] == "error"] == [
        ("scheduler.mistake", part.strip("_"))
    ]
    assert world.steps("story-1")["fetch"].state == "queued"
    done.clear()
    once(world)
    assert done[-1] == "_ping"


def test_the_scheduler_outlives_a_mistake(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()

    def mistaken(_self: Scheduler, _now: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Scheduler, "_watch_lanes", mistaken)
    monkeypatch.setattr(Scheduler, "_watch_trouble", lambda _self, _now: stopped.set())
    Scheduler(world.relay).run(stopped)
    assert stopped.is_set()


def test_a_queue_that_is_down_stops_nothing(world: World) -> None:
    world.queue.down = True
    world.track("story-1")
    once(world)
    assert world.steps("story-1")["fetch"].state == "pending"
    world.queue.down = False
    once(world)
    assert world.steps("story-1")["fetch"].state == "queued"


def test_two_schedulers_at_once_do_everything_once(either: World) -> None:
    finish(either, 10, missed=10)
    pause(either, TEAM, "failing")
    either.clock.move(DAY - 10)
    for number in range(10):
        either.track(f"open-{number}")
    either.clock.move(20)
    probe_fails(either, TEAM)
    finish(either, 10, missed=10, prefix="more")
    start = threading.Barrier(3)

    def run() -> None:
        start.wait()
        once(either)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kind for kind, _ in told(either)) == ["lane_off", "webhooks_missed"]
    assert len(either.queue.jobs) == len(set(either.queue.jobs))
