"""How people are told: at once, then gathered, in their hours, and by the fallback where another can't be reached."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from killed import after, die, killed_at
from relayed import World, make_world

from handlers.connectors.archive import ArchiveConnector
from service.domain.delivery import DeliveryFailed
from service.domain.notices import NoticeKind, Trouble
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.late_notices import pass_on_late
from service.ledger import lanes, notices, tellings, troubles
from service.ledger.tables import steps as table

TOML = """
[destinations.team]
connector = "archive"
path = "{team}"
[destinations.desk]
connector = "archive"
path = "{desk}"
[notices]
destinations = ["team"]
"""
HOUR = 3600


@pytest.fixture
def make(tmp_path: Path, database_url: str) -> Iterator[Callable[..., World]]:
    (tmp_path / "not-a-folder").write_text("")
    made: list[World] = []

    def make(more: str = "", team: str = "team", desk: str = "desk", toml: str = TOML) -> World:
        env = {"STORYRELAY_RETRY_SCHEDULE": "60", "STORYRELAY_CIRCUIT_TRIES": "1000"}
        text = toml.replace("{team}", team).replace("{desk}", desk) + more
        made.append(make_world(tmp_path, database_url, text, env))
        return made[-1]

    yield make
    for world in made:
        world.relay.ledger.close()


def note(world: World, number: int, kind: NoticeKind = NoticeKind.STORY_FAILED, **values: Any) -> None:
    trouble = Trouble(
        f"{kind}/{number}", kind, f"Failed: number {number}", f"because {number}\nand so", **values
    )
    with world.relay.ledger.write() as tx:
        notices.add(tx, trouble, world.relay.configuration.notices, world.clock())


def told(world: World, name: str = "team") -> list[dict[str, Any]]:
    """What the destination was told, in order."""
    paths = sorted((world.home / name / "notices").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text()) for path in paths]


def titles(world: World, name: str = "team") -> list[str]:
    return [each["title"] for each in told(world, name)]


def run_until(world: World, seconds: float) -> None:
    """Lets the time pass in minutes."""
    for _ in range(int(seconds // 60)):
        world.clock.move(60)
        world.run()


def test_the_first_is_told_at_once_and_what_follows_within_the_hour_together(
    make: Callable[..., World],
) -> None:
    world = make()
    note(world, 1)
    world.run()
    assert titles(world) == ["Failed: number 1"]
    assert told(world)[0]["text"] == "because 1\nand so"
    for number in range(2, 9):
        world.clock.move(60)
        note(world, number)
        world.run()
    note(world, 1, NoticeKind.DISK_LOW)
    world.run()
    assert len(told(world)) == 2, "another kind is told at once"
    run_until(world, HOUR - 8 * 60)
    assert len(told(world)) == 2
    run_until(world, 120)
    gathered = told(world)[-1]
    assert gathered["title"] == "7 stories failed since 2026-03-01 12:01 UTC"
    assert gathered["text"].splitlines() == [
        *(f"• Failed: number {number} – because {number}" for number in (8, 7, 6, 5, 4)),
        "… and 2 more: https://relay.example/notices",
    ]
    run_until(world, 2 * HOUR)
    assert len(told(world)) == 3


def test_each_is_told_by_itself_where_no_hour_is_wanted(make: Callable[..., World]) -> None:
    world = make('every = "0"\n')
    for number in range(3):
        note(world, number)
    world.run()
    assert sorted(titles(world)) == [f"Failed: number {number}" for number in range(3)]


def test_what_waits_for_a_paused_destination_is_told_in_one_message(make: Callable[..., World]) -> None:
    world = make()
    lane = Lane(StepKind.NOTIFY, "team")
    with world.relay.ledger.write() as tx:
        lanes.pause(tx, lane, "ann", world.clock())
    for number in range(3):
        note(world, number)
        world.run()
    assert told(world) == []
    with world.relay.ledger.write() as tx:
        lanes.resume(tx, lane, world.clock())
    world.run()
    assert titles(world) == ["3 stories failed since 2026-03-01 12:00 UTC"]


def test_a_destination_hears_what_it_wants_to_hear(make: Callable[..., World]) -> None:
    world = make('[notices.only]\nteam = ["disk_low"]\n')
    note(world, 1)
    note(world, 2, NoticeKind.DISK_LOW)
    world.run()
    assert [each["kind"] for each in told(world)] == ["disk_low"]


QUIET = (
    '[notices.quiet]\nfrom = "22:00"\nto = "07:00"\ntimezone = "Europe/Berlin"\nexcept = ["key_refused"]\n'
)


def test_the_night_is_quiet_but_for_what_is_excepted(make: Callable[..., World]) -> None:
    world = make(QUIET)
    world.clock.move(9.5 * HOUR)  # 22:30 in Berlin
    for number in range(2):
        note(world, number)
    note(world, 3, NoticeKind.KEY_REFUSED)
    world.run()
    assert [each["kind"] for each in told(world)] == ["key_refused"]
    run_until(world, 8.4 * HOUR)
    assert len(told(world)) == 1
    run_until(world, 0.2 * HOUR)
    assert titles(world)[1:] == ["2 stories failed since 2026-03-01 21:30 UTC"]


def test_a_retry_is_held_by_the_night_as_well(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(QUIET)
    world.clock.move(9 * HOUR - 30)
    note(world, 1)
    with monkeypatch.context() as away:
        away.setattr(ArchiveConnector, "notify", refuse)
        world.run()
    run_until(world, 8.9 * HOUR)
    assert told(world) == []
    run_until(world, 0.2 * HOUR)
    assert titles(world) == ["Failed: number 1"]


def refuse(*_: object) -> None:
    raise DeliveryFailed("away for a while")


def begin(world: World, kind: NoticeKind = NoticeKind.QUEUE_OLD) -> None:
    with world.relay.ledger.write() as tx:
        troubles.begin(
            tx, Trouble("", kind, "It waits", "long"), world.relay.configuration.notices, world.clock()
        )


def end(world: World, kind: NoticeKind = NoticeKind.QUEUE_OLD) -> None:
    with world.relay.ledger.write() as tx:
        troubles.end(tx, kind, world.clock())


def test_an_end_is_told_at_once_and_what_comes_and_goes_not_at_all(make: Callable[..., World]) -> None:
    world = make()
    begin(world)
    world.run()
    world.clock.move(120)
    end(world)
    world.run()
    assert titles(world) == ["It waits", "Over: It waits"]
    for _ in range(3):  # within the hour
        begin(world)
        world.run()
        world.clock.move(60)
        end(world)
        world.run()
    run_until(world, 2 * HOUR)
    assert len(told(world)) == 2, "nobody heard of its beginnings, so nobody hears of its ends"


def test_what_is_over_leaves_a_message_in_which_others_wait(make: Callable[..., World]) -> None:
    world = make()
    begin(world, NoticeKind.DISK_LOW)
    world.run()
    end(world, NoticeKind.DISK_LOW)
    with world.relay.ledger.write() as tx:
        for about in ("var", "ledger"):
            trouble = Trouble("", NoticeKind.DISK_LOW, f"Full: {about}", "")
            troubles.begin(tx, trouble, world.relay.configuration.notices, world.clock(), about)
        troubles.end(tx, NoticeKind.DISK_LOW, world.clock(), "var")
    run_until(world, 1.1 * HOUR)
    assert titles(world) == ["It waits", "Over: It waits", "Full: ledger"]


def states(world: World) -> dict[str, str]:
    with world.relay.ledger.read() as tx:
        rows = tx.execute(sa.select(table.c.destination, table.c.state).order_by(table.c.id)).all()
    return {row.destination: row.state for row in rows}


FALLBACK = 'fallback = "desk"\n'


@pytest.mark.parametrize("desk", ["desk", "not-a-folder/desk"])
def test_the_fallback_is_told_once_and_has_none_itself(make: Callable[..., World], desk: str) -> None:
    world = make(FALLBACK, team="not-a-folder/team", desk=desk)
    note(world, 1)
    run_until(world, HOUR)
    for _ in range(3):
        assert pass_on_late(world.relay) == 0, "a telling that ended is not late"
    assert states(world) == {"team": "dead", "desk": "done" if desk == "desk" else "dead"}
    if desk == "desk":
        assert [each["text"] for each in told(world, "desk")] == [
            "because 1\nand so\n(team could not be told.)"
        ]


@pytest.mark.parametrize("more", ["", 'fallback = "team"\n', FALLBACK])
def test_what_nobody_could_be_told_mutes_nothing_that_comes_later(
    make: Callable[..., World], more: str
) -> None:
    world = make(more)
    note(world, 1)
    with world.relay.ledger.write() as tx:  # as after workers that were killed at each attempt
        tx.execute(sa.update(table).values(attempts=50))
    world.run()
    note(world, 2)
    run_until(world, 2 * HOUR)
    assert titles(world) == ["Failed: number 2"]


def test_the_fallback_is_told_soon_what_another_is_not_told_yet(make: Callable[..., World]) -> None:
    world = make(FALLBACK)
    lane = Lane(StepKind.NOTIFY, "team")
    with world.relay.ledger.write() as tx:
        lanes.pause(tx, lane, "ann", world.clock())
    note(world, 1)
    world.clock.move(14 * 60)
    assert pass_on_late(world.relay) == 0
    world.clock.move(2 * 60)
    assert [pass_on_late(world.relay) for _ in range(2)] == [1, 0]
    world.run()
    assert [each["text"] for each in told(world, "desk")] == [
        "because 1\nand so\n(team could not be told yet.)"
    ]
    note(world, 2)
    with world.relay.ledger.write() as tx:
        lanes.resume(tx, lane, world.clock())
    run_until(world, 2 * HOUR)
    assert sorted(titles(world)) == ["Failed: number 1", "Failed: number 2"]
    assert len(told(world, "desk")) == 1


def test_what_is_held_on_purpose_is_not_late(make: Callable[..., World]) -> None:
    world = make(FALLBACK + QUIET)
    note(world, 1)
    world.run()
    world.clock.move(60)
    note(world, 2)
    world.run()
    world.clock.move(30 * 60)
    assert pass_on_late(world.relay) == 0, "it is to be told with what comes within the hour"
    world.clock.move(9 * HOUR)
    note(world, 3, NoticeKind.DISK_LOW)
    world.run()
    world.clock.move(HOUR)
    assert pass_on_late(world.relay) == 0, "it is night"


POINTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "before it is frozen": (tellings, "freeze", die),
    "within the freezing": (tellings, "freeze", after(tellings.freeze)),
    "frozen, not told": (ArchiveConnector, "notify", die),
    "told, not recorded": (ArchiveConnector, "notify", after(ArchiveConnector.notify)),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_while_people_are_told_loses_none_and_tells_none_twice(
    tmp_path: Path, sqlite_url: str, point: str
) -> None:
    world = make_world(tmp_path, sqlite_url, TOML.replace("{team}", "team").replace("{desk}", "desk"), {})
    for number in range(3):
        note(world, number)
    killed_at(*POINTS[point], world.run)
    note(world, 9)
    run_until(world, 3 * HOUR)
    heard = "\n".join(f"{each['title']}\n{each['text']}" for each in told(world))
    assert [heard.count(f"number {number}") for number in (0, 1, 2, 9)] == [1] * 4
    assert len(told(world)) == (1 if point in ("before it is frozen", "within the freezing") else 2)
    world.relay.ledger.close()


def test_a_kill_while_a_notice_is_passed_on_passes_it_on_once(tmp_path: Path, sqlite_url: str) -> None:
    world = make_world(tmp_path, sqlite_url, (TOML + FALLBACK).format(team="team", desk="desk"), {})
    with world.relay.ledger.write() as tx:
        lanes.pause(tx, Lane(StepKind.NOTIFY, "team"), "ann", world.clock())
    note(world, 1)
    world.clock.move(16 * 60)
    killed_at(tellings, "join", after(tellings.join), lambda: pass_on_late(world.relay))
    assert [pass_on_late(world.relay) for _ in range(2)] == [1, 0]
    world.run()
    assert titles(world, "desk") == ["Failed: number 1"]
    world.relay.ledger.close()
