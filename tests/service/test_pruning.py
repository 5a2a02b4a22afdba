import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from relayed import World, make_world

from service import scheduling
from service.domain.bulk_replays import Choice, Wanted
from service.domain.notices import Audience, NoticeKind, Trouble
from service.domain.states import Origin, Outcome, StepKind, StepState, StoryState, Verdict
from service.domain.steps import Lane
from service.ledger import (
    bulk_replays,
    forgetting,
    notices,
    people,
    pruning_places,
    receipts,
    reports,
    send_tests,
    steps,
    stories,
    telling_steps,
    troubles,
)
from service.ledger.bulk_choosing import Total
from service.ledger.bulk_replays import BulkState
from service.ledger.people import Deed
from service.ledger.pruning_places import Place
from service.ledger.receipts import Receipt
from service.ledger.retention_tables import discarded_files
from service.ledger.stories import NewStory, VideoRow
from service.ledger.tables import attempts, metadata
from service.ledger.tables import receipts as receipts_table
from service.ledger.tables import steps as steps_table
from service.ledger.tables import stories as stories_table
from service.pruning import KINDS, Pruning, StillRunning
from service.replaying import NothingToReplay, Replaying
from service.scheduling import Scheduler
from service.story_api import parse_story
from service.video_store import StoreError

TOML = """
[destinations.shelf]
connector = "archive"
path = "published"
"""
ALONE = {"send_tests", "bulk_replays", "troubles"}
"""What belongs to no story, and has no setting of its own."""

