import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from service.domain.states import Outcome, StepKind, StepState
from service.domain.steps import ClaimedStep, Lane, LeaseLost
from service.ledger import Ledger, fetch_steps, lanes, reports, steps
from service.ledger.tables import steps as table

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FETCH = Lane(StepKind.FETCH)
SINK = Lane(StepKind.DELIVER, "sink")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def ask(ledger: Ledger, story: int, when: float = 0) -> int:
    with ledger.write() as tx:
        fetch_steps.ask(tx, story, at(when), at(when))
        return tx.execute(sa.select(table.c.id).where(table.c.kind == "fetch")).scalar_one()


def take(ledger: Ledger, lane: Lane, when: float = 0, room: int = 10) -> list[int]:
    with ledger.write() as tx:
        return steps.take_due(tx, lane, room, at(when))


def claim(ledger: Ledger, step_id: int, when: float = 0, lease: float = 60) -> ClaimedStep | None:
    with ledger.write() as tx:
        return steps.claim(tx, step_id, at(when), lease)


def running(ledger: Ledger, story: int) -> ClaimedStep:
    step_id = ask(ledger, story)
    assert take(ledger, FETCH) == [step_id]
    claimed = claim(ledger, step_id)
    assert claimed is not None
    return claimed


def state_of(ledger: Ledger, story: int) -> tuple[str, int]:
    with ledger.read() as tx:
        (step,) = reports.steps_of(tx, story)
    return step.state, step.attempts


def end(ledger: Ledger, step: ClaimedStep, when: float = 1, state: StepState = StepState.DONE) -> None:
    with ledger.write() as tx:
        steps.end(tx, step, at(when), state, {})
        steps.end_attempt(tx, step, at(when), Outcome.DONE, "fine")


def test_a_step_goes_from_pending_to_done_and_its_attempt_is_kept(ledger: Ledger, story: int) -> None:
    end(ledger, running(ledger, story))
    assert state_of(ledger, story) == (StepState.DONE, 1)
    with ledger.read() as tx:
        (attempt,) = reports.attempts_of(tx, story)
    assert (attempt.outcome, attempt.detail, attempt.started_at, attempt.ended_at) == (
        "done",
        "fine",
        at(0),
        at(1),
    )


def test_a_step_is_not_due_before_its_time(ledger: Ledger, story: int) -> None:
    with ledger.write() as tx:
        fetch_steps.ask(tx, story, at(30), at(0))
        assert steps.due_lanes(tx, at(29)) == []
        assert steps.due_lanes(tx, at(30)) == [FETCH]
    assert take(ledger, FETCH, 29) == []
    assert len(take(ledger, FETCH, 30)) == 1


def test_asking_for_a_pending_fetch_only_makes_it_sooner(ledger: Ledger, story: int) -> None:
    ask(ledger, story, 100)
    ask(ledger, story, 50)
    ask(ledger, story, 80)
    assert take(ledger, FETCH, 49) == []
    assert len(take(ledger, FETCH, 50)) == 1


def test_a_fetch_asked_for_while_it_runs_runs_again(ledger: Ledger, story: int) -> None:
    step = running(ledger, story)
    ask(ledger, story)
    end(ledger, step)
    assert state_of(ledger, story) == (StepState.PENDING, 0)
    (again,) = take(ledger, FETCH, 1)
    second = claim(ledger, again, 1)
    assert second is not None
    end(ledger, second)
    assert state_of(ledger, story) == (StepState.DONE, 1)


def test_only_one_of_many_jobs_for_a_step_claims_it(ledger: Ledger, story: int) -> None:
    step_id = ask(ledger, story)
    take(ledger, FETCH)
    claims: list[ClaimedStep | None] = []
    started = threading.Barrier(6)

    def run() -> None:
        started.wait()
        claims.append(claim(ledger, step_id))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([step for step in claims if step is not None]) == 1
    assert len(claims) == 6


def test_a_lapsed_lease_is_taken_over_and_the_first_worker_can_record_nothing(
    ledger: Ledger, story: int
) -> None:
    first = running(ledger, story)
    assert claim(ledger, first.id, 59) is None
    second = claim(ledger, first.id, 61)
    assert second is not None
    assert (second.generation, second.attempts) == (2, 2)
    write: list[Callable[[sa.Connection], object]] = [
        lambda tx: steps.end(tx, first, at(62), StepState.DONE, {}),
        lambda tx: steps.postpone(tx, first, at(62), at(99), spends=True, error="late"),
        lambda tx: steps.save_reference(tx, first, {"ts": "1"}),
    ]
    for late in write:
        with pytest.raises(LeaseLost), ledger.write() as tx:
            late(tx)
    with ledger.write() as tx:
        assert steps.renew(tx, first, at(62), 60) is False
        assert steps.renew(tx, second, at(62), 60) is True
    assert claim(ledger, first.id, 121) is None, "the renewed lease holds"
    with ledger.read() as tx:
        assert [row.outcome for row in reports.attempts_of(tx, story)] == ["lost", "running"]


