"""Which stories a bulk replay takes: all that are chosen, in the order of its clock, by an index on that time."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from service.domain.bulk_replays import Choice, Clock, Wanted, how_many
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import Ledger, bulk_choosing, steps, stories
from service.ledger.bulk_choosing import Place, Total
from service.ledger.stories import NewStory
from service.ledger.tables import steps as step_table
from service.ledger.tables import stories as table

START = datetime(2026, 3, 1, tzinfo=UTC)
STATES = (StoryState.SETTLED, StoryState.FAILED, StoryState.OPEN, StoryState.CANCELLED)
CHOICES = [
    Choice(wanted, START + timedelta(hours=since), START + timedelta(hours=until), by, route, destination)
    for wanted in Wanted
    for by in Clock
    if by == Clock.CREATED or wanted in (Wanted.SETTLED, Wanted.FAILED, Wanted.DEAD)
    for since, until in ((0, 200), (20, 60), (60, 61))
    for route, destination in ((None, None), ("a", None), (None, "x"))
]


def seed(ledger: Ledger, count: int) -> None:
    """Stories whose times are in another order than their keys, some of them at the same moment."""
    rng = random.Random(5)
    with ledger.write() as tx:
        for number in range(count):
            state, route = rng.choice(STATES), rng.choice(("a", "b"))
            new = NewStory(f"sub-{number}", Origin.TRACKED, state, story_id=f"story-{number}", route=route)
            at = START + timedelta(hours=rng.randrange(80))
            key = stories.add(tx, new, at)
            assert key is not None
            finished = at + timedelta(hours=rng.randrange(9)) if state != StoryState.OPEN else None
            tx.execute(sa.update(table).where(table.c.id == key).values(finished_at=finished))
            if state == StoryState.SETTLED:
                name = rng.choice(("x", "y"))
                steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, name), key, 1, route)], at)
                ended = rng.choice((StepState.DONE, StepState.DEAD))
                tx.execute(
                    step_table.update().where(step_table.c.story == key).values(state=ended, next_at=None)
                )


def truth(tx: sa.Connection, choice: Choice) -> list[Place]:
    """All of it, the slow way."""
    found = []
    steps_of = defaultdict(list)
    for step in tx.execute(sa.select(step_table)):
        steps_of[step.story].append(step)
    for row in tx.execute(sa.select(table)):
        at = row.created_at if choice.by == Clock.CREATED else row.finished_at
        if at is not None and choice.since <= at < choice.until and _fits(choice, row, steps_of[row.id]):
            found.append((at, row.id))
    return sorted(found)


def _fits(choice: Choice, row: Any, of: Sequence[Any]) -> bool:
    if (
        choice.route is not None
        and row.route != choice.route
        and choice.route not in {each.route for each in of}
    ):
        return False
    if choice.wanted == Wanted.DEAD:
        return any(each.state == "dead" and choice.destination in (None, each.destination) for each in of)
    return bool(row.state == choice.wanted.story_state)


def walked(tx: sa.Connection, choice: Choice, limit: int) -> list[Place]:
    """What look after look brings."""
    found: list[Place] = []
    after: Place | None = None
    while True:
        met = bulk_choosing.next_places(tx, choice, after, limit)
        found += met.places
        if met.to is None:
            return found
        assert after is None or met.to > after, "each look comes further"
        after = met.to


@pytest.mark.parametrize("few", [0, 2000])
def test_every_look_goes_on_where_the_last_one_ended(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(bulk_choosing, "CHUNK", 7)
    monkeypatch.setattr(bulk_choosing, "MOST_LOOKED_AT", 21)
    monkeypatch.setattr(bulk_choosing, "FEW", few)
    seed(ledger, 120)
    with ledger.read() as tx:
        for choice in CHOICES:
            wanted = truth(tx, choice)
            assert walked(tx, choice, 3) == wanted, choice
            assert walked(tx, choice, 50) == wanted, choice
            assert bulk_choosing.count(tx, choice) == Total(len(wanted), exact=True), choice


def test_no_more_are_counted_than_people_want_to_know(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(ledger, 120)
    every = Choice(Wanted.SETTLED, START, START + timedelta(hours=200), Clock.CREATED)
    monkeypatch.setattr(bulk_choosing, "MOST_COUNTED", 10)
    with ledger.read() as tx:
        assert bulk_choosing.count(tx, every) == Total(10, exact=False)
        monkeypatch.setattr(bulk_choosing, "MOST_COUNTED", 10_000)
        monkeypatch.setattr(bulk_choosing, "LOOKS_TO_COUNT", (20, 40))
        cut = bulk_choosing.count(tx, every)
    assert not cut.exact
    assert 0 < cut.count <= 40


def test_a_count_in_words() -> None:
    assert how_many(1204, exact=True) == "1,204"
    assert how_many(10_000, exact=False) == "more than 10,000"
    assert how_many(12, exact=False) == "12 or more"


@contextmanager
def asked(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile, with their parameters."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        found.append((text, values))

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("by", list(Clock))
def test_a_look_goes_along_the_index_of_its_clock(ledger: Ledger, by: Clock) -> None:
    seed(ledger, 200)
    choice = Choice(Wanted.SETTLED, START + timedelta(hours=20), START + timedelta(hours=60), by)
    column = "created_at" if by == Clock.CREATED else "finished_at"
    with ledger.read() as tx:
        if ledger.dialect == "postgresql":
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a table this small is read whole otherwise
        with asked(ledger) as found:
            bulk_choosing.next_places(tx, choice, (START + timedelta(hours=30), 5), 10)
            bulk_choosing.count(tx, choice)
        looks = [each for each in found if f"stories.{column} >=" in each[0]]
        assert len(looks) == 2
        explain = "EXPLAIN QUERY PLAN " if ledger.dialect == "sqlite" else "EXPLAIN "
        plans = [
            " ".join(str(cell) for row in tx.exec_driver_sql(explain + text, values) for cell in row)
            for text, values in looks
        ]
    assert all(f"ix_stories_{column}" in plan for plan in plans), plans
