"""Replays of many stories: each story once, by today's routes, whoever dies or works beside."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from relayed import START, World, make_world

from service import bulk_replaying
from service.bulk_replaying import BulkReplaying, Unfit
from service.domain.bulk_replays import (
    NO_ROUTE,
    NO_VIDEO,
    NOT_THERE,
    WITHDRAWN,
    Choice,
    Clock,
    Wanted,
    read_choice,
)
from service.domain.people import Doer
from service.domain.states import Intent, Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import bulk_replays, lanes, people, steps, stories
from service.ledger.bulk_replays import BulkReplay, BulkState
from service.ledger.bulk_tables import bulk_replayed
from service.ledger.stories import NewStory, VideoRow
from service.ledger.tables import steps as step_table
from service.replaying import Replaying
from service.scheduling import Scheduler

TOML = """
[destinations.blog]
connector = "archive"
path = "b"
[destinations.team]
connector = "archive"
path = "t"
[[routes]]
name = "all"
when = { title = "A *" }
destinations = ["blog", "team"]
"""
ADA = Doer("ada")
YESTERDAY = START - timedelta(days=1)
DEAD = Choice(Wanted.DEAD, START - timedelta(days=2), START)
SETTLED = replace(DEAD, wanted=Wanted.SETTLED)


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    world = make_world(tmp_path, database_url, TOML, {})
    yield world
    world.relay.ledger.close()


def replaying(world: World) -> BulkReplaying:
    relay = world.relay
    return BulkReplaying(relay.ledger, relay.settings, relay.configuration, relay.now)


def story(world: World, number: int, state: StoryState = StoryState.SETTLED, **values: Any) -> int:
    with world.relay.ledger.write() as tx:
        new = NewStory(f"sub-{number}", Origin.TRACKED, state, story_id=f"story-{number}", title="A fox")
        key = stories.add(tx, new, YESTERDAY)
        assert key is not None
        stories.change(tx, key, YESTERDAY, **{"finished_at": YESTERDAY, **values})
    return key


def delivered(world: World, number: int, **states: StepState) -> int:
    """A settled story whose deliveries by destination stand so."""
    key = story(world, number, revision=1, settled_at=YESTERDAY)
    with world.relay.ledger.write() as tx:
        video = VideoRow(key, 1, "p", "ab", 1, 1.0, 1, 1, "h264", None, False, False)
        stories.add_video(tx, video, YESTERDAY)
        for name, state in states.items():
            steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, name), key, 1, "all")], YESTERDAY)
            of = (step_table.c.story == key, step_table.c.destination == name)
            tx.execute(step_table.update().where(*of).values(state=state, next_at=None))
    return key


def repeats(world: World) -> dict[tuple[int, str], int]:
    """(story, destination) → how often its delivery was wanted again."""
    with world.relay.ledger.read() as tx:
        rows = tx.execute(sa.select(step_table).where(step_table.c.kind == StepKind.DELIVER))
        return {(row.story, row.destination): row.repeat for row in rows}


def end_all(world: World) -> None:
    """Has every delivery done that is due."""
    with world.relay.ledger.write() as tx:
        tx.execute(step_table.update().values(state=StepState.DONE, next_at=None))


def now_of(world: World, bulk: BulkReplay) -> BulkReplay:
    with world.relay.ledger.read() as tx:
        found = bulk_replays.read(tx, bulk.id)
    assert found is not None
    return found


def reasons(world: World, bulk: BulkReplay) -> dict[str, int]:
    with world.relay.ledger.read() as tx:
        return dict(bulk_replays.reasons(tx, bulk.id))


def test_given_up_deliveries_alone_are_done_again(world: World) -> None:
    first = delivered(world, 1, blog=StepState.DEAD, team=StepState.DONE)
    second = delivered(world, 2, blog=StepState.DONE, team=StepState.DONE)
    bulk = replaying(world).start(DEAD, ADA)
    assert (bulk.total, bulk.state, bulk.who) == (1, BulkState.RUNNING, "ada")
    assert replaying(world).advance() == 1
    assert repeats(world) == {
        (first, "blog"): 1,
        (first, "team"): 0,
        (second, "blog"): 0,
        (second, "team"): 0,
    }
    ended = now_of(world, bulk)
    assert (ended.state, ended.replayed, ended.skipped, ended.ended_at) == (
        BulkState.DONE,
        1,
        0,
        world.relay.now(),
    )
    assert world.story("story-1").state == StoryState.SETTLING


def test_a_dry_run_says_all_and_does_nothing(world: World) -> None:
    delivered(world, 1, blog=StepState.DONE, team=StepState.DONE)
    delivered(world, 2, blog=StepState.DONE, old=StepState.DONE)
    before = repeats(world)
    run = replaying(world).dry_run(SETTLED)
    assert (run.total, run.looked_at, run.replayed, run.differ) == (2, 2, 2, 1)
    assert (run.gone, run.new) == ({"old": 1}, {"team": 1})
    assert [each.plan.targets for each in run.examples] == [("blog", "team"), ("blog", "team")]
    assert repeats(world) == before
    with world.relay.ledger.read() as tx:
        assert bulk_replays.newest(tx, 9) == []


def test_today_s_routes_decide_and_what_is_left_out_says_why(world: World) -> None:
    elsewhere = delivered(world, 1, old=StepState.DEAD)
    pinned = delivered(world, 2, blog=StepState.DEAD)
    unrouted = delivered(world, 3, blog=StepState.DEAD)
    taken_back = delivered(world, 4, blog=StepState.DEAD)
    with world.relay.ledger.write() as tx:
        stories.change(tx, pinned, YESTERDAY, route="gone")
        stories.change(tx, unrouted, YESTERDAY, title="Two foxes")
        withdraw = step_table.update().where(step_table.c.story == taken_back)
        tx.execute(withdraw.values(intent=Intent.WITHDRAW))
    bulk = replaying(world).start(DEAD, ADA)
    replaying(world).advance()
    assert set(repeats(world).values()) == {0}
    assert elsewhere
    told = reasons(world, bulk)
    assert told.pop("it is pinned, and there is no route 'gone' in the configuration") == 1
    assert told == {NOT_THERE: 1, NO_ROUTE: 1, WITHDRAWN: 1}


def test_a_new_destination_gets_what_today_s_routes_lead_there(world: World) -> None:
    first = delivered(world, 1, blog=StepState.DONE)
    replaying(world).start(replace(SETTLED, destination="team"), ADA)
    replaying(world).advance()
    assert repeats(world) == {(first, "blog"): 0, (first, "team"): 0}
    assert world.steps("story-1")["deliver/team"].state == StepState.PENDING


def test_what_never_had_a_video_is_asked_for_again(world: World) -> None:
    story(world, 1, StoryState.FAILED)
    story(world, 2, StoryState.GIVEN_UP, finished_at=None)
    replaying(world).start(replace(DEAD, wanted=Wanted.FAILED), ADA)
    replaying(world).start(replace(DEAD, wanted=Wanted.GIVEN_UP, by=Clock.CREATED), ADA)
    assert replaying(world).advance() == 2
    assert [world.story(f"story-{n}").state for n in (1, 2)] == [StoryState.OPEN, StoryState.OPEN]
    bulk = replaying(world).start(
        replace(DEAD, wanted=Wanted.UNKNOWN, by=Clock.CREATED, destination="blog"), ADA
    )
    story(world, 3, StoryState.UNKNOWN, finished_at=None)
    end_all(world)
    replaying(world).advance()
    assert reasons(world, bulk) == {NO_VIDEO: 1}


def test_the_window_state_and_route_choose(world: World) -> None:
    delivered(world, 1, blog=StepState.DEAD)
    counted = [
        (DEAD, 1),
        (replace(DEAD, until=YESTERDAY), 0),
        (replace(DEAD, since=YESTERDAY, until=YESTERDAY + timedelta(seconds=1)), 1),
        (replace(DEAD, route="all"), 1),
        (replace(DEAD, route="other"), 0),
        (replace(DEAD, destination="blog"), 1),
        (replace(DEAD, destination="team"), 0),
        (replace(DEAD, wanted=Wanted.FAILED), 0),
    ]
    assert [(choice, replaying(world).dry_run(choice).total) for choice, _ in counted] == counted


@pytest.mark.parametrize("wrong", [{"until": DEAD.since}, {"since": DEAD.since.replace(tzinfo=None)}])
def test_a_choice_that_makes_no_sense_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="window"):
        replace(DEAD, **wrong)


def test_a_choice_is_the_same_after_it_was_kept() -> None:
    choice = replace(DEAD, route="all", destination="blog", by=Clock.CREATED)
    assert read_choice(choice.as_json()) == choice


def test_an_unknown_destination_is_told(world: World) -> None:
    with pytest.raises(Unfit, match="there are blog, team"):
        replaying(world).start(replace(DEAD, destination="blg"), ADA)


def test_other_work_comes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_replaying, "ROOM", 4)
    for number in range(5):
        delivered(world, number, blog=StepState.DONE, team=StepState.DONE)
    bulk = replaying(world).start(SETTLED, ADA)
    assert [replaying(world).advance() for _ in range(3)] == [2, 0, 0], "two deliveries a story fill its room"
    end_all(world)
    assert [replaying(world).advance() for _ in range(2)] == [2, 0]
    end_all(world)
    assert replaying(world).advance() == 1
    assert now_of(world, bulk).state == BulkState.DONE
    assert set(repeats(world).values()) == {1}


def test_a_paused_destination_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_replaying, "ROOM", 2)
    for number in range(3):
        delivered(world, number, blog=StepState.DEAD)
    with world.relay.ledger.write() as tx:
        lanes.pause(tx, Lane(StepKind.DELIVER, "blog"), "ada", START)
    replaying(world).start(DEAD, ADA)
    assert [replaying(world).advance() for _ in range(2)] == [2, 1]


def test_a_cancelled_one_goes_no_further(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_replaying, "ROOM", 1)
    for number in range(3):
        delivered(world, number, blog=StepState.DEAD)
    bulk = replaying(world).start(DEAD, ADA)
    replaying(world).advance()
    assert replaying(world).cancel(bulk.id, ADA)
    assert not replaying(world).cancel(bulk.id, ADA)
    end_all(world)
    assert replaying(world).advance() == 0
    assert (now_of(world, bulk).state, sum(repeats(world).values())) == (BulkState.CANCELLED, 1)
    with world.relay.ledger.read() as tx:
        assert [deed.action for _, deed in people.deeds(tx, 2)] == [
            "bulk_replay_cancelled",
            "bulk_replay_started",
        ]


def test_a_form_that_is_sent_twice_begins_one(world: World) -> None:
    delivered(world, 1, blog=StepState.DEAD)
    bulk = replaying(world).start(DEAD, ADA)
    assert replaying(world).start(DEAD, ADA) == bulk
    replaying(world).advance()
    assert now_of(world, bulk).state == BulkState.DONE
    assert replaying(world).start(DEAD, ADA).id == bulk.id, "it came a moment late"
    world.clock.move(3600)
    assert replaying(world).start(DEAD, ADA).id != bulk.id, "a wish of its own"


def test_one_that_was_cancelled_may_begin_anew(world: World) -> None:
    bulk = replaying(world).start(DEAD, ADA)
    replaying(world).cancel(bulk.id, ADA)
    assert replaying(world).start(DEAD, ADA).id != bulk.id


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        ({"until": DEAD.until + timedelta(seconds=1)}, True),
        ({"wanted": Wanted.SETTLED}, True),
        ({"route": "all"}, True),
        ({"destination": "blog"}, True),
        ({"since": DEAD.until, "until": DEAD.until + timedelta(days=1)}, False),
        ({"wanted": Wanted.FAILED}, False),
    ],
)
def test_two_at_once_do_not_share_stories(world: World, other: dict[str, Any], meets: bool) -> None:
    delivered(world, 1, blog=StepState.DEAD)
    bulk = replaying(world).start(DEAD, ADA)
    if not meets:
        assert replaying(world).start(replace(DEAD, **other), ADA).id != bulk.id
        return
    with pytest.raises(Unfit, match=f"bulk replay {bulk.id} of ada is at some of these stories"):
        replaying(world).start(replace(DEAD, **other), ADA)


def test_of_two_that_begin_at_once_there_is_one(world: World) -> None:
    delivered(world, 1, blog=StepState.DEAD)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: replaying(world).start(DEAD, ADA).id, range(8)))
    assert len(set(made)) == 1


def test_two_schedulers_replay_each_story_once(world: World) -> None:
    for number in range(12):
        delivered(world, number, blog=StepState.DEAD)
    bulk = replaying(world).start(DEAD, ADA)
    errors: list[BaseException] = []

    def advance() -> None:
        try:
            replaying(world).advance()
        except BaseException as error:  # noqa: BLE001  shown by the assertion below
            errors.append(error)

    both = [threading.Thread(target=advance) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert errors == []
    assert set(repeats(world).values()) == {1}
    ended = now_of(world, bulk)
    assert (ended.state, ended.replayed, ended.skipped) == (BulkState.DONE, 12, 0)


def test_whoever_is_killed_at_any_statement_replays_none_twice_and_leaves_none_out(world: World) -> None:
    """A process dies within the transaction of a story, or between two; the next one goes on from the cursor."""
    for number in range(4):
        delivered(world, number, blog=StepState.DEAD)
    bulk = replaying(world).start(DEAD, ADA)
    killed = 0
    for statement in range(1, 200):
        pid = os.fork()
        if pid == 0:
            _die_at(world, statement)
        _, status = os.waitpid(pid, 0)
        assert status in (0, signal.SIGKILL), status
        assert max(repeats(world).values()) <= 1
        seen = now_of(world, bulk)
        with world.relay.ledger.read() as tx:
            noted = tx.execute(sa.select(sa.func.count()).select_from(bulk_replayed)).scalar_one()
        assert seen.replayed == noted == sum(repeats(world).values())
        if status == 0:
            break
        killed += 1
    assert killed > 10
    assert (seen.state, seen.replayed) == (BulkState.DONE, 4)


def _die_at(world: World, statement: int) -> None:
    """Kills this process before its so-and-so-many-th statement."""
    left = [statement]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sa.event.listen(world.relay.ledger.engine, "before_cursor_execute", count)
        replaying(world).advance()
        os._exit(0)
    finally:
        os._exit(1)


def test_a_story_that_finishes_anew_while_it_runs_is_replayed_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.bulk_replaying.MOST_AT_ONCE", 1)
    first, second = (delivered(world, number, blog=StepState.DONE) for number in (1, 2))
    bulk = replaying(world).start(SETTLED, ADA)
    replaying(world).advance()
    end_all(world)
    with world.relay.ledger.write() as tx:  # it stands before the cursor no more
        stories.change(tx, first, START, finished_at=START - timedelta(seconds=1))
    for _ in range(4):
        replaying(world).advance()
        end_all(world)
    assert now_of(world, bulk).state == BulkState.DONE
    assert [repeats(world)[key, "blog"] for key in (first, second)] == [1, 1]


def test_the_scheduler_works_it_off_and_passes_it_on(world: World) -> None:
    delivered(world, 1, blog=StepState.DEAD)
    bulk = replaying(world).start(DEAD, ADA)
    Scheduler(world.relay).once()
    assert now_of(world, bulk).state == BulkState.DONE
    assert len(world.queue.jobs) == 1


def test_a_story_that_can_t_be_replayed_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [delivered(world, number, blog=StepState.DEAD) for number in range(3)]
    replay_within = Replaying.replay_within

    def mistaken(self: Replaying, tx: sa.Connection, key: int, *more: Any) -> Any:
        replayed = replay_within(self, tx, key, *more)
        if key == keys[1]:
            tx.execute(sa.insert(bulk_replayed).values(bulk=0, story=0))  # breaks the transaction, too
        return replayed

    monkeypatch.setattr(Replaying, "replay_within", mistaken)
    bulk = replaying(world).start(DEAD, ADA)
    assert replaying(world).advance() == 3
    ended = now_of(world, bulk)
    assert (ended.state, ended.replayed, ended.skipped) == (BulkState.DONE, 2, 1)
    assert sorted(repeats(world).values()) == [0, 1, 1], "what the mistake had done is undone"
    with world.relay.ledger.read() as tx:
        (why,) = bulk_replays.reasons(tx, bulk.id)
    assert why.startswith("a mistake in Storyrelay: IntegrityError")


def test_a_ledger_that_is_down_leaves_no_story_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered(world, 1, blog=StepState.DEAD)
    bulk = replaying(world).start(DEAD, ADA)

    def locked(*_: Any) -> Any:
        raise sa.exc.OperationalError("", {}, Exception("locked"))

    with monkeypatch.context() as patched:
        patched.setattr(Replaying, "replay_within", locked)
        with pytest.raises(sa.exc.OperationalError):
            replaying(world).advance()
    assert now_of(world, bulk).seen == 0
    assert replaying(world).advance() == 1


def test_a_replay_of_one_story_is_what_it_was(world: World) -> None:
    key = delivered(world, 1, blog=StepState.DONE)
    relay = world.relay
    Replaying(relay.ledger, relay.settings, relay.configuration, relay.now).replay(key, by=ADA)
    assert repeats(world) == {(key, "blog"): 1}
