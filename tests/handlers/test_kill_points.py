"""SIGKILL between any two lines that matter: nothing is lost, and no place has a story twice."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from killed import after, die, killed_at
from relayed import World

import handlers.download
from handlers.connectors.webhook import WebhookConnector
from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.dispatching import Dispatcher
from service.domain.states import StoryState
from service.emulator import EmulatorServer
from service.intake import Delivery
from service.ledger import steps, stories, webhooks
from service.ledger.tables import steps as table
from service.stand_ins.webhook_sink import WebhookSink
from service.video_store.folder import FolderStore
from service.webhook_url import RouteToken

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.shelf]
connector = "archive"
path = "published"
[destinations.sink]
connector = "webhook"
url = "{url}"
secret = "{secret}"
[[routes]]
name = "all"
destinations = ["shelf", "sink"]
"""
WEBHOOK_DELIVERY, ARCHIVE_DELIVERY = "deliver/sink", "deliver/shelf"
WORK = ("fetch", "download", ARCHIVE_DELIVERY, WEBHOOK_DELIVERY)

MakeWorld = Callable[..., World]
Ask = Callable[..., str]
Await = Callable[[str], None]


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with WebhookSink(SECRET) as sink:
        yield sink


@pytest.fixture
def world(make: MakeWorld, sink: WebhookSink) -> World:
    world = make(TOML.format(url=sink.url, secret=SECRET))
    # the sink takes signatures of five minutes either way (Standard Webhooks): room to move the clock in
    world.clock.time = datetime.now(UTC) - timedelta(minutes=4)
    return world


def work_of(world: World, step: int) -> str:
    with world.relay.ledger.read() as tx:
        row = tx.execute(sa.select(table).where(table.c.id == step)).one()
    return f"{row.kind}/{row.destination}".rstrip("/")


def run_up_to(world: World, work: str) -> int:
    """Runs what comes before that work; returns its step, whose job is taken from the queue."""
    world.relay.dispatcher.sweep()
    while True:
        step = world.queue.jobs.pop(0)
        if work_of(world, step) == work:
            return step
        StepMachine(world.relay, HANDLERS).run(step)


def settles(world: World, story_id: str) -> None:
    """Lets leases lapse and sweeps pass until the story is settled."""
    for _ in range(6):
        world.clock.move(61)
        world.reconcile()
        world.run()
    assert world.story(story_id).state == StoryState.SETTLED, world.steps(story_id)


def arrived_once(world: World, story_id: str, sink: WebhookSink, emulator: EmulatorServer) -> None:
    settles(world, story_id)
    assert {name: step.state for name, step in world.steps(story_id).items()} == dict.fromkeys(WORK, "done")
    folder = world.home / "published"
    assert [path.name for path in folder.iterdir() if not path.name.startswith(".")] == [story_id]
    files = sorted(path.name for path in (folder / story_id).iterdir())
    assert files == ["captions.vtt", "poster.jpg", "story.json", "video.mp4"]
    assert json.loads((folder / story_id / "story.json").read_text())["video"][
        "sha256"
    ] == emulator.video_sha256(story_id)
    assert len({(each.id, each.story_id) for each in sink.deliveries}) == 1, "repeats have the same id"
    assert incoming(world) == [], "no half file stays behind"


def incoming(world: World) -> list[Path]:
    folder = world.relay.video_store().incoming
    return sorted(folder.iterdir()) if folder.exists() else []


POINTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "before the claim": (steps, "claim", die),
    "within the claim": (steps, "_close_lost_attempts", die),
    "between claim and work": (StepMachine, "_attempt", die),
    "between the effect and its record": (StepMachine, "_record", die),
    "within the record": (steps, "end_attempt", die),
    "between the record and what follows": (StepMachine, "_recover", die),
    "before what follows is dispatched": (Dispatcher, "dispatch", die),
    "while what follows is dispatched": (steps, "take_due", after(steps.take_due)),
    "between marking and enqueueing": (Dispatcher, "_enqueue", die),
}


