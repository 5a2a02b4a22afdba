import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from relayed import World, make_world

from service import disk_room
from service.disk_room import Room
from service.domain.notices import NoticeKind
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane, Opens
from service.ledger import lanes, notices, steps, stories, troubles
from service.ledger.stories import NewStory
from service.ledger.tables import steps as table
from service.settings import load_settings
from service.trouble_watching import TroubleWatch

TOML = """
[destinations.team]
connector = "archive"
path = "team"
[notices]
destinations = ["team"]
"""


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    world = make_world(tmp_path, database_url, TOML, {})
    yield world
    world.relay.ledger.close()


def look(world: World) -> None:
    TroubleWatch(world.relay).look()


def noted(world: World) -> list[tuple[str, str]]:
    with world.relay.ledger.read() as tx:
        return [(each.kind, each.text) for each in reversed(notices.recent(tx, 50))]


def tell_steps(world: World, state: StepState) -> None:
    world.people_hear(state)


def wait(world: World, seconds: float) -> None:
    with world.relay.ledger.write() as tx:
        steps.add(tx, [steps.NewStep(Lane(StepKind.DOWNLOAD), None)], world.clock())
    world.clock.move(seconds)


def all_done(world: World) -> None:
    with world.relay.ledger.write() as tx:
        tx.execute(
            sa.update(table).where(table.c.kind == "download").values(state=StepState.DONE, next_at=None)
        )


def test_work_that_waits_is_told_once_and_its_end_with_how_long_it_lasted(world: World) -> None:
    wait(world, 899)
    look(world)
    assert noted(world) == []
    world.clock.move(1)
    look(world)
    look(world)
    assert [kind for kind, _ in noted(world)] == [NoticeKind.QUEUE_OLD]
    assert "due for 15 minutes" in noted(world)[0][1]
    tell_steps(world, StepState.DONE)
    world.clock.move(3900)
    all_done(world)
    look(world)
    look(world)
    assert noted(world)[1:] == [(NoticeKind.RESOLVED, "It lasted 1 hour 5 minutes.")]
    wait(world, 901)
    look(world)
    assert [kind for kind, _ in noted(world)][2:] == [NoticeKind.QUEUE_OLD], "the same may come again"


def test_an_end_is_not_told_to_who_never_heard_of_the_beginning(world: World) -> None:
    wait(world, 901)
    look(world)
    all_done(world)
    look(world)
    assert [kind for kind, _ in noted(world)] == [NoticeKind.QUEUE_OLD], "still listed"
    with world.relay.ledger.read() as tx:
        states = tx.execute(sa.select(table.c.state).where(table.c.kind == "notify")).scalars().all()
        assert troubles.open_ones(tx) == []
    assert states == [], "nor of the beginning any more"


def test_two_that_watch_at_once_tell_it_once(world: World) -> None:
    wait(world, 901)
    met = threading.Barrier(4)

    def watch() -> None:
        met.wait()
        look(world)

    threads = [threading.Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(noted(world)) == 1


def troubling(world: World) -> list[tuple[str, str]]:
    with world.relay.ledger.read() as tx:
        return [(each.kind, each.about) for each in troubles.open_ones(tx)]


@pytest.mark.parametrize("why", ["paused", "asked for a pause"])
def test_work_that_waits_for_good_reason_is_no_news(world: World, why: str) -> None:
    wait(world, 1800)
    lane, now = Lane(StepKind.DOWNLOAD), world.clock()
    with world.relay.ledger.write() as tx:
        if why == "paused":
            assert lanes.open_circuit(tx, lane, Opens("failing", "no"), now, first_delay=9, fingerprint=None)
        else:
            lanes.hold_until(tx, lane, now + timedelta(seconds=60))
    look(world)
    assert troubling(world) == []
    world.clock.move(61)
    look(world)
    assert troubling(world) == ([] if why == "paused" else [("queue_old", "")])
    with world.relay.ledger.write() as tx:
        lanes.close_circuit(tx, lane, now)
    look(world)
    assert troubling(world) == [("queue_old", "")]


def disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage: Callable[[Path], Usage] = lambda _: Usage(2**40, 2**40 - free, free)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)