ALL = {f"STORYRELAY_KEEP_{kind.upper()}_DAYS": "10" for kind in KINDS if kind not in ALONE}
FILES = ("video.mp4", "poster.jpg", "captions.vtt")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.fixture(autouse=True)
def _a_pass_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine may not get through in one pass, and goes on in the next: these tests are about whole ones."""
    monkeypatch.setattr(scheduling, "PRUNE_SECONDS", 600)


@pytest.fixture
def make(tmp_path: Path, database_url: str) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**env: str) -> World:
        made.append(make_world(tmp_path, database_url, TOML, env))
        return made[-1]

    yield make
    for world in made:
        world.relay.ledger.close()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make(**ALL)


def story(world: World, name: str, state: StoryState = StoryState.SETTLED, delivery: str = "done") -> int:
    """A story with all that can belong to one."""
    now = world.clock()
    with world.relay.ledger.write() as tx:
        key = stories.add(tx, NewStory(name, Origin.SUBMITTED, state, story_id=name), now)
        assert key is not None
        snapshot = {"id": name, "status": "success", "idea": "secret idea", "video_url": "https://x/v.mp4"}
        stories.change(tx, key, now, revision=1, snapshot=snapshot, settled_at=now)
        video = VideoRow(
            key, 1, f"{name}/r1", "ab", 9, 1.0, 1, 1, "h264", None, has_poster=True, has_captions=True
        )
        stories.add_video(tx, video, now)
        receipt = Receipt(
            "submission", Verdict.ACCEPTED, b'{"id": 1}', "application/json", "", now, story=key
        )
        receipts.add(tx, [receipt])
        notices.add(
            tx,
            Trouble(f"k/{name}", NoticeKind.STORY_FAILED, "t", "x", story=key),
            Audience(("shelf",), every=None),
            now,
        )
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "shelf"), key)], now)
        tx.execute(
            sa.update(steps_table)
            .where(sa.or_(steps_table.c.story == key, steps_table.c.id.in_(telling_steps.of_story(key))))
            .values(state="done", next_at=None, ended_at=now)
        )
        delivers = sa.and_(steps_table.c.story == key, steps_table.c.kind == "deliver")
        tx.execute(sa.update(steps_table).where(delivers).values(state=delivery))
        step = tx.execute(sa.select(steps_table.c.id).where(delivers)).scalar_one()
        tx.execute(
            sa.insert(attempts).values(
                step=step, generation=1, kind="deliver", destination="shelf", outcome=Outcome.DONE,
                started_at=now, ended_at=now,
            )
        )  # fmt: skip
        people.note(tx, Deed(now, "ann", "replay", about=name))
    store = world.relay.video_store()
    for each in FILES:
        store.put_bytes(f"{name}/r1/{each}", b"film", content_type="video/mp4")
    return key


def files(world: World, name: str, folder: str = "r1") -> list[str]:
    return [each for each in FILES if world.relay.video_store().stat(f"{name}/{folder}/{each}") is not None]


def rows(world: World) -> dict[str, int]:
    """How many rows each table has that belongs to stories."""
    names = ("stories", "steps", "attempts", "receipts", "notices", "videos", "audit")
    with world.relay.ledger.read() as tx:
        return {
            name: tx.execute(sa.select(sa.func.count()).select_from(metadata.tables[name])).scalar_one()
            for name in names
        }


def read(world: World, table: sa.Table, column: str) -> list[object]:
    with world.relay.ledger.read() as tx:
        return list(tx.execute(sa.select(table.c[column]).order_by(table.c.id)).scalars())


def test_what_is_old_goes_and_what_is_young_stays(world: World) -> None:
    story(world, "old-story")
    world.clock.move(11 * 86400)
    story(world, "young-story")
    wanted = world.relay.pruning.run(dry=True)
    assert wanted == {kind: int(kind not in ALONE) for kind in KINDS}
    assert rows(world)["stories"] == 2, "a dry run counts only"
    found = world.relay.pruning.run()
    # a story takes what belongs to it along, which then is not there to be counted
    assert (found["stories"], found["videos"], found["bodies"]) == (1, 1, 1)
    assert rows(world) == {
        "stories": 1, "steps": 2, "attempts": 1, "receipts": 1, "notices": 1, "videos": 1, "audit": 1,
    }  # fmt: skip
    assert (files(world, "old-story"), files(world, "young-story")) == ([], list(FILES))
    assert read(world, receipts_table, "body") == [b'{"id": 1}']
    assert not any(world.relay.pruning.run().values())


@pytest.mark.parametrize(
    ("state", "delivery"),
    [
        (StoryState.OPEN, "done"),
        (StoryState.UNCONFIRMED, "done"),
        (StoryState.SETTLING, "pending"),
        (StoryState.SETTLED, "pending"),
        (StoryState.SETTLED, "running"),
    ],
)
def test_what_is_unsettled_stays_whole(world: World, state: StoryState, delivery: str) -> None:
    story(world, "story-1", state, delivery)
    world.clock.move(3650 * 86400)
    found = world.relay.pruning.run()
    assert {kind for kind, count in found.items() if count} <= {"audit", "attempts"}
    assert (rows(world)["stories"], rows(world)["receipts"]) == (1, 1)
    assert read(world, receipts_table, "body") == [b'{"id": 1}']
    assert files(world, "story-1") == list(FILES)


def test_what_belongs_to_no_story_goes_when_it_is_over_and_old(world: World) -> None:
    now, choice = world.clock(), Choice(Wanted.SETTLED, world.clock() - timedelta(days=1), world.clock())
    with world.relay.ledger.write() as tx:
        for number, ended in enumerate((True, False)):
            bulk = bulk_replays.add(tx, "ada", choice, Total(0, exact=True), now)
            trouble = Trouble("", NoticeKind.DISK_LOW, "t", "x")
            troubles.begin(tx, trouble, None, now, str(number))
            send_tests.add(tx, "shelf", "ada", now)
            if ended:
                bulk_replays.end(tx, bulk.id, BulkState.DONE, now)
                troubles.end(tx, NoticeKind.DISK_LOW, now, str(number))
    world.clock.move(9 * 86400)
    assert not any(world.relay.pruning.run().values())
    world.clock.move(2 * 86400)
    wanted = {**dict.fromkeys(KINDS, 0), "send_tests": 2, "bulk_replays": 1, "troubles": 1}
    assert world.relay.pruning.run(dry=True) == wanted
    assert world.relay.pruning.run() == wanted
    assert not any(world.relay.pruning.run().values())


def test_each_kind_has_an_age_of_its_own(make: Callable[..., World]) -> None:
    world = make(
        STORYRELAY_KEEP_BODIES_DAYS="1",
        STORYRELAY_KEEP_SNAPSHOTS_DAYS="2",
        STORYRELAY_KEEP_VIDEOS_DAYS="3",
        STORYRELAY_KEEP_STORIES_DAYS="4",
        STORYRELAY_KEEP_ATTEMPTS_DAYS="off",
    )
    story(world, "story-1")
    gone = []
    for _ in range(5):
        world.clock.move(86401)
        gone.append({kind for kind, count in world.relay.pruning.run().items() if count})
    assert gone == [{"bodies"}, {"snapshots"}, {"videos"}, {"stories"}, set()]


def test_by_default_videos_and_stories_are_kept(make: Callable[..., World]) -> None:
    world = make()
    story(world, "story-1")
    world.clock.move(5 * 365 * 86400)
    world.relay.pruning.run()
    assert (rows(world)["stories"], files(world, "story-1")) == (1, list(FILES))


def test_a_pruned_snapshot_keeps_what_a_withdrawal_needs(make: Callable[..., World]) -> None:
    world = make(STORYRELAY_KEEP_SNAPSHOTS_DAYS="1")
    story(world, "story-1")
    world.clock.move(86401)
    assert world.relay.pruning.run()["snapshots"] == 1
    row = world.story("story-1")
    assert (row.snapshot["id"], row.snapshot["status"]) == ("story-1", "success")
    assert "secret idea" not in str(row.snapshot)
    assert world.relay.pruning.run()["snapshots"] == 0, "once is enough"


def test_a_pruned_video_is_said_to_be_gone_and_can_be_had_again(make: Callable[..., World]) -> None:
    world = make(STORYRELAY_KEEP_VIDEOS_DAYS="1")
    key = story(world, "story-1")
    world.clock.move(86401)
    world.relay.pruning.run()
    relay = world.relay
    with relay.ledger.write() as tx:
        video = stories.read_video(tx, key, 1)
        assert video is not None
        assert video.removed_at == world.clock()
        prefix = forgetting.free_prefix(tx, "story-1/r1")
        assert prefix == "story-1/r1-2", "what deletes slowly must not hit the new file"
    replaying = Replaying(relay.ledger, relay.settings, relay.configuration, relay.now)
    with pytest.raises(NothingToReplay, match="pruned"):
        replaying.replay(key, ["shelf"])
    with relay.ledger.write() as tx:
        stories.add_video(tx, dataclasses.replace(video, prefix=prefix, removed_at=None), world.clock())
        again = stories.read_video(tx, key, 1)
    assert again is not None
    assert (again.prefix, again.removed_at) == (prefix, None)


@pytest.mark.parametrize("kind", ["videos", "stories"])
@pytest.mark.parametrize("deleted", range(4))
def test_a_kill_between_any_two_files_leaves_no_row_that_points_to_a_lost_one(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch, kind: str, deleted: int
) -> None:
    world = make(**{f"STORYRELAY_KEEP_{kind.upper()}_DAYS": "1"})
    key = story(world, "story-1")
    world.clock.move(86401)
    store = world.relay.video_store()
    left = iter(range(deleted))
    delete = store.delete

    def dies(name: str) -> None:
        if next(left, None) is None:
            raise Killed
        delete(name)

    with monkeypatch.context() as patched:
        patched.setattr(store, "delete", dies)
        if deleted == len(FILES):
            patched.setattr(forgetting, "cleared", lambda *_: dies(""))
        with pytest.raises(Killed):
            world.relay.pruning.run()
    with world.relay.ledger.read() as tx:
        video = stories.read_video(tx, key, 1)
        assert video is None or video.removed_at is not None
        assert forgetting.discarded(tx, 5) == ["story-1/r1"]
    assert len(files(world, "story-1")) == len(FILES) - deleted
    world.relay.pruning.run()
    assert files(world, "story-1") == [], "the next run goes on where the killed one was"


def test_a_kill_before_the_commit_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story(world, "story-1")
    world.clock.move(11 * 86400)

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(forgetting, "remove_videos", dies)
        with pytest.raises(Killed):
            world.relay.pruning.run()
    assert files(world, "story-1") == list(FILES)


def test_a_store_that_is_down_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story(world, "story-1")
    world.clock.move(11 * 86400)
    store = world.relay.video_store()

    def down(_key: str) -> None:
        raise StoreError("down")

    with monkeypatch.context() as patched:
        patched.setattr(store, "delete", down)
        Scheduler(world.relay).once()
    assert (rows(world)["stories"], len(files(world, "story-1"))) == (0, 3)
    world.clock.move(2 * 86400)
    Scheduler(world.relay).once()
    assert files(world, "story-1") == []


def test_the_scheduler_prunes_once_a_day(world: World) -> None:
    Scheduler(world.relay).once()
    story(world, "story-1")
    world.clock.move(11 * 86400)
    Scheduler(world.relay).once()
    assert rows(world)["stories"] == 0
    story(world, "story-2")
    with world.relay.ledger.write() as tx:
        tx.execute(sa.update(stories_table).values(updated_at=world.clock() - timedelta(days=99)))
    world.clock.move(86000)
    Scheduler(world.relay).once()
    assert rows(world)["stories"] == 1
    world.clock.move(500)
    Scheduler(world.relay).once()
    assert rows(world)["stories"] == 0


def test_a_story_can_be_forgotten_at_any_age(world: World) -> None:
    key = story(world, "story-1", StoryState.SETTLING, StepState.PENDING)
    other = story(world, "story-2")
    gone = world.relay.pruning.forget(key)
    assert (gone.story.name, gone.prefixes, gone.receipts) == ("story-1", ["story-1/r1"], 1)
    assert (files(world, "story-1"), files(world, "story-2")) == ([], list(FILES))
    with world.relay.ledger.read() as tx:
        assert stories.read(tx, key) is None
        assert stories.read(tx, other) is not None
        assert len(receipts.of_story(tx, other)) == 1


def test_a_story_is_not_forgotten_under_a_workers_hands(world: World) -> None:
    key = story(world, "story-1", StoryState.SETTLING, StepState.RUNNING)
    with pytest.raises(StillRunning, match="story-1"):
        world.relay.pruning.forget(key)
    assert rows(world)["stories"] == 1


def test_a_story_that_is_replayed_meanwhile_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = story(world, "story-1")
    world.clock.move(11 * 86400)
    page_of_stories = forgetting.page_of_stories

    def replayed(tx: sa.Connection, *more: object, **named: object) -> object:
        found = page_of_stories(tx, *more, **named)  # type: ignore[arg-type]
        tx.rollback()
        with world.relay.ledger.write() as other:
            stories.change(other, key, world.clock(), state=StoryState.SETTLING)
        return found

    pruning = Pruning(world.relay.ledger, world.relay.settings, world.relay.video_store, world.clock)
    monkeypatch.setattr("service.pruning._PAGES", {**dict.fromkeys(KINDS, replayed)})
    assert [pruning._prune("stories", dry=False), pruning._prune("videos", dry=False)] == [0, 0]
    assert rows(world)["stories"] == 1


def test_many_are_pruned_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.pruning.BATCH", 2)
    for number in range(5):
        story(world, f"story-{number}")
    world.clock.move(11 * 86400)
    story(world, "young")
    found = world.relay.pruning.run()
    assert (found["bodies"], found["snapshots"], found["stories"], found["audit"]) == (5, 5, 5, 5)
    assert rows(world)["stories"] == 1


def advance(world: World, enough: Callable[[], bool] = lambda: True) -> dict[str, int]:
    return world.relay.pruning.advance(enough)


def test_the_days_pruning_goes_on_where_it_stopped(make: Callable[..., World]) -> None:
    world = make(STORYRELAY_KEEP_STORIES_DAYS="10", STORYRELAY_KEEP_AUDIT_DAYS="10")
    for number in range(4):
        story(world, f"story-{number}")
    world.clock.move(11 * 86400)
    left = []
    with world.relay.ledger.read() as tx:
        assert reports.last_beat(tx, "prune") is None
    for _ in range(40):
        advance(world)  # each time only one step of it: a pass has no time for more
        left.append(rows(world)["stories"])
        with world.relay.ledger.read() as tx:
            through = reports.last_beat(tx, "prune")
        if through is not None:
            break
    assert through == world.clock(), "written once it is through"
    assert [left.count(number) > 0 for number in range(5)] == [True, True, True, True, True]
    assert left == sorted(left, reverse=True)
    assert rows(world)["audit"] == 0
    assert not any(advance(world, lambda: False).values()), "once a day"


def test_a_killed_pruning_is_not_put_off_to_the_next_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story(world, "story-1")
    world.clock.move(11 * 86400)

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(forgetting, "forget_story", dies)
        with pytest.raises(Killed):
            Scheduler(world.relay).once()
    assert rows(world)["stories"] == 1
    Scheduler(world.relay).once()
    assert rows(world)["stories"] == 0


def test_of_two_who_prune_at_once_one_moves_the_place(world: World) -> None:
    start, here, there = Place(), Place("videos", 7), Place("videos", 9)
    with world.relay.ledger.write() as tx:
        assert pruning_places.move(tx, start, here)
        assert not pruning_places.move(tx, start, there)
        assert not pruning_places.through(tx, start, world.clock())
        assert pruning_places.due(tx, world.clock(), timedelta(days=1)) == here
        assert pruning_places.through(tx, here, world.clock())
        assert pruning_places.due(tx, world.clock(), timedelta(days=1)) is None


def test_however_many_files_are_discarded_all_are_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.pruning.BATCH", 2)
    with world.relay.ledger.write() as tx:
        wanted = [{"prefix": f"p{number}", "discarded_at": world.clock()} for number in range(7)]
        tx.execute(sa.insert(discarded_files), wanted)
    answers = iter([False, False, False, True])
    world.relay.pruning.clear_files(lambda: next(answers))
    with world.relay.ledger.read() as tx:
        assert len(forgetting.discarded(tx, 9)) == 5
    world.relay.pruning.clear_files(lambda: False)
    with world.relay.ledger.read() as tx:
        assert forgetting.discarded(tx, 9) == []


def test_a_story_that_was_asked_for_again_has_its_answer_cut_again(make: Callable[..., World]) -> None:
    world = make(STORYRELAY_KEEP_SNAPSHOTS_DAYS="1")
    key = story(world, "story-1")
    world.clock.move(86401)
    assert world.relay.pruning.run()["snapshots"] == 1
    with world.relay.ledger.write() as tx:
        answer = parse_story({"id": "story-1", "status": "success", "idea": "secret idea"})
        stories.record_answer(tx, stories.lock(tx, key), answer, "success", world.clock())
    assert "secret idea" in str(world.story("story-1").snapshot)
    world.clock.move(86401)
    assert world.relay.pruning.run()["snapshots"] == 1
    assert "secret idea" not in str(world.story("story-1").snapshot)
