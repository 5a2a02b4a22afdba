import logging
import threading
from collections.abc import Callable, Iterator

import pytest
import sentry_sdk
import structlog
from machine import await_that
from relayed import World, make_world
from scripted_place import Asked, Says, ScriptedPlace, scripted_place
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from service import scheduling
from service.observability import configure_sentry
from service.scheduling import PING_TIMEOUT, Scheduler

SECRET = "/ping/5f0c-that-nobody-may-see"

MakeWorld = Callable[[str], World]


@pytest.fixture
def watcher() -> Iterator[ScriptedPlace]:
    """The service outside that waits for a call a minute."""
    with scripted_place() as place:
        place.answer = lambda _asked: Says(200)
        yield place


@pytest.fixture
def make(tmp_path, sqlite_url) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(address: str) -> World:
        made.append(make_world(tmp_path, sqlite_url, "", {"PING_URL": address}))
        return made[-1]

    yield make
    for world in made:
        world.relay.ledger.close()


@pytest.fixture
def world(make: MakeWorld, watcher: ScriptedPlace) -> World:
    return make(watcher.url + SECRET)


@pytest.fixture
def reported() -> Iterator[list[str]]:
    """All that would leave for Sentry."""
    sent: list[str] = []

    class Kept(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            sent.append(envelope.serialize().decode())

    configure_sentry("https://key@sentry.invalid/1", "test", "scheduler", transport=Kept)
    yield sent
    sentry_sdk.init()


def once(world: World) -> None:
    Scheduler(world.relay).once()


def calls(watcher: ScriptedPlace) -> list[tuple[str, str]]:
    return [(asked.method, asked.path) for asked in watcher.asked]


def test_it_is_called_once_a_minute_by_all_schedulers_together(world: World, watcher: ScriptedPlace) -> None:
    for _ in range(12):  # two minutes and a half
        once(world)
        once(world)
        world.clock.move(13)
    assert calls(watcher) == [("GET", SECRET)] * 3


def test_it_is_not_called_while_a_part_of_the_pass_fails(
    world: World, watcher: ScriptedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(_self: Scheduler, _now: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(Scheduler, "_reconcile", mistaken)
        once(world)
        world.clock.move(120)
        once(world)
    assert calls(watcher) == []
    once(world)
    assert len(calls(watcher)) == 1


def test_one_that_hangs_is_left_after_five_seconds(
    world: World, watcher: ScriptedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def hang(_asked: Asked) -> None:
        over.wait(60)

    watcher.answer = hang
    assert PING_TIMEOUT == 5.0
    monkeypatch.setattr(scheduling, "PING_TIMEOUT", 0.1)
    with structlog.testing.capture_logs() as said:
        once(world)  # comes back although nobody answered
    assert not over.is_set()
    await_that(lambda: len(calls(watcher)) == 1, "the call", 10)
    over.set()
    assert [event for event in said if event["event"].startswith("ping")] == [
        {"event": "ping.failed", "error": "NoAnswer", "log_level": "warning"}
    ]


@pytest.mark.parametrize("trouble", ["refuses", "breaks off", "away"])
def test_its_address_is_told_nobody(
    make: MakeWorld,
    watcher: ScriptedPlace,
    reported: list[str],
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    answers = {"refuses": Says(500, f"no {SECRET}"), "breaks off": None}
    watcher.answer = lambda _asked: answers.get(trouble)
    world = make(("http://127.0.0.1:9" if trouble == "away" else watcher.url) + SECRET)
    with structlog.testing.capture_logs() as said, caplog.at_level(logging.DEBUG):
        once(world)
        sentry_sdk.capture_exception(RuntimeError("something went wrong after it"))
        sentry_sdk.flush()
    assert [event["event"] for event in said if event["event"].startswith("ping")] == [
        "ping.refused" if trouble == "refuses" else "ping.failed"
    ]
    everything = [repr(said), caplog.text, repr(world.relay.settings), *reported]
    assert "something went wrong after it" in "".join(reported)
    assert [text for text in everything if "nobody-may-see" in text] == []
