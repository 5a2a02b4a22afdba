"""Reminds people of what they were asked, and ends what nobody answered in time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog

from service.configuration import Configuration
from service.domain.approvals import ApprovalState, Decision, Through
from service.domain.notices import NoticeKind, Trouble
from service.ledger import Ledger, approvals, deciding, notices, stories
from service.ledger.approvals import ApprovalRow

log = structlog.get_logger()

NOBODY = "nobody in time"
"""Who decided when a question's time is over."""


@dataclass(frozen=True)
class QuestionMinding:
    """Any number may run: each reminder and each expiry is one transaction that one of them makes."""

    ledger: Ledger
    configuration: Configuration
    now: Callable[[], datetime]

    def run(self) -> int:
        """Sees to all questions whose time has come; returns how many."""
        with self.ledger.read() as tx:
            reminders, over = approvals.due(tx, self.now())
        expired = sum(map(self.end_if_over, over))
        reminded = sum(map(self._remind, reminders))
        if expired or reminded:
            log.info("questions.minded", reminded=reminded, expired=expired)
        return expired + reminded

    def _remind(self, key: int) -> bool:
        with self.ledger.write() as tx:
            return deciding.remind(tx, key, self.now())

    def end_if_over(self, key: int) -> bool:
        """Ends the question if it is open and its time is over; returns whether."""
        now = self.now()
        with self.ledger.read() as tx:
            if not _is_over(approvals.read(tx, key), now):
                return False
        decision = Decision(ApprovalState.EXPIRED, NOBODY, Through.CLOCK)
        with self.ledger.write() as tx:
            row = approvals.read(tx, key)
            # as it was asked when it was looked at: one that a person has asked anew meanwhile has its own time
            if row is None or not _is_over(row, now):
                return False
            decided = deciding.decide(tx, key, decision, now, row.asked_at)
            if decided is None or not decided.won:
                return False
            self._tell(tx, decided.row, now)
        return True

    def _tell(self, tx: sa.Connection, row: ApprovalRow, now: datetime) -> None:
        story = stories.lock(tx, row.story)
        trouble = Trouble(
            key=f"{NoticeKind.APPROVAL_EXPIRED}/{row.id}/{int(row.asked_at.timestamp())}",
            kind=NoticeKind.APPROVAL_EXPIRED,
            title=f"Nobody answered: {story.heading}",
            text=f"{row.destination} was asked on {row.asked_at:%Y-%m-%d %H:%M} UTC whether story {story.name} may go "
            f"on by route {row.route}. Nobody answered in time, so it counts as rejected. To ask again: "
            f"storyrelay replay {story.name}",
            story=story.id,
        )
        notices.add(tx, trouble, self.configuration.notices, now)


def _is_over(row: ApprovalRow | None, now: datetime) -> bool:
    return row is not None and row.is_open and row.expires_at is not None and row.expires_at <= now
