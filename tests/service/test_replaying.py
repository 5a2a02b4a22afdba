from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from service.configuration import Configuration, DestinationConfig
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import Ledger, steps, stories
from service.ledger.stories import NewStory, StoryRow, VideoRow
from service.ledger.tables import steps as step_table
from service.replaying import NothingToReplay, Redone, Replayed, Replaying
from service.settings import load_settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=9)
ENDED = [StepState.DONE, StepState.DEAD, StepState.CANCELLED]


class NoOptions(BaseModel):
    pass


@dataclass
class Shelf:
    ledger: Ledger
    places: tuple[str, ...] = ("shelf", "attic")

    def story(self, state: StoryState, **values: Any) -> int:
        with self.ledger.write() as tx:
            key = stories.add(tx, NewStory("sub-1", Origin.SUBMITTED, state, story_id="story-1"), NOON)
            assert key is not None
            stories.change(tx, key, NOON, **({"message": "why"} | values))
        return key

    def step(
        self,
        key: int,
        kind: StepKind,
        place: str = "",
        state: StepState = StepState.DONE,
        revision: int = 1,
        **values: Any,
    ) -> int:
        with self.ledger.write() as tx:
            steps.add(tx, [steps.NewStep(Lane(kind, place), key, revision, "all")], NOON)
            where = (
                step_table.c.kind == kind,
                step_table.c.destination == place,
                step_table.c.revision == revision,
            )
            tx.execute(
                step_table.update().where(*where).values(**({"state": state, "next_at": None} | values))
            )
            return int(tx.execute(step_table.select().where(*where)).one().id)

    def video(self, key: int, revision: int = 1) -> None:
        with self.ledger.write() as tx:
            stories.add_video(
                tx, VideoRow(key, revision, "p", "ab", 1, 1.0, 1, 1, "h264", None, False, False), NOON
            )

    def replay(self, key: int, *destinations: str) -> Replayed:
        configured: Mapping[str, DestinationConfig] = {
            name: DestinationConfig(name, "archive", NoOptions()) for name in self.places
        }
        settings = load_settings({})
        return Replaying(self.ledger, settings, Configuration(destinations=configured), lambda: LATER).replay(
            key, destinations
        )

    def rows(self) -> list[Any]:
        with self.ledger.read() as tx:
            return list(tx.execute(step_table.select().order_by(step_table.c.id)))

    def row(self, key: int) -> StoryRow:
        with self.ledger.read() as tx:
            found = stories.read(tx, key)
        assert found is not None
        return found


@pytest.fixture
def shelf(ledger: Ledger) -> Shelf:
    return Shelf(ledger)


def delivered(shelf: Shelf, states: Mapping[str, StepState], state: StoryState = StoryState.SETTLED) -> int:
    key = shelf.story(state, revision=1, settled_at=NOON, message=None)
    shelf.video(key)
    for place, step_state in states.items():
        shelf.step(key, StepKind.DELIVER, place, step_state, attempts=7, last_error="x")
    return key


def done(replayed: Replayed) -> dict[str, Redone]:
    return {str(action.lane): action.done for action in replayed.actions}


@pytest.mark.parametrize("ended", ENDED)
def test_ended_deliveries_are_due_again_and_the_story_settles_anew(shelf, ended):
    key = delivered(shelf, {"shelf": ended, "attic": StepState.DONE})
    replayed = shelf.replay(key)
    assert done(replayed) == {"deliver/shelf": Redone.REPEATED, "deliver/attic": Redone.REPEATED}
    assert [(row.state, row.repeat, row.attempts, row.next_at) for row in shelf.rows()] == [
        ("pending", 1, 0, LATER)
    ] * 2
    assert replayed.story == shelf.row(key)
    assert (replayed.story.state, replayed.story.settled_at) == (StoryState.SETTLING, None)
    assert replayed.lanes == [Lane(StepKind.DELIVER, "shelf"), Lane(StepKind.DELIVER, "attic")]


def test_a_repeated_story_settles_when_its_steps_end(shelf):
    key = delivered(shelf, {"shelf": StepState.DEAD})
    shelf.replay(key)
    with shelf.ledger.write() as tx:
        assert not stories.settle_if_over(tx, key, LATER)
        tx.execute(step_table.update().values(state=StepState.DONE))
        assert stories.settle_if_over(tx, key, LATER)


def test_only_the_named_destination_is_repeated(shelf):
    key = delivered(shelf, {"shelf": StepState.DEAD, "attic": StepState.DONE})
    assert done(shelf.replay(key, "shelf", "shelf")) == {"deliver/shelf": Redone.REPEATED}
    assert [row.repeat for row in shelf.rows()] == [1, 0]


def test_a_configured_destination_that_no_route_named_gets_a_step(shelf):
    key = delivered(shelf, {"shelf": StepState.DONE})
    assert done(shelf.replay(key, "attic")) == {"deliver/attic": Redone.MADE}
    [_, made] = shelf.rows()
    assert (made.kind, made.destination, made.revision, made.state, made.next_at) == (
        "deliver",
        "attic",
        1,
        "pending",
        LATER,
    )
    assert shelf.row(key).state == StoryState.SETTLING


def test_a_delivery_that_waits_for_its_next_try_has_it_now_and_is_no_repeat(shelf):
    key = delivered(shelf, {"shelf": StepState.DONE}, StoryState.SETTLING)
    shelf.step(
        key, StepKind.DELIVER, "attic", StepState.PENDING, next_at=LATER + timedelta(hours=9), attempts=3
    )
    assert done(shelf.replay(key, "attic")) == {"deliver/attic": Redone.HASTENED}
    row = shelf.rows()[1]
    assert (row.next_at, row.repeat, row.attempts) == (LATER, 0, 3)


