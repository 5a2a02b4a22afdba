"""Stories that are taken back before they reached a destination, and while they are on their way there."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from placed import Place, fails, finished, replay, rows, told, went_to, withdraw, world_on
from relayed import World

from handlers import deliver, download
from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.domain.approvals import ApprovalTimes
from service.domain.delivery import DeliveryFailed, Publication, Published
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import steps, stories, withdrawals
from service.ledger.stories import NewStory, VideoRow
from service.replaying import NothingToReplay, Redone
from service.withdrawing import NothingToWithdraw, Undone

NOBODY_ASKED = download.Asked({}, ApprovalTimes())
TOML = """
[destinations.blog]
connector = "archive"
path = "b"
fallback = "desk"
[destinations.team]
connector = "archive"
path = "t"
after = ["blog"]
[destinations.desk]
connector = "archive"
path = "d"
[destinations.tall]
connector = "archive"
path = "h"
[[routes]]
name = "all"
destinations = ["blog", "team"]
[[routes]]
name = "upright"
when = { aspect_ratio = "9:16" }
destinations = ["tall"]
"""


@pytest.fixture
def world(tmp_path: Path, database_url: str, place: Place) -> Iterator[World]:
    world = world_on(database_url, tmp_path, place, TOML)
    yield world
    world.relay.ledger.close()


def deliveries_to(*destinations: str, revision: int = 1) -> list[steps.NewStep]:
    return [steps.NewStep(Lane(StepKind.DELIVER, name), 1, revision, "all") for name in destinations]


def deliver_to(world: World, *destinations: str, revision: int = 1) -> None:
    """A story with a video that is to go there, in this order."""
    finished(world, revision, deliver=False)
    video_is_here(world, *destinations, revision=revision)


def video_is_here(world: World, *destinations: str, revision: int = 1) -> None:
    """What the download records when the video, whose routes lead there, is stored."""
    video = VideoRow(1, revision, f"story-1/r{revision}", f"{revision}", 7, 1.5, 90, 160, "h264", None, 0, 1)
    wanted = deliveries_to(*destinations, revision=revision)
    stand_ins = world.relay.configuration.stand_ins(destinations)
    with world.relay.ledger.write() as tx:
        if stories.lock(tx, 1).state != StoryState.SETTLING:
            stories.change(tx, 1, world.clock(), state=StoryState.SETTLING, revision=revision)
        download._stored(video, wanted, stand_ins, NOBODY_ASKED)(tx, world.clock())


def asked_for(world: World, state: StoryState = StoryState.OPEN, route: str | None = None) -> None:
    """A story that has no video yet."""
    with world.relay.ledger.write() as tx:
        stories.add(
            tx, NewStory("sub-1", Origin.TRACKED, state, story_id="story-1", route=route), world.clock()
        )


def run_killed(world: World, owner: Any, name: str) -> None:
    """Runs the next job in a child process that dies where `owner.name` stands."""
    world.relay.dispatcher.sweep()
    step = world.queue.jobs.pop(0)
    pid = os.fork()
    if pid == 0:
        try:
            setattr(owner, name, lambda *_a, **_k: os.kill(os.getpid(), signal.SIGKILL))
            StepMachine(world.relay, HANDLERS).run(step)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, f"{name} was not reached"


def test_what_only_waited_so_far_is_cancelled_unasked(world: World, place: Place) -> None:
    deliver_to(world, "team", "blog")
    place.publish_as = fails(DeliveryFailed("down"))
    world.run()
    assert (rows(world)["team"].generation, went_to(place)) == (1, ["blog"])
    assert withdraw(world, "team") == {"team": Undone.CANCELLED}
    assert withdraw(world, "blog") == {"blog": Undone.DUE}, "it may have got a part of it"
    world.run()
    assert [each.destination for each in place.withdrawals] == ["blog"]
    assert world.story("story-1").state == StoryState.SETTLED


def test_what_was_given_up_before_its_place_was_called_is_cancelled_unasked(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise deliver.StepFailed("its video is gone", permanent=True)

    deliver_to(world, "tall")
    with monkeypatch.context() as patch:
        patch.setattr(deliver, "publication", gone)
        world.run()
    assert rows(world)["tall"].state == "dead"
    assert withdraw(world) == {"tall": Undone.CANCELLED}
    world.run()
    assert (place.withdrawals, rows(world)["tall"].state) == ([], "cancelled")
    assert withdraw(world) == {"tall": Undone.WITHDRAWN}


def test_what_is_withdrawn_right_before_its_place_is_called_does_not_go_there(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_to(world, "tall")
    done: list[dict[str, Undone]] = []
    make: Callable[..., Publication] = deliver.publication

    def meanwhile(*given: Any) -> Publication:
        done.append(withdraw(world))
        return make(*given)

    monkeypatch.setattr(deliver, "publication", meanwhile)
    world.run()
    assert done == [{"tall": Undone.AFTER_THIS}]
    assert (place.publications, place.withdrawals) == ([], [])
    assert (rows(world)["tall"].state, rows(world)["tall"].remark) == (
        "cancelled", "withdrawn before it was published",
    )  # fmt: skip
    assert world.story("story-1").state == StoryState.SETTLED


@pytest.mark.parametrize(("point", "asked"), [("begin", 0), ("publish", 1)])
def test_whoever_died_before_the_place_was_called_left_nothing_there(
    world: World, place: Place, point: str, asked: int
) -> None:
    deliver_to(world, "tall")
    run_killed(world, withdrawals if point == "begin" else place, point)
    assert withdraw(world) == {"tall": Undone.AFTER_THIS}
    world.clock.move(61)
    world.run()
    assert (len(place.withdrawals), place.publications) == (asked, [])
    assert rows(world)["tall"].state == "cancelled"
    assert world.story("story-1").message == "withdrawn"


def test_what_was_published_again_after_a_withdrawal_is_asked_for_again(world: World, place: Place) -> None:
    deliver_to(world, "tall")
    for _ in range(2):
        world.run()
        assert withdraw(world) == {"tall": Undone.DUE}
        world.run()
        replay(world)
    assert withdraw(world) == {"tall": Undone.CANCELLED}, "this time it had not begun"
    assert (len(place.publications), len(place.withdrawals)) == (2, 2)


def test_a_story_without_a_video_goes_nowhere_once_it_is_withdrawn(world: World, place: Place) -> None:
    asked_for(world)
    assert withdraw(world) == dict.fromkeys(("blog", "team", "tall"), Undone.CANCELLED)
    assert world.story("story-1").message == "withdrawn"
    deliver_to(world, "blog", "team")
    world.run()
    assert place.publications == []
    assert {name: row.state for name, row in rows(world).items()} == {
        "blog": "cancelled",
        "team": "cancelled",
    }
    assert (world.story("story-1").state, world.story("story-1").message) == (StoryState.SETTLED, "withdrawn")
    assert replay(world) == {"blog": Redone.REPEATED, "team": Redone.REPEATED}, "not where no route leads"
    world.run()
    assert went_to(place) == ["blog", "team"]
    assert [publication.route for publication in place.publications] == ["all", "all"]


def test_a_pinned_story_is_withdrawn_from_its_route(world: World) -> None:
    asked_for(world, StoryState.SUBMITTING, route="upright")
    assert withdraw(world) == {"tall": Undone.CANCELLED}
    assert withdraw(world) == {"tall": Undone.WITHDRAWN}


def test_one_destination_of_a_story_without_a_video(world: World, place: Place) -> None:
    asked_for(world)
    assert withdraw(world, "team", "nowhere") == {"team": Undone.CANCELLED, "nowhere": Undone.ABSENT}
    deliver_to(world, "blog", "team")
    world.run()
    assert went_to(place) == ["blog"]
    assert world.story("story-1").message == "withdrawn from team"


def test_a_replay_takes_the_withdrawal_back_before_there_is_a_video(world: World, place: Place) -> None:
    asked_for(world)
    withdraw(world)
    assert replay(world, "team") == {"team": Redone.ALLOWED}
    with pytest.raises(NothingToReplay, match="no video yet"):
        replay(world, "team")
    assert replay(world) == {"blog": Redone.ALLOWED, "tall": Redone.ALLOWED, "": Redone.REPEATED}
    assert world.story("story-1").message is None
    deliver_to(world, "blog", "team")
    world.queue.jobs.clear()
    world.run()
    assert set(went_to(place)) == {"blog", "team"}


def test_a_later_video_of_a_withdrawn_story_goes_nowhere_else_either(world: World, place: Place) -> None:
    deliver_to(world, "tall")
    world.run()
    with world.relay.ledger.write() as tx:
        stories.change(tx, 1, world.clock(), state=StoryState.OPEN)
    assert withdraw(world) == {"tall": Undone.DUE, "blog": Undone.CANCELLED, "team": Undone.CANCELLED}
    deliver_to(world, "tall", "blog", revision=2)
    world.run()
    assert (went_to(place), len(place.withdrawals)) == (["tall"], 1)


def test_a_fallback_that_is_withdrawn_beforehand_does_not_get_the_story(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    assert withdraw(world, "desk", "tall") == {"desk": Undone.CANCELLED, "tall": Undone.ABSENT}
    place.publish_as = fails(DeliveryFailed("no", permanent=True))
    world.run()
    assert went_to(place) == ["blog"]
    assert rows(world)["desk"].state == "cancelled"
    assert world.story("story-1").state == StoryState.SETTLED
    assert "desk" not in replay(world), "it only stands in"
    assert replay(world, "desk") == {"desk": Redone.REPEATED}


def test_an_ended_story_that_went_nowhere_has_nothing_to_withdraw(world: World) -> None:
    asked_for(world, StoryState.FAILED)
    with pytest.raises(NothingToWithdraw, match="failed"):
        withdraw(world)


@pytest.mark.parametrize("point", ["forbid", "cancel"])
def test_a_withdrawal_that_dies_half_way_did_nothing(
    world: World, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if point == "forbid":
        asked_for(world)
    else:
        deliver_to(world, "blog", "tall")
    before = {name: row.state for name, row in rows(world).items()}
    real, calls = getattr(withdrawals, point), []

    def dies(*given: Any) -> None:
        calls.append(given)
        real(*given)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(withdrawals, point, dies)
    with pytest.raises(KeyboardInterrupt):
        withdraw(world)
    assert {name: row.state for name, row in rows(world).items()} == before


def test_a_revision_that_waits_for_its_retry_ends_when_a_later_one_is_made(
    world: World, place: Place
) -> None:
    deliver_to(world, "blog", "team")
    place.publish_as = fails(DeliveryFailed("down"))
    world.run()
    deliver_to(world, "blog", revision=2)
    states = revisions_of(world)
    assert states == {
        ("blog", 1): (StepState.DONE, "superseded"),
        ("blog", 2): (StepState.PENDING, None),
        ("team", 1): (StepState.PENDING, None),
    }
    place.publish_as = Place().publish_as
    world.run()
    sent = [(each.destination, each.story.revision) for each in place.publications]
    assert sorted(sent) == [("blog", 1), ("blog", 2), ("team", 1)]
    assert world.story("story-1").state == StoryState.SETTLED


def revisions_of(world: World) -> dict[tuple[str, int], tuple[str, str | None]]:
    with world.relay.ledger.read() as tx:
        found = steps.steps.select().order_by(steps.steps.c.id)
        return {(row.destination, row.revision): (row.state, row.remark) for row in tx.execute(found)}


@pytest.mark.parametrize("permanent", [False, True])
def test_a_running_revision_that_fails_after_a_later_one_was_made(
    world: World, place: Place, permanent: bool
) -> None:
    deliver_to(world, "blog")

    def publish(publication: Publication) -> Published:
        if publication.story.revision == 1:
            deliver_to(world, "blog", revision=2)
            raise DeliveryFailed("no", permanent=permanent)
        return Published(url="https://blog.example/2")

    place.publish_as = publish
    world.run()
    world.clock.move(5)  # as long as a revision waits for the one before it
    world.run()
    assert [each.story.revision for each in place.publications] == [1, 2], "and none to the fallback"
    assert world.story("story-1").state == StoryState.SETTLED
    if permanent:
        assert "A later video of it is to go to blog" in told(world)[0]
    else:
        assert revisions_of(world)["blog", 1] == ("done", "superseded")


def test_an_old_revision_does_not_go_to_the_fallback_when_a_later_one_went_out(
    world: World, place: Place
) -> None:
    deliver_to(world, "blog")
    place.publish_as = fails(DeliveryFailed("down", permanent=True))
    world.relay.dispatcher.sweep()
    StepMachine(world.relay, HANDLERS).run(world.queue.jobs.pop(0))
    world.queue.jobs.clear()
    assert rows(world)["desk"].instead_of == "blog"
    deliver_to(world, "blog", revision=2)
    assert revisions_of(world)["desk", 1] == ("done", "superseded")
    place.publish_as = Place().publish_as
    world.run()
    assert [(each.destination, each.story.revision) for each in place.publications] == [
        ("blog", 1),
        ("blog", 2),
    ]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("dead", "could not be delivered to desk either"),
        ("done", "has it already"),
        ("pending", "on its way to desk anyway"),
        ("queued", "on its way to desk"),
    ],
)
def test_the_notice_of_a_dead_delivery_says_what_its_fallback_does(
    world: World, place: Place, state: str, said: str
) -> None:
    deliver_to(world, "blog")
    with world.relay.ledger.write() as tx:
        steps.add(tx, deliveries_to("desk"), world.clock())
        desk = steps.steps.c.destination == "desk"
        tx.execute(steps.steps.update().where(desk).values(state=state, next_at=None))
    place.publish_as = fails(DeliveryFailed("no", permanent=True))
    world.run()
    (text,) = [text for text in told(world) if "published at blog" in text]
    assert said in text
    assert "It goes to desk" not in text


def test_a_fallback_with_a_later_video_does_not_get_the_old_one(world: World, place: Place) -> None:
    deliver_to(world, "blog")
    with world.relay.ledger.write() as tx:
        steps.add(tx, deliveries_to("desk", revision=2), world.clock())
    place.publish_as = fails(DeliveryFailed("no", permanent=True))
    world.run()
    assert "later video of it is there, or on its way" in " ".join(told(world))
    assert revisions_of(world)["desk", 2][0] == "dead"
    assert ("desk", 1) not in revisions_of(world)
