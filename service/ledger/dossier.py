"""All that the ledger knows of one story, read in one view, and its events in the order in which they happened."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from service.domain.states import Intent, Origin, StepKind
from service.ledger import approvals, notices, receipts, reports, stories
from service.ledger.approvals import ApprovalRow
from service.ledger.notices import NoticeRow
from service.ledger.receipts import ReceiptRow
from service.ledger.reports import AttemptRow, StepRow
from service.ledger.stories import StoryRow, VideoRow

MOST_NOTICES = 100


@dataclass(frozen=True)
class Event:
    """Something that happened: when, what it was, how it went ('' where that says nothing), and for people."""

    at: datetime
    what: str
    outcome: str
    text: str


@dataclass(frozen=True)
class Dossier:
    """One story with everything that belongs to it."""

    story: StoryRow
    video: VideoRow | None
    steps: list[StepRow]
    attempts: list[AttemptRow]
    receipts: list[ReceiptRow]
    notices: list[NoticeRow]
    approvals: list[ApprovalRow] = field(default_factory=list)

    @property
    def deliveries(self) -> list[StepRow]:
        """The newest delivery to each destination."""
        newest = {step.destination: step for step in self.steps if step.kind == StepKind.DELIVER}
        return list(newest.values())

    def question_of(self, step: StepRow) -> ApprovalRow | None:
        """The open question whose answer this delivery waits for, if any."""
        if step.kind != StepKind.DELIVER or step.intent == Intent.WITHDRAW or step.instead_of is not None:
            return None
        asked = (row for row in self.approvals if row.is_open and row.destination != step.destination)
        return next((row for row in asked if (row.revision, row.route) == (step.revision, step.route)), None)

    @property
    def events(self) -> list[Event]:
        """What happened, oldest first."""
        return sorted(_events(self), key=lambda event: event.at)


def read_dossier(tx: sa.Connection, row: StoryRow) -> Dossier:
    """Reads everything of one story."""
    return Dossier(
        story=row,
        video=stories.read_video(tx, row.id, row.revision),
        steps=reports.steps_of(tx, row.id),
        attempts=reports.attempts_of(tx, row.id),
        receipts=receipts.of_story(tx, row.id),
        notices=notices.recent(tx, MOST_NOTICES, row.id),
        approvals=approvals.of_story(tx, row.id),
    )


def _events(dossier: Dossier) -> Iterator[Event]:
    row = dossier.story
    yield _beginning(row)
    yield from map(_receipt, dossier.receipts)
    yield from map(_attempt, dossier.attempts)
    if row.finished_at is not None:
        yield Event(row.finished_at, "finished", "", f"noticed by {row.noticed_by or 'a person'}")
    for notice in reversed(dossier.notices):
        yield Event(notice.created_at, "notice", "", notice.title)
    for each in dossier.approvals:
        yield Event(each.asked_at, "approval asked", "", f"{each.destination}, by route {each.route}")
        if each.decided_at is not None:
            yield Event(each.decided_at, "approval", each.state, each.told)
    if row.settled_at is not None:
        yield Event(row.settled_at, "settled", "", "nothing is left to do")


def _beginning(row: StoryRow) -> Event:
    route = f", pinned to route {row.route}" if row.route else ""
    if row.origin == Origin.SUBMITTED:
        price = f", about {row.estimated_credits} credits" if row.estimated_credits is not None else ""
        return Event(row.created_at, "submitted", "", f"as {row.kind or 'a story'}{price}{route}")
    if row.origin == Origin.TRACKED:
        return Event(row.created_at, "tracked", "", f"adopted by hand{route}")
    return Event(row.created_at, "heard of", "", f"by a webhook of somebody else's story{route}")


def _receipt(receipt: ReceiptRow) -> Event:
    claim = f"claims {receipt.claimed_status or 'no status'} of {receipt.claimed_id or 'no story'}"
    whence = f" from {receipt.remote}" if receipt.remote else ""
    return Event(
        receipt.received_at, "webhook", receipt.verdict, f"{claim}, by token of {receipt.token}{whence}"
    )


def _attempt(attempt: AttemptRow) -> Event:
    what = f"{attempt.kind} {attempt.destination}" if attempt.destination else attempt.kind
    took = (
        f" ({(attempt.ended_at - attempt.started_at).total_seconds():.1f} s)"
        if attempt.ended_at is not None
        else ""
    )
    return Event(attempt.started_at, what, attempt.outcome, f"{attempt.detail}{took}".strip())
