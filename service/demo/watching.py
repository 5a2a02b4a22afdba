"""Looks into the ledger for how the demo's stories stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from service.demo.stories import Wish
from service.domain.states import ENDED_STEPS, UNFINISHED_STORIES, StepKind, StepState
from service.ledger import Ledger, receipts, reports, stories, story_list
from service.ledger.receipts import ReceiptRow
from service.ledger.reports import StepRow
from service.ledger.stories import StoryRow, VideoRow
from service.ledger.story_list import Sought


@dataclass(frozen=True)
class Seen:
    """One wish, and what the ledger has of it by now; `row` is None before it is submitted."""

    wish: Wish
    row: StoryRow | None = None
    receipts: tuple[ReceiptRow, ...] = ()
    steps: tuple[StepRow, ...] = ()
    video: VideoRow | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen: it has ended, all its webhooks have come, no work is left."""
        if self.row is None or self.row.state in UNFINISHED_STORIES:
            return False
        return len(self.receipts) >= self.wish.webhooks and all(
            step.state in ENDED_STEPS for step in self.steps
        )

    def delivery(self, destination: str) -> StepRow | None:
        """The latest step that brings it to this destination."""
        found = [s for s in self.steps if (s.kind, s.destination) == (StepKind.DELIVER, destination)]
        return found[-1] if found else None

    def told(self, destination: str) -> int:
        """How many notices about it were told to this destination."""
        notified = (s for s in self.steps if (s.kind, s.destination) == (StepKind.NOTIFY, destination))
        return sum(step.state == StepState.DONE for step in notified)


def look(ledger: Ledger, wishes: Sequence[Wish]) -> tuple[Seen, ...]:
    """How each wish stands; they are known by their titles, which differ."""
    with ledger.read() as tx:
        rows = {row.request.get("title"): row for row in story_list.newest(tx, Sought(), 100)}
        return tuple(_seen(tx, wish, rows.get(wish.title)) for wish in wishes)


def _seen(tx: sa.Connection, wish: Wish, row: StoryRow | None) -> Seen:
    if row is None:
        return Seen(wish)
    return Seen(
        wish=wish,
        row=row,
        receipts=tuple(receipts.of_story(tx, row.id)),
        steps=tuple(reports.steps_of(tx, row.id)),
        video=stories.read_video(tx, row.id, row.revision),
    )
