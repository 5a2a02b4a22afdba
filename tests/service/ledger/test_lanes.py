from datetime import UTC, datetime, timedelta

from service.domain.states import Circuit, Origin, StepKind, StoryState
from service.domain.steps import Lane, Opens
from service.ledger import Ledger, lanes, steps, stories
from service.ledger.stories import NewStory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SINK = Lane(StepKind.DELIVER, "sink")
DOWN = Opens(lanes.FAILING, "9 of 10 attempts failed")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def opened(ledger: Ledger, fingerprint: str | None = None) -> lanes.LaneState:
    with ledger.write() as tx:
        assert lanes.open_circuit(tx, SINK, DOWN, NOON, first_delay=30, fingerprint=fingerprint)
        return lanes.lock(tx, SINK)


def test_a_closed_lane_has_room_up_to_its_limit(ledger: Ledger) -> None:
    with ledger.write() as tx:
        state = lanes.lock(tx, SINK)
    assert [state.room(4, busy, NOON) for busy in (0, 3, 4, 9)] == [4, 1, 0, 0]


def test_an_open_circuit_lets_one_probe_pass_when_it_is_due(ledger: Ledger) -> None:
    state = opened(ledger)
    assert state.room(4, 0, at(29)) == 0
    assert state.room(4, 0, at(30)) == 1
    assert state.room(4, 1, at(30)) == 0, "a probe is under way"


def test_opening_twice_tells_once(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.write() as tx:
        assert not lanes.open_circuit(tx, SINK, DOWN, at(1), first_delay=30, fingerprint=None)


def test_the_probes_grow_rarer_up_to_a_bound(ledger: Ledger) -> None:
    opened(ledger)
    delays = []
    with ledger.write() as tx:
        for _ in range(6):
            lanes.probe_failed(tx, lanes.lock(tx, SINK), NOON, 900)
            delays.append(lanes.lock(tx, SINK).probe_delay)
    assert delays == [60, 120, 240, 480, 900, 900]


def test_a_success_closes_it_and_forgives_what_was_before(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.write() as tx:
        assert lanes.close_circuit(tx, SINK, at(40))
        assert not lanes.close_circuit(tx, SINK, at(41))
        state = lanes.lock(tx, SINK)
    assert (state.circuit, state.opened_at, state.closed_at) == (Circuit.CLOSED, None, at(40))
    assert state.room(4, 0, at(41)) == 4


def test_what_is_switched_off_stays_off_until_somebody_closes_it(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.write() as tx:
        assert lanes.expired(lanes.all_lanes(tx), at(86401), 86400) == [], "it was not asked since"
        lanes.probe_failed(tx, lanes.lock(tx, SINK), at(86390), 900)
        assert [state.lane for state in lanes.expired(lanes.all_lanes(tx), at(86401), 86400)] == [SINK]
        assert lanes.expired(lanes.all_lanes(tx), at(86399), 86400) == []
        assert lanes.switch_off(tx, SINK)
        assert not lanes.switch_off(tx, SINK)
        assert lanes.lock(tx, SINK).room(4, 0, at(10**6)) == 0
        assert lanes.close_circuit(tx, SINK, at(10**6))


def test_retry_after_holds_the_whole_lane_and_never_less(ledger: Ledger) -> None:
    with ledger.write() as tx:
        lanes.hold_until(tx, SINK, at(60))
        lanes.hold_until(tx, SINK, at(10))
        state = lanes.lock(tx, SINK)
    assert [state.room(4, 0, at(second)) for second in (0, 59, 60)] == [0, 0, 4]


def test_a_lane_opens_again_by_itself_when_its_settings_change(ledger: Ledger) -> None:
    opened(ledger, "old")
    with ledger.write() as tx:
        assert lanes.close_changed(tx, {SINK: "old"}, at(1)) == []
        assert lanes.close_changed(tx, {SINK: "new"}, at(1)) == [SINK]
        assert lanes.close_changed(tx, {SINK: "newer"}, at(2)) == []


def test_what_a_person_pauses_only_a_person_resumes(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.write() as tx:
        assert lanes.pause(tx, SINK, "ada", at(1))
        assert not lanes.pause(tx, SINK, "bob", at(2))
        state = lanes.lock(tx, SINK)
        assert (state.is_paused, state.message, state.opened_at) == (True, "paused by ada", at(1))
        assert state.room(4, 0, at(9999)) == 0
        # a delivery that was under way succeeds or fails, a probe answers, settings change, days go by
        assert not lanes.close_circuit(tx, SINK, at(3))
        assert lanes.close_changed(tx, {SINK: "other"}, at(3)) == []
        assert not lanes.open_circuit(tx, SINK, DOWN, at(3), first_delay=30, fingerprint=None)
        lanes.probe_failed(tx, state, at(3), 900)
        assert not lanes.switch_off(tx, SINK)
        assert lanes.expired([lanes.lock(tx, SINK)], at(10**6), 60) == []
        assert lanes.lock(tx, SINK) == state
        assert lanes.resume(tx, SINK, at(4))
        assert not lanes.resume(tx, SINK, at(5))
        assert (lanes.read(tx, SINK).circuit, lanes.read(tx, SINK).closed_at) == (Circuit.CLOSED, at(4))


def test_pausing_puts_back_what_is_queued_there_alone(ledger: Ledger) -> None:
    other = Lane(StepKind.DELIVER, "other")
    with ledger.write() as tx:
        story = stories.add(tx, NewStory("sub-1", Origin.TRACKED, StoryState.SETTLING), NOON)
        steps.add(tx, [steps.NewStep(lane, story) for lane in (SINK, other)], NOON)
        for lane in (SINK, other):
            assert len(steps.take_due(tx, lane, 1, NOON)) == 1
    with ledger.write() as tx:
        lanes.pause(tx, SINK, "ada", NOON)
        assert [steps.busy(tx, lane) for lane in (SINK, other)] == [0, 1]
        assert steps.due_lanes(tx, NOON) == [SINK], "due still: it goes on the moment it is resumed"
