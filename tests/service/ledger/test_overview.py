"""The overview's figures against ledgers whose truth is known."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from service.domain.states import Intent, Origin, Outcome, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import Ledger, lanes, metrics, overview, steps, stories
from service.ledger.overview import Health, Publishing, Times
from service.ledger.stories import NewStory
from service.ledger.tables import attempts
from service.ledger.tables import steps as step_table
from service.ledger.tables import stories as story_table
from tests.service.ledger.conftest import NOON, at

SINCE = NOON - timedelta(days=2)
TEAM, CMS = Lane(StepKind.DELIVER, "team"), Lane(StepKind.DELIVER, "cms")


def add(tx: sa.Connection, number: int, state: StoryState = StoryState.SETTLING) -> int:
    key = stories.add(tx, NewStory(f"sub-{number}", Origin.SUBMITTED, state, f"story-{number}"), NOON)
    assert key is not None
    return key


def deliver(
    tx: sa.Connection,
    key: int,
    lane: Lane,
    ended: int,
    state: StepState = StepState.DONE,
    intent: Intent = Intent.PUBLISH,
) -> None:
    steps.add(tx, [steps.NewStep(lane, key, 1, "all")], NOON)
    here = (step_table.c.story == key, step_table.c.destination == lane.destination)
    tx.execute(sa.update(step_table).where(*here).values(state=state, ended_at=at(ended), intent=intent))


def times(ledger: Ledger) -> Publishing:
    with ledger.read() as tx:
        return overview.publishing(tx, SINCE)


def test_the_last_first_publication_counts_from_the_first_news(ledger: Ledger) -> None:
    with ledger.write() as tx:
        key = add(tx, 1)
        deliver(tx, key, TEAM, 40)
        deliver(tx, key, CMS, 90, StepState.DEAD)
        stories.change(tx, key, NOON, finished_at=at(10), webhook_at=at(4))
        assert stories.settle_if_over(tx, key, at(90))
    assert times(ledger).all == Times(1, pytest.approx(36, abs=0.01), pytest.approx(36, abs=0.01))


def test_a_story_that_settles_again_keeps_its_time(ledger: Ledger) -> None:
    with ledger.write() as tx:
        key = add(tx, 1)
        deliver(tx, key, TEAM, 40)
        stories.change(tx, key, NOON, finished_at=NOON)
        assert stories.settle_if_over(tx, key, at(41))
        for intent in (Intent.PUBLISH, Intent.WITHDRAW):
            tx.execute(sa.update(step_table).values(ended_at=at(5000), intent=intent))
            stories.change(tx, key, at(5000), state=StoryState.SETTLING)
            assert stories.settle_if_over(tx, key, at(5000))
    found = times(ledger).all
    assert found is not None
    assert found.slow == pytest.approx(40, abs=0.01)


def test_a_failed_story_that_was_asked_for_again_is_no_measure(ledger: Ledger) -> None:
    with ledger.write() as tx:
        key = add(tx, 1)
        deliver(tx, key, TEAM, 5000)
        stories.change(tx, key, NOON, webhook_at=at(4), open_since=at(4000), finished_at=at(4900))
        assert stories.settle_if_over(tx, key, at(5000))
    assert times(ledger) == Publishing()


@pytest.mark.parametrize(
    ("state", "intent"), [(StepState.DEAD, Intent.PUBLISH), (StepState.DONE, Intent.WITHDRAW)]
)
def test_what_was_published_nowhere_has_no_time(ledger: Ledger, state: StepState, intent: Intent) -> None:
    with ledger.write() as tx:
        key = add(tx, 1)
        deliver(tx, key, TEAM, 40, state, intent)
        stories.change(tx, key, NOON, finished_at=NOON)
        assert stories.settle_if_over(tx, key, at(41))
    assert times(ledger) == Publishing()


def test_times_are_nearest_ranks_in_all_and_by_day(ledger: Ledger) -> None:
    with ledger.write() as tx:
        for number in range(1, 21):
            begun = NOON - timedelta(days=1 if number <= 10 else 0)
            add(tx, number)
            values = {"finished_at": begun, "published_at": begun + timedelta(seconds=number)}
            here = story_table.c.submission_id == f"sub-{number}"
            tx.execute(sa.update(story_table).where(here).values(**values))
    found = times(ledger)
    assert found.all is not None
    near = {"abs": 0.01}
    assert found.all == Times(20, pytest.approx(10, **near), pytest.approx(19, **near))
    today, before = NOON.date(), NOON.date() - timedelta(days=1)
    assert found.by_day[before] == Times(10, pytest.approx(5, **near), pytest.approx(10, **near))
    assert found.by_day[today] == Times(10, pytest.approx(15, **near), pytest.approx(20, **near))


def test_states_are_as_if_counted_before_and_after_they_are_summed(ledger: Ledger) -> None:
    with ledger.write() as tx:
        keys = [add(tx, number, StoryState.OPEN) for number in range(5)]
        stories.change(tx, keys[0], NOON, state=StoryState.FAILED)
        tx.execute(sa.delete(story_table).where(story_table.c.id == keys[1]))
        assert overview.states(tx) == stories.counts(tx) == {"open": 3, "failed": 1}
        assert metrics.fold(tx)
        assert overview.states(tx) == {"open": 3, "failed": 1}


def test_days_have_their_stories_and_credits(ledger: Ledger) -> None:
    with ledger.write() as tx:
        for number, state in enumerate((StoryState.FAILED, StoryState.FAILED, StoryState.OPEN)):
            stories.change(tx, add(tx, number, state), NOON, used_credits=1.5)
        add(tx, 9, StoryState.OPEN)
        days = overview.by_day(tx, SINCE)
    assert list(days) == [NOON.date()]
    assert isinstance(NOON.date(), date)
    assert days[NOON.date()].states == {"failed": 2, "open": 2}
    assert days[NOON.date()].credits == 4.5


def test_neither_health_nor_what_was_given_up_counts_withdrawals(ledger: Ledger) -> None:
    with ledger.write() as tx:
        key = add(tx, 1)
        for lane in (TEAM, CMS):
            lanes.lock(tx, lane)
        deliver(tx, key, TEAM, 5, StepState.DEAD)
        deliver(tx, key, CMS, 5, StepState.DEAD, Intent.WITHDRAW)
        step = tx.execute(sa.select(step_table.c.id).where(step_table.c.destination == "team")).scalar_one()
        tries = (
            (1, Intent.PUBLISH, Outcome.RETRY),
            (2, Intent.PUBLISH, Outcome.DONE),
            (3, Intent.WITHDRAW, Outcome.DEAD),
            (4, Intent.WITHDRAW, Outcome.DONE),
        )
        for number, intent, outcome in tries:
            row = {"step": step, "generation": number, "intent": intent, "outcome": outcome}
            row |= {"kind": "deliver", "destination": "team", "started_at": NOON, "ended_at": at(number)}
            tx.execute(sa.insert(attempts).values(row))
        assert overview.health(tx, SINCE) == {"team": Health(1, 1, at(2), at(1))}
        dead = {work.kind: work.dead for work in overview.waiting(tx, NOON)}
    assert dead["deliver"] == 1


def test_an_attempt_keeps_what_it_was_for(ledger: Ledger) -> None:
    with ledger.write() as tx:
        key = add(tx, 1)
        deliver(tx, key, TEAM, 5, StepState.QUEUED, Intent.WITHDRAW)
        step = tx.execute(sa.select(step_table.c.id)).scalar_one()
        assert steps.claim(tx, step, NOON, 60)
        assert tx.execute(sa.select(attempts.c.intent)).scalar_one() == Intent.WITHDRAW
