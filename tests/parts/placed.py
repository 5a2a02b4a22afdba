"""A relay whose destinations are one place that shows what it was given, and stories that are to go there."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from relayed import World, make_world

from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.domain.approvals import Question
from service.domain.delivery import Notice, Publication, Published, Withdrawal
from service.domain.states import Origin, StepKind, StoryState
from service.domain.steps import Lane
from service.ledger import notices, steps, stories
from service.ledger.reports import StepRow
from service.ledger.stories import NewStory, VideoRow
from service.ledger.tables import steps as table
from service.replaying import Redone, Replaying
from service.wiring import Relay
from service.withdrawing import Undone, Withdrawing

TOML = """
[destinations.place]
connector = "archive"
path = "p"
[destinations.desk]
connector = "archive"
path = "q"
[[routes]]
name = "all"
destinations = ["place"]
[notices]
destinations = ["desk"]
"""
PLACE = Lane(StepKind.DELIVER, "place")
SNAPSHOT = {
    "id": "story-1",
    "title": "Fox",
    "idea": "A fox walks home",
    "status": "success",
    "aspect_ratio": "9:16",
    "used_credits": 50,
    "created_at": "2026-03-01 11:00:00+00:00",
    "storyboard": {"scenes": [{"name": "one", "narrator": "Once upon a time"}]},
}

Publish = Callable[[Publication], Published]
Withdraw = Callable[[Withdrawal], Published]


@dataclass
class Place:
    """A connector that shows what it was given and does what the test says."""

    publications: list[Publication] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    publish_as: Publish = lambda _publication: Published(url="https://place.example/1", reference={"id": "1"})
    withdraw_as: Withdraw = lambda _withdrawal: Published()

    def publish(self, publication: Publication) -> Published:
        self.publications.append(publication)
        return self.publish_as(publication)

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        self.withdrawals.append(withdrawal)
        return self.withdraw_as(withdrawal)

    def notify(self, notice: Notice) -> Published:
        self.notices.append(notice)
        return Published()

    def ask(self, question: Question) -> Published:
        self.questions.append(question)
        return Published(remark=question.told or "asked")


class PlacedRelay(Relay):
    """A relay whose destinations are the test's place."""

    place: Place

    def connector(self, destination: str, stop: Any = None, sent: Any = None) -> Any:
        super().connector(destination, stop, sent)  # it has to be configured nevertheless
        return self.place


def world_on(url: str, tmp_path: Path, place: Place, toml: str = TOML, **env: str) -> World:
    world = make_world(tmp_path, url, toml, env)
    relay = PlacedRelay(**{each.name: getattr(world.relay, each.name) for each in dataclasses.fields(Relay)})
    object.__setattr__(relay, "place", place)
    return dataclasses.replace(world, relay=relay)


def finished(world: World, revision: int = 1, *, deliver: bool = True) -> int:
    """A story whose video of this revision is stored and to be delivered; returns the delivery's key, 0 for none."""
    now, relay = world.clock(), world.relay
    prefix = f"story-1/r{revision}"
    relay.video_store().put_bytes(f"{prefix}/video.mp4", b"video %d" % revision, content_type="video/mp4")
    relay.video_store().put_bytes(f"{prefix}/captions.vtt", b"WEBVTT\n", content_type="text/vtt")
    with relay.ledger.write() as tx:
        stories.add(tx, NewStory("sub-1", Origin.TRACKED, StoryState.OPEN, story_id="story-1"), now)
        row = stories.lock_by_id(tx, "story-1")
        assert row is not None
        stories.change(
            tx, row.id, now, state=StoryState.SETTLING, revision=revision, snapshot=SNAPSHOT, title="Fox",
            finished_at=now,
        )  # fmt: skip
        video = VideoRow(row.id, revision, prefix, "ab" * 32, 7, 1.5, 90, 160, "h264", None, False, True)
        stories.add_video(tx, video, now)
        if deliver:
            steps.add(tx, [steps.NewStep(PLACE, row.id, revision, route="all")], now)
        if not deliver:
            return 0
        wanted = table.c.kind == StepKind.DELIVER, table.c.revision == revision
        return int(tx.execute(sa.select(table.c.id).where(*wanted)).scalar_one())


def run(world: World, step: int) -> None:
    """Runs the step now, whatever its schedule says."""
    with world.relay.ledger.write() as tx:
        tx.execute(
            sa.update(table).where(table.c.id == step, table.c.state == "pending").values(state="queued")
        )
    StepMachine(world.relay, HANDLERS).run(step)


def step_row(world: World, step: int) -> sa.Row[Any]:
    with world.relay.ledger.read() as tx:
        return tx.execute(sa.select(table).where(table.c.id == step)).one()


def set_step(world: World, step: int, **values: Any) -> None:
    with world.relay.ledger.write() as tx:
        tx.execute(sa.update(table).where(table.c.id == step).values(**values))


def rows(world: World) -> dict[str, StepRow]:
    """The story's newest deliveries by destination, and its other steps by kind."""
    return {name.removeprefix("deliver/"): row for name, row in world.steps("story-1").items()}


def went_to(place: Place) -> list[str]:
    """The destinations of what was published, in order."""
    return [publication.destination for publication in place.publications]


def withdraw(world: World, *names: str) -> dict[str, Undone]:
    """Withdraws the story from these destinations, or from all."""
    relay = world.relay
    withdrawn = Withdrawing(relay.ledger, relay.configuration, relay.now).withdraw(1, names)
    return {each.destination: each.done for each in withdrawn.actions}


def replay(world: World, *names: str) -> dict[str, Redone]:
    """Replays the story to these destinations, or to all."""
    relay = world.relay
    replayed = Replaying(relay.ledger, relay.settings, relay.configuration, relay.now).replay(1, names)
    return {action.lane.destination: action.done for action in replayed.actions}


def told(world: World) -> list[str]:
    with world.relay.ledger.read() as tx:
        return [f"{notice.kind}: {notice.text}" for notice in notices.recent(tx, 50)]


def fails(error: Exception) -> Publish:
    def publish(_publication: Publication) -> Published:
        raise error

    return publish
