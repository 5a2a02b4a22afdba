import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from relayed import World, make_world

from service.domain.notices import NoticeKind
from service.domain.states import StepKind, StepState
from service.domain.steps import Lane
from service.ledger import notices, steps, troubles
from service.ledger.tables import steps as table
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
    with world.relay.ledger.write() as tx:
        tx.execute(sa.update(table).where(table.c.kind == "notify").values(state=state, next_at=None))


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
    assert states == [StepState.CANCELLED]


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


def disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage: Callable[[Path], Usage] = lambda _: Usage(2**40, 2**40 - free, free)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)


def test_a_disk_that_fills_up_is_told_and_that_it_has_room_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.home / "var" / "videos").mkdir(parents=True, exist_ok=True)
    disk(monkeypatch, 2**30)
    look(world)
    tell_steps(world, StepState.DONE)
    assert [kind for kind, _ in noted(world)] == [NoticeKind.DISK_LOW]
    assert "1.0 GiB left" in noted(world)[0][1]
    disk(monkeypatch, 2**35)
    look(world)
    assert [kind for kind, _ in noted(world)] == [NoticeKind.DISK_LOW, NoticeKind.RESOLVED]