@pytest.mark.parametrize("busy", [StepState.QUEUED, StepState.RUNNING])
def test_a_delivery_that_is_under_way_is_left_alone(shelf, busy):
    key = delivered(shelf, {"shelf": busy}, StoryState.SETTLING)
    before = shelf.rows()
    replayed = shelf.replay(key)
    assert done(replayed) == {"deliver/shelf": Redone.UNDER_WAY}
    assert replayed.lanes == []
    assert shelf.rows() == before


def test_a_destination_that_left_the_configuration_is_left_out(shelf):
    key = delivered(shelf, {"shelf": StepState.DONE, "gone": StepState.DEAD})
    assert done(shelf.replay(key)) == {
        "deliver/shelf": Redone.REPEATED,
        "deliver/gone": Redone.NOT_CONFIGURED,
    }
    assert done(shelf.replay(key, "gone")) == {"deliver/gone": Redone.NOT_CONFIGURED}
    assert [row.state for row in shelf.rows()] == ["pending", "dead"]


def test_a_story_all_of_whose_destinations_left_stays_settled(shelf):
    key = delivered(shelf, {"gone": StepState.DEAD})
    assert shelf.replay(key).lanes == []
    assert shelf.row(key).state == StoryState.SETTLED


def test_only_the_latest_revision_is_delivered(shelf):
    key = delivered(shelf, {"shelf": StepState.DONE, "attic": StepState.DONE})
    with shelf.ledger.write() as tx:
        stories.change(tx, key, NOON, revision=2)
    shelf.video(key, 2)
    shelf.step(key, StepKind.DELIVER, "shelf", StepState.DEAD, revision=2)
    assert done(shelf.replay(key)) == {"deliver/shelf": Redone.REPEATED}
    assert [(row.revision, row.repeat) for row in shelf.rows()] == [(1, 0), (1, 0), (2, 1)]


def test_a_revision_with_the_same_video_goes_where_the_one_before_went(shelf):
    key = delivered(shelf, {"shelf": StepState.DONE})
    with shelf.ledger.write() as tx:
        stories.change(tx, key, NOON, revision=2)
    shelf.video(key, 2)
    assert done(shelf.replay(key)) == {"deliver/shelf": Redone.MADE}
    assert [(row.revision, row.route, row.state) for row in shelf.rows()] == [
        (1, "all", "done"),
        (2, "all", "pending"),
    ]


def test_a_story_that_went_nowhere_says_so(shelf):
    key = delivered(shelf, {})
    with pytest.raises(NothingToReplay, match="--destination"):
        shelf.replay(key)
    assert done(shelf.replay(key, "shelf")) == {"deliver/shelf": Redone.MADE}


def test_a_dead_download_is_downloaded_again(shelf):
    key = shelf.story(StoryState.GIVEN_UP, revision=1)
    shelf.step(key, StepKind.DOWNLOAD, "", StepState.DEAD)
    assert done(shelf.replay(key)) == {"download": Redone.REPEATED}
    assert (shelf.row(key).state, shelf.row(key).message) == (StoryState.SETTLING, None)
    with pytest.raises(NothingToReplay, match="no video yet"):
        shelf.replay(key, "shelf")


def test_a_download_of_an_older_revision_is_not_meant(shelf):
    key = shelf.story(StoryState.GIVEN_UP, revision=2)
    shelf.step(key, StepKind.DOWNLOAD, "", StepState.DONE)
    shelf.step(key, StepKind.DOWNLOAD, "", StepState.DEAD, revision=2)
    shelf.replay(key)
    assert [row.state for row in shelf.rows()] == ["done", "pending"]


@pytest.mark.parametrize(
    "state", [StoryState.FAILED, StoryState.UNKNOWN, StoryState.GIVEN_UP, StoryState.UNCONFIRMED]
)
def test_a_story_that_ended_without_a_video_is_asked_for_again(shelf, state):
    key = shelf.story(state, polls=9, not_found=3, not_found_since=NOON, finished_at=NOON)
    shelf.step(key, StepKind.FETCH, "", StepState.DONE)
    assert done(shelf.replay(key)) == {"fetch": Redone.REPEATED}
    row = shelf.row(key)
    assert (row.state, row.message, row.polls, row.not_found, row.finished_at) == (
        StoryState.OPEN,
        None,
        0,
        0,
        None,
    )
    assert row.next_poll_at is not None
    assert row.next_poll_at > LATER
    [step] = shelf.rows()
    assert (step.state, step.next_at) == ("pending", LATER)


@pytest.mark.parametrize("state", [StoryState.OPEN, StoryState.SETTLING])
def test_a_story_on_its_way_is_asked_for_and_keeps_its_state(shelf, state):
    key = shelf.story(state, next_poll_at=NOON)
    shelf.replay(key)
    assert (shelf.row(key).state, shelf.row(key).next_poll_at) == (state, NOON)
    assert [(row.kind, row.next_at) for row in shelf.rows()] == [("fetch", LATER)]


@pytest.mark.parametrize(
    ("state", "values", "said"),
    [
        (StoryState.CANCELLED, {"message": "refused: no credit"}, "no credit"),
        (StoryState.UNCONFIRMED, {"story_id": None}, "storyrelay track"),
        (StoryState.SUBMITTING, {"story_id": None}, "storyrelay track"),
    ],
)
def test_what_can_t_be_done_again_says_why_and_changes_nothing(shelf, state, values, said):
    key = shelf.story(state, **values)
    before = shelf.row(key)
    with pytest.raises(NothingToReplay, match=said):
        shelf.replay(key)
    assert shelf.row(key) == before
    assert shelf.rows() == []
