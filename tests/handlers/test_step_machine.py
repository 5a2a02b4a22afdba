import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
import sqlalchemy as sa
from relayed import World, make_world

from handlers.attempt import Attempt, EarlyStop
from handlers.step_machine import Handler, StepMachine
from service.domain.states import Circuit, StepKind, StepState
from service.domain.steps import ClaimedStep, Done, Lane, Later, Opens, StepFailed
from service.ledger import lanes, notices, steps, troubles
from service.ledger.tables import steps as table
from service.outbound_http import HttpClient, Request
from service.redaction import conceal
from service.wiring import Relay

SINK = Lane(StepKind.DELIVER, "sink")
TOML = """
[destinations.sink]
connector = "archive"
path = "p"
[destinations.other]
connector = "archive"
path = "q"
[notices]
destinations = ["sink", "other"]
"""

Work = Callable[[Relay, ClaimedStep, Attempt], Done | Later]


@pytest.fixture
def world(tmp_path, database_url: str) -> Iterator[World]:
    world = make_world(tmp_path, database_url, TOML, {})
    yield world
    world.relay.ledger.close()


class Buried:
    def __init__(self) -> None:
        self.messages: list[str] = []

    def __call__(
        self, _relay: Relay, _tx: sa.Connection, _step: ClaimedStep, message: str, _now: datetime
    ) -> None:
        self.messages.append(message)


def add(world: World, lane: Lane = SINK, count: int = 1) -> list[int]:
    row = world.track("story-1")
    now = world.clock()
    with world.relay.ledger.write() as tx:
        steps.add(tx, [steps.NewStep(lane, row.id, revision) for revision in range(1, count + 1)], now)
        found = tx.execute(sa.select(table.c.id).where(table.c.kind == lane.kind).order_by(table.c.id))
        return list(found.scalars())


def run(world: World, step: int, work: Work, buried: Buried | None = None) -> None:
    with world.relay.ledger.write() as tx:
        tx.execute(
            sa.update(table).where(table.c.id == step, table.c.state == "pending").values(state="queued")
        )
    StepMachine(world.relay, {StepKind.DELIVER: Handler(work, buried or Buried())}).run(step)


def row(world: World, step: int) -> sa.Row:
    with world.relay.ledger.read() as tx:
        return tx.execute(sa.select(table).where(table.c.id == step)).one()


def fails(said: str = "no", **how) -> Work:
    def work(_relay: Relay, _step: ClaimedStep, _attempt: Attempt) -> Done:
        raise StepFailed(said, **how)

    return work


def works(_relay: Relay, _step: ClaimedStep, _attempt: Attempt) -> Done:
    return Done("fine", reference={"ts": "1"}, url="https://place.example/1")


def test_what_the_place_told_is_kept(world: World) -> None:
    (step,) = add(world)
    run(world, step, works)
    kept = row(world, step)
    assert (kept.state, kept.reference, kept.url) == ("done", {"ts": "1"}, "https://place.example/1")


def test_failures_follow_the_schedule_to_the_last_attempt(world: World) -> None:
    (step,) = add(world)
    buried = Buried()
    delays = []
    for _ in world.relay.settings.retry_schedule:
        run(world, step, fails(), buried)
        after = row(world, step)
        delays.append((after.next_at - world.clock()).total_seconds())
        assert (after.state, after.last_error) == ("pending", "no")
    assert delays == list(world.relay.settings.retry_schedule)
    assert buried.messages == []
    run(world, step, fails(), buried)
    assert row(world, step).state == "dead"
    assert buried.messages == ["no"]


def test_a_permanent_failure_is_buried_at_once(world: World) -> None:
    (step,) = add(world)
    buried = Buried()
    run(world, step, fails(permanent=True), buried)
    assert (row(world, step).state, buried.messages) == ("dead", ["no"])