def test_a_failure_spends_an_attempt_and_a_wait_does_not(ledger: Ledger, story: int) -> None:
    step = running(ledger, story)
    with ledger.write() as tx:
        steps.postpone(tx, step, at(1), at(5), spends=True, error="refused")
    assert state_of(ledger, story) == (StepState.PENDING, 1)
    assert take(ledger, FETCH, 4) == []
    take(ledger, FETCH, 5)
    again = claim(ledger, step.id, 5)
    assert again is not None
    with ledger.write() as tx:
        steps.postpone(tx, again, at(6), at(9), spends=False, waits=True, error=None)
    assert state_of(ledger, story) == (StepState.PENDING, 1)
    take(ledger, FETCH, 9)
    third = claim(ledger, step.id, 9)
    assert third is not None
    assert third.waits == 1


def test_lost_jobs_are_brought_back_once_an_interval_without_a_new_generation(
    ledger: Ledger, story: int
) -> None:
    step_id = ask(ledger, story)
    take(ledger, FETCH)
    with ledger.write() as tx:
        assert steps.take_stale(tx, at(59), 60, 10) == []
        assert steps.take_stale(tx, at(61), 60, 10) == [(step_id, StepKind.FETCH)]
        assert steps.take_stale(tx, at(62), 60, 10) == []
    claimed = claim(ledger, step_id, 63)
    assert claimed is not None
    assert claimed.generation == 1
    with ledger.write() as tx:
        assert steps.take_stale(tx, at(122), 60, 10) == [], "its lease is good"
        assert steps.take_stale(tx, at(124), 60, 10) == [(step_id, StepKind.FETCH)]


def test_what_could_not_be_enqueued_is_due_again_unless_it_moved_on(ledger: Ledger, story: int) -> None:
    step_id = ask(ledger, story)
    take(ledger, FETCH)
    with ledger.write() as tx:
        steps.put_back(tx, [step_id], at(0))
    assert state_of(ledger, story)[0] == StepState.PENDING
    take(ledger, FETCH, 1)
    with ledger.write() as tx:
        steps.put_back(tx, [step_id], at(0))
    assert state_of(ledger, story)[0] == StepState.QUEUED


def test_the_same_delivery_is_made_once(ledger: Ledger, story: int) -> None:
    wanted = [steps.NewStep(SINK, story, 1), steps.NewStep(SINK, story, 1), steps.NewStep(SINK, story, 2)]
    with ledger.write() as tx:
        steps.add(tx, wanted, NOON)
        steps.add(tx, wanted, NOON)
    with ledger.read() as tx:
        assert [step.revision for step in reports.steps_of(tx, story)] == [1, 2]


def test_a_wanted_repeat_starts_the_schedule_anew(ledger: Ledger, story: int) -> None:
    step = running(ledger, story)
    with ledger.write() as tx:
        assert steps.repeat(tx, [step.id], at(1)) == [], "a running step is not repeated"
    end(ledger, step, state=StepState.DEAD)
    with ledger.write() as tx:
        assert steps.repeat(tx, [step.id], at(1)) == [step.id]
    assert state_of(ledger, story) == (StepState.PENDING, 0)
    take(ledger, FETCH, 1)
    again = claim(ledger, step.id, 1)
    assert again is not None
    assert again.repeat == 1


def test_room_counts_queued_and_running_and_a_lane_is_its_dispatchers_alone(
    ledger: Ledger, story: int
) -> None:
    with ledger.write() as tx:
        steps.add(tx, [steps.NewStep(SINK, story, revision) for revision in range(1, 7)], NOON)
    taken: list[list[int]] = []

    def dispatch() -> None:
        with ledger.write() as tx:
            state = lanes.lock(tx, SINK)
            taken.append(steps.take_due(tx, SINK, state.room(4, steps.busy(tx, SINK), NOON), NOON))

    threads = [threading.Thread(target=dispatch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(ids) for ids in taken) == [0, 0, 0, 4]


def test_recent_tries_count_what_ended(ledger: Ledger, story: int) -> None:
    step = running(ledger, story)
    with ledger.write() as tx:
        assert steps.recent_tries(tx, FETCH, at(-1)) == (0, 0)
        steps.end_attempt(tx, step, at(1), Outcome.RETRY, "503")
        assert steps.recent_tries(tx, FETCH, at(-1)) == (1, 1)
        assert steps.recent_tries(tx, FETCH, at(1)) == (0, 0)
        assert steps.recent_tries(tx, SINK, at(-1)) == (0, 0)
