"""Stories in any state with a past to tell, as the service would have left them in a world's ledger."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from relayed import START, World

from service.domain.states import Origin, Outcome, StepKind, StepState, StoryState, Verdict
from service.domain.steps import Lane
from service.ledger import receipts, steps, stories
from service.ledger.receipts import Receipt
from service.ledger.stories import NewStory, VideoRow
from service.ledger.tables import attempts
from service.ledger.tables import steps as table

HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(2)> \u202e"
REQUEST = {"idea": "A fox walks home", "language": "German", "aspect_ratio": "9:16"}
SNAPSHOT = {"id": "story-1", "idea": "A fox walks home", "status": "success", "aspect_ratio": "9:16"}


@dataclass
class Told:
    """Writes one story, `story-1`, and what happened to it."""

    world: World

    def story(self, state: StoryState, *, story_id: str | None = "story-1", **values: Any) -> int:
        """A submission of ours in that state."""
        new = NewStory(
            "sub-1", Origin.SUBMITTED, state, story_id, kind="idea", title="Fox", request=REQUEST,
            labels={"team": "brand"}, estimated_credits=60,
        )  # fmt: skip
        with self.world.relay.ledger.write() as tx:
            key = stories.add(tx, new, START)
            assert key is not None
            stories.change(tx, key, START, **values)
        return key

    def video(self, key: int, revision: int = 1) -> None:
        """Its video with poster and captions."""
        store, prefix = self.world.relay.video_store(), f"story-1/r{revision}"
        store.put_bytes(f"{prefix}/video.mp4", b"video", content_type="video/mp4")
        store.put_bytes(f"{prefix}/poster.jpg", b"poster", content_type="image/jpeg")
        store.put_bytes(f"{prefix}/captions.vtt", b"WEBVTT\n", content_type="text/vtt")
        video = VideoRow(key, revision, prefix, "ab" * 32, 5, 4.0, 90, 160, "h264", "aac", True, True)
        with self.world.relay.ledger.write() as tx:
            stories.add_video(tx, video, START)
            stories.change(tx, key, START, revision=revision)

    def step(
        self,
        key: int,
        kind: StepKind,
        destination: str = "",
        state: StepState = StepState.DONE,
        **values: Any,
    ) -> int:
        """One step in that state."""
        ended = START if state in (StepState.DONE, StepState.DEAD, StepState.CANCELLED) else None
        values = {"state": state, "ended_at": ended, "next_at": None} | values
        with self.world.relay.ledger.write() as tx:
            steps.add(tx, [steps.NewStep(Lane(kind, destination), key, 1, "all")], START)
            of_it = table.c.story == key, table.c.kind == kind, table.c.destination == destination
            return tx.execute(
                sa.update(table).where(*of_it).values(**values).returning(table.c.id)
            ).scalar_one()

    def attempt(self, step: int, detail: str, generation: int = 1, outcome: Outcome = Outcome.DONE) -> None:
        """One try of a step, a minute after the one before."""
        at = START.replace(minute=generation - 1)
        with self.world.relay.ledger.write() as tx:
            row = tx.execute(sa.select(table).where(table.c.id == step)).one()
            tx.execute(
                sa.insert(attempts).values(
                    step=step,
                    generation=generation,
                    kind=row.kind,
                    destination=row.destination,
                    outcome=outcome,
                    detail=detail,
                    started_at=at,
                    ended_at=at,
                )
            )

    def fetches(self, key: int, *said: str) -> None:
        """Polls that got these answers."""
        step = self.step(key, StepKind.FETCH)
        for generation, detail in enumerate(said, 1):
            self.attempt(step, detail, generation)

    def webhook(self, key: int, body: bytes) -> None:
        """A webhook that was accepted."""
        receipt = Receipt(
            "submission",
            Verdict.ACCEPTED,
            body,
            "application/json",
            "192.0.2.1",
            START,
            "story-1",
            "success",
            key,
        )
        with self.world.relay.ledger.write() as tx:
            receipts.add(tx, [receipt])

    def settled(
        self,
        body: bytes = b'{"id": "story-1", "status": "success"}',
        url: str = "https://shelf.example/1",
        **values: Any,
    ) -> int:
        """A story that was announced by a webhook, downloaded and delivered to the shelf."""
        given = {
            "snapshot": SNAPSHOT, "used_credits": 50.0, "finished_at": START, "settled_at": START,
            "noticed_by": "webhook", "api_status": "success", "progress": 100,
        } | values  # fmt: skip
        key = self.story(StoryState.SETTLED, **given)
        self.video(key)
        self.webhook(key, body)
        self.fetches(key, "finished")
        self.step(key, StepKind.DOWNLOAD)
        self.attempt(self.step(key, StepKind.DELIVER, "shelf", url=url), "published")
        return key


def told_in(world: World) -> Told:
    """Tells stories in this world."""
    return Told(world)