@pytest.mark.parametrize(("asked", "waited"), [(2, 5), (90, 90), (7200, 3600)])
def test_retry_after_lengthens_the_pause_and_holds_the_lane(
    world: World, asked: float, waited: float
) -> None:
    (step,) = add(world)
    run(world, step, fails(retry_after=asked))
    assert (row(world, step).next_at - world.clock()).total_seconds() == waited
    with world.relay.ledger.write() as tx:
        held = lanes.lock(tx, SINK).not_before
    assert held is not None
    assert (held - world.clock()).total_seconds() == min(asked, 3600)


def test_a_refused_login_pauses_the_lane_tells_the_others_and_spends_nothing(world: World) -> None:
    (step,) = add(world)
    run(world, step, fails(spends=False, opens=Opens(lanes.REFUSED, "token revoked")))
    assert (row(world, step).state, row(world, step).attempts) == ("pending", 0)
    with world.relay.ledger.write() as tx:
        assert lanes.lock(tx, SINK).circuit == Circuit.OPEN
        assert [notice.kind for notice in notices.recent(tx, 9)] == ["lane_paused"]
        told = tx.execute(sa.select(table.c.destination).where(table.c.kind == "notify")).scalars().all()
    assert told == ["other"], "a destination is not told of its own trouble"
    world.people_hear()
    world.clock.move(300)
    run(world, step, works)
    with world.relay.ledger.write() as tx:
        assert lanes.lock(tx, SINK).circuit == Circuit.CLOSED
        recovered, paused = notices.recent(tx, 9)
        assert (recovered.kind, paused.kind) == ("lane_recovered", "lane_paused")
        assert recovered.text == "It lasted 5 minutes. What was waiting is being sent."
        assert troubles.open_ones(tx) == []