ALIKE_FOR_ALL = {"before the claim", "within the claim"}
WITH_SUCCESSORS = {"while what follows is dispatched", "between marking and enqueueing"}
CASES = [
    (work, point)
    for work in WORK
    for point in POINTS
    if not (work != "fetch" and point in ALIKE_FOR_ALL)
    and not (work.startswith("deliver") and point in WITH_SUCCESSORS)
]


@pytest.mark.parametrize(("work", "point"), CASES)
def test_killed(
    world: World,
    ask: Ask,
    finished: Await,
    sink: WebhookSink,
    emulator: EmulatorServer,
    work: str,
    point: str,
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    step = run_up_to(world, work)
    killed_at(*POINTS[point], act=lambda: StepMachine(world.relay, HANDLERS).run(step))
    arrived_once(world, story_id, sink, emulator)


WITHIN: dict[str, tuple[str, Any, str, Callable[..., Any]]] = {
    "a download that is not looked at yet": ("download", handlers.download, "examine", die),
    "a download without its captions": ("download", FolderStore, "put_bytes", die),
    "a download that is stored": ("download", FolderStore, "put_file", after(FolderStore.put_file)),
    "an archive's first file": (ARCHIVE_DELIVERY, FolderStore, "put_file", after(FolderStore.put_file)),
    "an archive's last file": (ARCHIVE_DELIVERY, FolderStore, "put_bytes", after(FolderStore.put_bytes)),
    "a webhook that was sent": (
        WEBHOOK_DELIVERY,
        WebhookConnector,
        "publish",
        after(WebhookConnector.publish),
    ),
}


@pytest.mark.parametrize("within", WITHIN)
def test_killed_within(
    world: World, ask: Ask, finished: Await, sink: WebhookSink, emulator: EmulatorServer, within: str
) -> None:
    work, *how = WITHIN[within]
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    step = run_up_to(world, work)
    killed_at(*how, act=lambda: StepMachine(world.relay, HANDLERS).run(step))
    arrived_once(world, story_id, sink, emulator)


def test_killed_again_and_again(
    world: World, ask: Ask, finished: Await, sink: WebhookSink, emulator: EmulatorServer
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    for work in WORK:
        step = run_up_to(world, work)
        run = partial(StepMachine(world.relay, HANDLERS).run, step)
        for _ in range(2):
            killed_at(*POINTS["between the effect and its record"], run)
            world.clock.move(61)
        run()
    arrived_once(world, story_id, sink, emulator)
    outcomes = [attempt.outcome for attempt in world.attempts(story_id)]
    assert (outcomes.count("lost"), outcomes.count("done")) == (8, 4)


@pytest.mark.parametrize("point", ["hold", "record", "after the commit"])
def test_a_webhook_is_recorded_whole_or_not_at_all(world: World, point: str) -> None:
    delivery = Delivery(RouteToken("all"), b'{"id": "story-1"}', "application/json", "")

    def receive() -> None:
        world.relay.intake.receive(delivery)
        die()

    killed_at(webhooks, point, after(webhooks.record) if point == "record" else die, receive)
    kept = point == "after the commit"
    with world.relay.ledger.read() as tx:
        assert (stories.find(tx, "story-1") is not None) == kept
    world.run()
    assert len(world.ran) == int(kept)


def test_a_killed_scheduler_loses_nothing_and_doubles_nothing(
    world: World, ask: Ask, finished: Await, sink: WebhookSink, emulator: EmulatorServer
) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    killed_at(Dispatcher, "_enqueue", die, world.relay.dispatcher.sweep)
    assert world.steps(story_id)["fetch"].state == "queued"
    world.clock.move(61)
    killed_at(Dispatcher, "_try_enqueue", die, world.relay.dispatcher.sweep)
    arrived_once(world, story_id, sink, emulator)


def test_a_scheduler_that_is_killed_while_it_orders_polls(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask()
    finished(story_id)
    row = world.track(story_id)
    with world.relay.ledger.write() as tx:
        tx.execute(sa.update(table).values(state="done", next_at=None))
        stories.change(tx, row.id, world.clock(), next_poll_at=world.clock())
    killed_at(stories, "use_slots", die, world.reconcile)
    assert world.steps(story_id)["fetch"].state == "done", (
        "nothing was ordered, and the story is due as before"
    )
    settles(world, story_id)
