"""Stories that wait for people: who gets them first, what an answer lets go or ends, what comes in between."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from placed import Place, Publish, finished, replay, told, went_to, withdraw, world_on
from relayed import World

from service.domain.approvals import ApprovalState, Decision, Through
from service.domain.delivery import DeliveryFailed, Publication, Published
from service.domain.people import SHELL
from service.domain.states import StepKind, StoryState
from service.domain.steps import Lane
from service.ledger import approvals, deciding, people, steps, stories
from service.ledger.approval_tables import approvals as table
from service.ledger.approvals import ApprovalRow
from service.ledger.deciding import Decided
from service.question_minding import QuestionMinding

TOML = """
[destinations.team]
connector = "email"
host = "127.0.0.1"
from = "a@example.com"
to = ["b@example.com"]
[destinations.blog]
connector = "archive"
path = "b"
[destinations.shelf]
connector = "archive"
path = "s"
[destinations.desk]
connector = "archive"
path = "d"
[[routes]]
name = "all"
approval = "team"
destinations = ["blog", "shelf"]
[notices]
destinations = ["desk"]
"""
YES = Decision(ApprovalState.APPROVED, "ann", Through.DASHBOARD)
NO = Decision(ApprovalState.REJECTED, "ben", Through.SLACK, "too long")


@pytest.fixture
def world(tmp_path: Path, database_url: str, place: Place) -> Iterator[World]:
    world = world_on(database_url, tmp_path, place, TOML)
    yield world
    world.relay.ledger.close()


def made(world: World, revision: int = 1) -> None:
    """A story with a video, as the download leaves it."""
    finished(world, revision, deliver=False)
    relay = world.relay
    wanted = [
        steps.NewStep(Lane(StepKind.DELIVER, to), 1, revision, "all") for to in ("team", "blog", "shelf")
    ]
    with relay.ledger.write() as tx:
        steps.add(tx, wanted, world.clock())
        approvals.ask(tx, 1, revision, {"all": "team"}, relay.configuration.approval, world.clock())


def decide(world: World, decision: Decision, key: int = 1) -> Decided:
    with world.relay.ledger.write() as tx:
        decided = deciding.decide(tx, key, decision, world.clock())
    assert decided is not None
    return decided


def question(world: World, key: int = 1) -> ApprovalRow:
    with world.relay.ledger.read() as tx:
        row = approvals.read(tx, key)
    assert row is not None
    return row


def states(world: World) -> dict[str, str]:
    return {
        name.removeprefix("deliver/"): str(row.state)
        for name, row in world.steps("story-1").items()
        if name.startswith("deliver/")
    }


def test_who_is_asked_gets_it_first_and_the_others_wait(world: World, place: Place) -> None:
    made(world)
    world.run()
    assert went_to(place) == ["team"]
    (asked,) = place.questions
    assert (asked.waiting, asked.is_open, asked.reminded) == (("blog", "shelf"), True, False)
    assert states(world) == {"team": "done", "blog": "pending", "shelf": "pending"}
    assert world.story("story-1").state == StoryState.SETTLING
    world.clock.move(3600)
    world.run()
    assert [
        row.generation for name, row in world.steps("story-1").items() if name.startswith("deliver/")
    ] == [1, 1, 1]


def test_approved_the_others_run_and_it_is_shown_where_it_was_asked(world: World, place: Place) -> None:
    made(world)
    world.run()
    assert decide(world, YES).won
    world.run()
    assert sorted(went_to(place)) == ["blog", "shelf", "team"]
    assert world.story("story-1").state == StoryState.SETTLED
    assert place.questions[-1].told == "Approved by ann (2026-03-01 12:00 UTC)"
    assert place.questions[-1].key == place.questions[0].key
    with world.relay.ledger.read() as tx:
        deeds = [deed for _, deed in people.deeds(tx, 5)]
    assert [(deed.who, deed.action) for deed in deeds] == [("ann", "approve")]


def test_rejected_the_others_end_and_the_story_settles(world: World, place: Place) -> None:
    made(world)
    world.run()
    decide(world, NO)
    assert world.story("story-1").state == StoryState.SETTLED
    world.run()
    assert went_to(place) == ["team"]
    row = world.steps("story-1")["deliver/blog"]
    assert (row.state, row.remark) == ("cancelled", "rejected by ben: too long")
    assert place.questions[-1].told.startswith("Rejected by ben: too long (")


def test_a_second_answer_changes_nothing_and_is_shown(world: World, place: Place) -> None:
    made(world)
    world.run()
    decide(world, YES)
    world.run()
    late = decide(world, NO)
    assert (late.won, late.row.decided_by, late.row.state) == (False, "ann", ApprovalState.APPROVED)
    world.run()
    assert place.questions[-1].told.endswith("A later click changed nothing.")
    assert sorted(went_to(place)) == ["blog", "shelf", "team"]


def test_of_two_answers_at_one_instant_one_counts(world: World) -> None:
    made(world)
    gate = threading.Barrier(2)
    found: list[bool] = []

    def click(decision: Decision) -> None:
        gate.wait()
        found.append(decide(world, decision).won)

    clicks = [threading.Thread(target=click, args=(each,)) for each in (YES, NO)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()
    assert sorted(found) == [False, True]
    expected = {"cancelled"} if question(world).state == ApprovalState.REJECTED else {"pending"}
    assert {states(world)["blog"], states(world)["shelf"]} == expected


def test_an_answer_while_a_delivery_looks_is_not_missed(world: World) -> None:
    made(world)
    world.relay.dispatcher.sweep()
    with world.relay.ledger.write() as tx:
        claimed = steps.claim(tx, world.steps("story-1")["deliver/blog"].id, world.clock(), 60)
    assert claimed is not None
    decide(world, YES)
    with world.relay.ledger.write() as tx:
        stories.lock(tx, 1)
        steps.postpone(
            tx, claimed, world.clock(), world.clock() + timedelta(days=3), spends=False, error=None
        )
        approvals.wait(tx, claimed, world.clock())
    assert world.steps("story-1")["deliver/blog"].next_at == world.clock()


def test_a_replay_does_not_slip_past_the_question(world: World, place: Place) -> None:
    made(world)
    world.run()
    replay(world, "blog")
    world.run()
    assert went_to(place) == ["team"]
    assert len({each.key for each in place.questions}) == 1


def test_a_replay_of_what_was_rejected_asks_anew(world: World, place: Place) -> None:
    made(world)
    world.run()
    decide(world, NO)
    world.clock.move(60)
    replay(world, "blog")
    world.run()
    assert went_to(place) == ["team"]
    assert place.questions[-1].is_open
    assert place.questions[-1].key != place.questions[0].key
    with world.relay.ledger.write() as tx:
        assert deciding.decide(tx, 1, YES, world.clock(), place.questions[0].asked_at) is None, "the old link"
    decide(world, YES)
    world.run()
    assert went_to(place) == ["team", "blog"]


def test_a_later_video_asks_anew_and_closes_the_older_question(world: World, place: Place) -> None:
    made(world)
    world.run()
    made(world, 2)
    world.run()
    assert question(world, 1).state == ApprovalState.SUPERSEDED
    assert question(world, 2).is_open
    assert "superseded by revision 2" in next(each.told for each in place.questions if each.told)
    decide(world, YES, 2)
    assert not decide(world, NO, 1).won
    world.run()
    assert [(each.destination, each.story.revision) for each in place.publications][-2:] == [
        ("blog", 2),
        ("shelf", 2),
    ]


def test_a_question_for_which_nothing_waits_is_closed(world: World, place: Place) -> None:
    made(world)
    world.run()
    withdraw(world, "blog")
    assert question(world).is_open
    withdraw(world, "shelf")
    assert question(world).state == ApprovalState.SUPERSEDED


def test_a_cancelled_story_asks_nobody_any_more(world: World, place: Place) -> None:
    made(world)
    world.run()
    world.relay.story_actions(SHELL).cancel(1)
    assert question(world).state == ApprovalState.SUPERSEDED
    decide(world, YES)
    world.run()
    assert went_to(place) == ["team"]


def test_people_are_reminded_once_and_then_it_counts_as_rejected(world: World, place: Place) -> None:
    made(world)
    world.run()
    relay = world.relay
    minding = QuestionMinding(relay.ledger, relay.configuration, relay.now)
    assert minding.run() == 0
    world.clock.move(4 * 3600)
    assert minding.run() == 1
    assert QuestionMinding(relay.ledger, relay.configuration, relay.now).run() == 0
    world.run()
    assert [each.reminded for each in place.questions] == [False, True]
    world.clock.move(3 * 86400)
    assert minding.run() == 1
    assert minding.run() == 0
    world.run()
    assert question(world).state == ApprovalState.EXPIRED
    assert states(world) == {"team": "done", "blog": "cancelled", "shelf": "cancelled"}
    assert [line.split(":")[0] for line in told(world)] == ["approval_expired"]
    assert world.story("story-1").state == StoryState.SETTLED


def test_of_two_schedulers_at_once_one_reminds_and_one_ends_the_question(world: World, place: Place) -> None:
    made(world)
    world.run()
    relay = world.relay

    def both() -> list[int]:
        """How many questions each of two saw to that had found them due at one instant."""
        gate, seen = threading.Barrier(2), []

        def now() -> datetime:
            if threading.current_thread() not in waited:
                waited.append(threading.current_thread())
                gate.wait()
            return world.clock()

        waited: list[threading.Thread] = []
        threads = [
            threading.Thread(
                target=lambda: seen.append(QuestionMinding(relay.ledger, relay.configuration, now).run())
            )
            for _ in range(2)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return sorted(seen)

    world.clock.move(4 * 3600)
    assert both() == [0, 1]
    world.run()
    world.clock.move(3 * 86400)
    assert both() == [0, 1]
    world.run()
    assert [(each.reminded, each.is_open) for each in place.questions] == [
        (False, True),
        (True, True),
        (False, False),
    ]
    assert [line.split(":")[0] for line in told(world)] == ["approval_expired"]


STANDS_IN = """
[destinations.team]
connector = "email"
host = "127.0.0.1"
from = "a@example.com"
to = ["b@example.com"]
fallback = "second"
[destinations.second]
connector = "email"
host = "127.0.0.1"
from = "a@example.com"
to = ["c@example.com"]
fallback = "third"
[destinations.third]
connector = "{third}"
{options}
[destinations.blog]
connector = "archive"
path = "b"
[destinations.shelf]
connector = "archive"
path = "s"
[[routes]]
name = "all"
approval = "team"
destinations = ["blog", "shelf"]
[notices]
destinations = ["shelf"]
"""
MAIL = 'host = "127.0.0.1"\nfrom = "a@example.com"\nto = ["d@example.com"]'


def refused_by(*names: str) -> Publish:
    def publish(publication: Publication) -> Published:
        if publication.destination in names:
            raise DeliveryFailed("no such mailbox", permanent=True)
        return Published()

    return publish


@pytest.fixture
def stands_in(tmp_path: Path, database_url: str, place: Place) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(third: str = "email", options: str = MAIL) -> World:
        worlds.append(world_on(database_url, tmp_path, place, STANDS_IN.format(third=third, options=options)))
        return worlds[-1]

    yield make
    for each in worlds:
        each.relay.ledger.close()


@pytest.mark.parametrize(("gone", "asked"), [(("team",), "second"), (("team", "second"), "third")])
def test_the_question_follows_the_story_to_the_fallback(
    stands_in: Callable[..., World], place: Place, gone: tuple[str, ...], asked: str
) -> None:
    world = stands_in()
    place.publish_as = refused_by(*gone)
    made(world)
    world.run()
    assert went_to(place) == [*gone, asked], "the others wait"
    assert [(each.waiting, each.is_open) for each in place.questions] == [(("blog", "shelf"), True)]
    assert [name for name in world.steps("story-1") if name.startswith("ask/")] == [f"ask/{asked}"]
    assert f"{asked} is asked whether it may go to blog, shelf." in told(world)[0]
    world.clock.move(4 * 3600)
    relay = world.relay
    QuestionMinding(relay.ledger, relay.configuration, relay.now).run()
    world.run()
    assert place.questions[-1].reminded
    decide(world, YES)
    world.run()
    assert place.questions[-1].told.startswith("Approved by ann")
    assert sorted(went_to(place)) == sorted([*gone, asked, "blog", "shelf"])
    assert world.story("story-1").state == StoryState.SETTLED


def test_who_gets_the_story_in_the_end_is_asked_beside_the_fallback(
    stands_in: Callable[..., World], place: Place
) -> None:
    world = stands_in()
    place.publish_as = refused_by("team")
    made(world)
    world.run()
    place.publish_as = refused_by()
    replay(world, "team")
    world.run()
    assert went_to(place) == ["team", "second", "team"]
    steps_then = world.steps("story-1")
    assert sorted(name for name in steps_then if name.startswith("ask/")) == ["ask/second", "ask/team"]
    decide(world, YES)
    world.run()
    assert [each.told for each in place.questions[-2:]] == ["Approved by ann (2026-03-01 12:00 UTC)"] * 2


def test_where_a_fallback_asks_nobody_people_are_told_where_to_answer(
    stands_in: Callable[..., World], place: Place
) -> None:
    world = stands_in("archive", 'path = "t"')
    mute = SimpleNamespace(publish=place.publish)
    object.__setattr__(world.relay, "connector", lambda name, *_: mute if name == "third" else place)
    place.publish_as = refused_by("team", "second")
    made(world)
    world.run()
    (said,) = [line for line in told(world) if not line.startswith("delivery_dead")]
    assert said.startswith("approval_unasked: third could not be asked")
    assert "Approve or reject it on the dashboard: https://relay.example/approvals" in said
    assert place.questions == []
    decide(world, YES)
    world.run()
    assert sorted(went_to(place)) == ["blog", "second", "shelf", "team", "third"]


def test_where_nothing_gets_it_instead_people_are_told_where_to_answer(world: World, place: Place) -> None:
    place.publish_as = refused_by("team")
    made(world)
    world.run()
    (line,) = told(world)
    assert "Nobody is asked whether it may go to blog, shelf: approve or reject it on the dashboard" in line
    decide(world, YES)
    world.run()
    assert sorted(went_to(place)) == ["blog", "shelf", "team"]


def test_a_forgotten_story_takes_its_questions_along(world: World) -> None:
    made(world)
    world.run()
    decide(world, NO)
    world.run()
    with world.relay.ledger.write() as tx:
        tx.execute(sa.text("DELETE FROM stories"))
        assert tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