def test_a_key_that_a_place_quotes_is_told_to_nobody(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    conceal(["planted-gate-key"])
    said = "400: planted-gate-key is not allowed"
    (step,) = add(world)
    run(world, step, fails(said, spends=False, opens=Opens(lanes.REFUSED, said)))
    run(world, step, fails(said, permanent=True))
    with world.relay.ledger.read() as tx:
        told = [(each.title, each.text) for each in notices.recent(tx, 9)]
        kept = [row(world, step).last_error, *(state.message for state in lanes.all_lanes(tx)), str(told)]
    assert "*** is not allowed" in str(kept)
    assert "planted" not in str(kept) + capsys.readouterr().out


def test_who_never_heard_of_a_pause_is_not_told_of_its_end(world: World) -> None:
    (step,) = add(world)
    world.queue.down = True
    run(world, step, fails(spends=False, opens=Opens(lanes.REFUSED, "token revoked")))
    run(world, step, works)
    with world.relay.ledger.write() as tx:
        assert [notice.kind for notice in notices.recent(tx, 9)] == ["lane_paused"]
        told = tx.execute(sa.select(table.c.state).where(table.c.kind == "notify")).scalars().all()
    assert told == []


def test_a_place_that_is_down_opens_the_circuit_and_spends_no_more_attempts(world: World) -> None:
    ids = add(world, count=12)
    for step in ids[:10]:
        run(world, step, fails())
    with world.relay.ledger.write() as tx:
        state = lanes.lock(tx, SINK)
    assert (state.circuit, state.reason) == (Circuit.OPEN, "failing")
    run(world, ids[10], fails())
    assert row(world, ids[10]).attempts == 0
    with world.relay.ledger.write() as tx:
        assert lanes.lock(tx, SINK).probe_delay == 60
    world.clock.move(1)
    run(world, ids[11], works)
    with world.relay.ledger.write() as tx:
        assert lanes.lock(tx, SINK).circuit == Circuit.CLOSED
    world.clock.move(1)
    run(world, ids[10], fails())
    with world.relay.ledger.write() as tx:
        assert lanes.lock(tx, SINK).circuit == Circuit.CLOSED, "what was before the recovery is forgiven"


def test_a_mistake_of_ours_is_an_attempt_like_any_other(world: World) -> None:
    (step,) = add(world)

    def work(_relay: Relay, _step: ClaimedStep, _attempt: Attempt) -> Done:
        raise ZeroDivisionError("by nought, with the key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    run(world, step, work)
    after = row(world, step)
    assert (after.state, after.attempts) == ("pending", 1)
    assert "ZeroDivisionError" in after.last_error
    assert "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" not in after.last_error


def test_a_worker_that_is_told_to_stop_gives_its_step_back(world: World) -> None:
    (step,) = add(world)

    def work(_relay: Relay, _step: ClaimedStep, _attempt: Attempt) -> Done:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(30)
        raise AssertionError("it was not interrupted")

    run(world, step, work)
    after = row(world, step)
    assert (after.state, after.attempts, after.next_at) == ("queued", 0, world.clock()), "given back, and due"
    run(world, step, works)
    assert row(world, step).state == "done"


def test_who_is_told_to_stop_before_its_work_gives_it_back_unbegun(world: World) -> None:
    (step,) = add(world)
    early = EarlyStop()
    before = signal.signal(signal.SIGTERM, early)

    def work(_relay: Relay, _step: ClaimedStep, _attempt: Attempt) -> Done:
        raise AssertionError("it was begun")

    os.kill(os.getpid(), signal.SIGTERM)
    run(world, step, work)
    after = row(world, step)
    assert (after.state, after.attempts) == ("queued", 0)
    assert signal.getsignal(signal.SIGTERM) is early, "and a second signal would do no harm"
    signal.signal(signal.SIGTERM, before)


def test_a_transfer_is_told_why_it_has_to_stop(world: World) -> None:
    (step,) = add(world)
    said: list[str | None] = []

    def work(_relay: Relay, _step: ClaimedStep, attempt: Attempt) -> Done:
        said.append(attempt.stop_reason())
        attempt._interruptible = False  # as within libcurl, where no exception gets out
        os.kill(os.getpid(), signal.SIGTERM)
        said.append(attempt.stop_reason())
        attempt.check()
        raise AssertionError("check did not raise")

    run(world, step, work)
    assert said == [None, "the worker was told to stop"]
    assert row(world, step).state == "queued"


def test_a_transfer_is_ended_without_a_word_on_stderr(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    (step,) = add(world)

    def work(_relay: Relay, _step: ClaimedStep, attempt: Attempt) -> Done:
        with socket.create_server(("127.0.0.1", 0)) as server, HttpClient(stop=attempt.stop_reason) as http:

            def tell() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    os.kill(os.getpid(), signal.SIGTERM)
                    connection.recv(1000)  # until the transfer is given up

            teller = threading.Thread(target=tell)
            teller.start()
            try:
                http.send(Request("GET", f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=60))
            finally:
                teller.join()
        raise AssertionError("it was not ended")

    run(world, step, work)
    assert row(world, step).state == "queued"
    assert "Traceback" not in capfd.readouterr().err


def test_what_was_done_before_the_worker_was_told_to_stop_is_recorded(world: World) -> None:
    (step,) = add(world)

    def work(_relay: Relay, _step: ClaimedStep, attempt: Attempt) -> Done:
        attempt._interruptible = False  # as between the last call of the place and the end of the attempt
        os.kill(os.getpid(), signal.SIGTERM)
        return Done("published", url="https://place.example/1")

    run(world, step, work)
    assert (row(world, step).state, row(world, step).url) == ("done", "https://place.example/1")


def test_what_an_interruption_breaks_is_not_a_mistake_of_ours(world: World) -> None:
    (step,) = add(world)

    def work(_relay: Relay, _step: ClaimedStep, attempt: Attempt) -> Done:
        attempt._interruptible = False
        os.kill(os.getpid(), signal.SIGTERM)
        raise OSError("the transfer was stopped")

    run(world, step, work)
    after = row(world, step)
    assert (after.state, after.attempts, after.last_error) == ("queued", 0, None)


@pytest.fixture
def hasty(tmp_path, database_url: str) -> Iterator[World]:
    env = {"STORYRELAY_LEASE_RENEWAL_SECONDS": "0.05", "STORYRELAY_STEP_TIMEOUT_SECONDS": "0.2"}
    world = make_world(tmp_path, database_url, TOML, env)
    yield world
    world.relay.ledger.close()


def test_an_attempt_that_takes_too_long_is_ended(hasty: World) -> None:
    (step,) = add(hasty)

    def work(_relay: Relay, _step: ClaimedStep, _attempt: Attempt) -> Done:
        threading.Event().wait(30)
        raise AssertionError("it was not interrupted")

    run(hasty, step, work)
    assert "longer than 0.2 s" in row(hasty, step).last_error


def test_who_has_to_finish_something_keeps_its_lease_beyond_the_limit(hasty: World) -> None:
    (step,) = add(hasty)

    def work(_relay: Relay, claimed: ClaimedStep, attempt: Attempt) -> Done:
        hasty.clock.move(30)
        with attempt.unbroken():
            threading.Event().wait(0.5)
            hasty.clock.move(30)
            wanted = hasty.clock().timestamp() + hasty.relay.settings.lease_seconds
            for _ in range(500):
                if row(hasty, claimed.id).lease_until.timestamp() == wanted:
                    break
                threading.Event().wait(0.01)
            else:
                raise AssertionError("the lease was not renewed")
        threading.Event().wait(30)
        raise AssertionError("it was not interrupted")

    run(hasty, step, work)
    assert "longer than 0.2 s" in row(hasty, step).last_error


def test_who_lost_the_lease_records_nothing(hasty: World) -> None:
    (step,) = add(hasty)

    def work(relay: Relay, claimed: ClaimedStep, _attempt: Attempt) -> Done:
        with relay.ledger.write() as tx:
            tx.execute(sa.update(table).where(table.c.id == claimed.id).values(generation=7))
        threading.Event().wait(30)
        raise AssertionError("it was not interrupted")

    run(hasty, step, work)
    after = row(hasty, step)
    assert (after.state, after.generation, after.last_error) == (StepState.RUNNING, 7, None)


def test_the_lease_is_renewed_while_the_work_goes_on(tmp_path, sqlite_url: str) -> None:
    world = make_world(tmp_path, sqlite_url, TOML, {"STORYRELAY_LEASE_RENEWAL_SECONDS": "0.02"})
    (step,) = add(world)

    def work(relay: Relay, claimed: ClaimedStep, _attempt: Attempt) -> Done:
        world.clock.move(30)
        wanted = world.clock().timestamp() + relay.settings.lease_seconds
        for _ in range(500):
            if row(world, claimed.id).lease_until.timestamp() == wanted:
                return Done("renewed")
            threading.Event().wait(0.01)
        raise AssertionError("the lease was not renewed")

    run(world, step, work)
    assert row(world, step).state == "done"
    world.relay.ledger.close()


def test_a_step_that_kills_its_worker_comes_to_an_end(world: World) -> None:
    (step,) = add(world)
    tries = len(world.relay.settings.retry_schedule) + 1
    with world.relay.ledger.write() as tx:
        tx.execute(sa.update(table).where(table.c.id == step).values(state="queued", attempts=tries))
    buried = Buried()
    run(world, step, works, buried)
    assert row(world, step).state == "dead"
    assert "worker died" in buried.messages[0]


def test_a_second_job_for_a_done_step_does_nothing(world: World) -> None:
    (step,) = add(world)
    ran: list[int] = []

    def work(_relay: Relay, claimed: ClaimedStep, _attempt: Attempt) -> Done:
        ran.append(claimed.generation)
        return Done("fine")

    run(world, step, work)
    run(world, step, work)
    assert ran == [1]


def test_later_waits_without_spending(world: World) -> None:
    (step,) = add(world)

    def work(_relay: Relay, _step: ClaimedStep, _attempt: Attempt) -> Later:
        return Later("not ready", 7)

    run(world, step, work)
    after = row(world, step)
    assert ((after.next_at - world.clock()).total_seconds(), after.attempts, after.waits) == (7, 0, 1)