def test_a_disk_that_fills_up_is_told_once_and_that_it_has_room_again(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, sqlite_url, TOML, {})
    (world.home / "var" / "videos").mkdir(parents=True, exist_ok=True)
    disk(monkeypatch, 2**30)
    look(world)
    tell_steps(world, StepState.DONE)
    assert troubling(world) == [("disk_low", "video store")], "all folders are on one disk: one text"
    assert "1.0 GiB left of the 2.0 GiB that the video store, the ledger, var/ may need" in noted(world)[0][1]
    disk(monkeypatch, 2**31 + 1)
    look(world)
    assert troubling(world) == [("disk_low", "video store")], "only just enough: it would come and go"
    disk(monkeypatch, 2**35)
    look(world)
    assert [kind for kind, _ in noted(world)] == [NoticeKind.DISK_LOW, NoticeKind.RESOLVED]
    world.relay.ledger.close()


def test_each_disk_is_told_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store, ledger = Path("/disk/videos"), Path("/disk/ledger")
    seen = [Room(("video store",), (store,), 2**40, 2**31), Room(("ledger", "var"), (ledger,), 2**29, 2**30)]
    monkeypatch.setattr(disk_room, "rooms", lambda _settings: seen)
    look(world)
    assert troubling(world) == [("disk_low", "ledger")]
    assert noted(world)[0][1].startswith("/disk/ledger: 0.5 GiB left of the 1.0 GiB")
    seen[:] = [Room(("video store", "ledger"), (store, ledger), 2**29, 2**30)]
    look(world)
    assert troubling(world) == [("disk_low", "video store")]


def test_the_folders_are_found_as_they_are_set(tmp_path: Path) -> None:
    for name in ("var", "ledger", "videos"):
        (tmp_path / name).mkdir()
    env = {"STORYRELAY_HOME": str(tmp_path), "VIDEO_STORE": str(tmp_path / "videos")}
    env["DATABASE_URL"] = f"sqlite:///{tmp_path}/ledger/relay.sqlite3"
    (room,) = disk_room.rooms(load_settings({**env, "STORYRELAY_LEAST_FREE_BYTES": "3GiB"}))
    assert room.names == ("video store", "ledger", "var")
    assert room.folders == tuple(tmp_path / name for name in ("videos", "ledger", "var"))
    assert room.wanted == 3 * 2**30
    far = {
        **env,
        "VIDEO_STORE": "s3://bucket/videos",
        "DATABASE_URL": "postgresql+psycopg://relay@host/relay",
    }
    (room,) = disk_room.rooms(load_settings(far))
    assert room.names == ("var",)


def spend(world: World, price: float) -> None:
    now = world.clock()
    with world.relay.ledger.write() as tx:
        key = stories.add(tx, NewStory(f"paid-{now}", Origin.SUBMITTED, StoryState.SETTLED), now)
        assert key is not None
        stories.change(tx, key, now, used_credits=price)
    world.clock.move(61)


def test_credits_are_told_at_a_share_of_the_months_budget_and_when_all_are_used(
    tmp_path: Path, database_url: str
) -> None:
    world = make_world(tmp_path, database_url, TOML, {"STORYRELAY_CREDITS_BUDGET": "2000"})
    spend(world, 1599)
    look(world)
    assert troubling(world) == []
    spend(world, 41)
    look(world)
    assert troubling(world) == [("credits_low", "level")]
    assert "1,640 of the 2,000 credits for March 2026 are used, 82%, about US$16.40." in noted(world)[0][1]
    tell_steps(world, StepState.DONE)
    spend(world, 360)
    look(world)
    assert troubling(world) == [("credits_low", "budget")]
    assert [kind for kind, _ in noted(world)] == [NoticeKind.CREDITS_LOW] * 2, "the second takes its place"
    tell_steps(world, StepState.DONE)
    world.clock.move(31 * 86400)
    look(world)
    assert troubling(world) == [], "another month"
    assert [kind for kind, _ in noted(world)][2:] == [NoticeKind.RESOLVED]
    world.relay.ledger.close()


def test_without_a_budget_credits_are_not_watched(world: World) -> None:
    spend(world, 1e9)
    look(world)
    assert troubling(world) == []
