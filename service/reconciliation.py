"""Looks for what the webhooks missed: polls silent stories, and ends what can't be known any more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from service.configuration import Configuration
from service.domain.notices import NoticeKind, Trouble
from service.domain.states import StoryState
from service.ledger import Ledger, fetch_steps, notices, progress_steps, stories
from service.ledger.stories import StoryRow
from service.settings import Settings

log = structlog.get_logger()

API_RATE = "story-api"

LAST_LOOK = timedelta(days=1)
"""How much longer a story lives whose last look nobody answered."""

HOLD_SECONDS = 120.0
"""A story whose poll was ordered is not ordered again for so long; its fetch sets the next poll itself."""

SUBMITTING_SECONDS = 300.0
"""A submit call takes a minute at most: a row that still says `submitting` after this lost its process."""


_UNCONFIRMED = (
    "The submit call got no answer and no webhook came since. The Story API lists no stories, so whether it runs "
    "can't be found out here: look in the provider's console. If it is there, `storyrelay track ID` adopts it; else "
    "submit it again."
)


@dataclass(frozen=True)
class Reconciled:
    """What one pass did: the story names that it polls, gave up, or tells people of as unconfirmed."""

    polled: Sequence[str]
    given_up: Sequence[str]
    unconfirmed: Sequence[str]


@dataclass(frozen=True)
class Reconciliation:
    """One pass at a time; any number of processes may run passes."""

    ledger: Ledger
    settings: Settings
    configuration: Configuration
    now: Callable[[], datetime]

    def run(self) -> Reconciled:
        """Orders the polls that are due, within the Story API's rate, and ends what is over."""
        now = self.now()
        self._doubt_submitting(now)
        polled, given_up = self._order_polls(now)
        return Reconciled(polled, given_up, self._report_unconfirmed(now))

    def _order_polls(self, now: datetime) -> tuple[list[str], list[str]]:
        rate = self.settings.poll_rate
        with self.ledger.write() as tx:
            slots = stories.free_slots(tx, API_RATE, self.settings.poll_batch, rate, now)
            due = stories.take_due_polls(tx, now, len(slots), HOLD_SECONDS) if slots else []
            old = [row for row in due if self._is_too_old(row, now)]
            for row in old:
                self._give_up(tx, row, now)
            silent = [row for row in due if row not in old]
            for row, slot in zip(silent, slots, strict=False):
                fetch_steps.ask(tx, row.id, slot, now, poll=True)
            stories.use_slots(tx, API_RATE, slots[: len(silent)], rate)
        return [row.name for row in silent], [row.name for row in old]

    def _is_too_old(self, row: StoryRow, now: datetime) -> bool:
        due = (row.open_since or row.created_at) + timedelta(seconds=self.settings.poll_give_up_seconds)
        # nobody is given up unasked: a service, or a Story API, that was down at the time has a day to look once more
        asked = row.polls > 0 and row.updated_at > due
        return now > due and (asked or now > due + LAST_LOOK)

    def _give_up(self, tx: sa.Connection, row: StoryRow, now: datetime) -> None:
        days = self.settings.poll_give_up_seconds / 86400
        message = (
            f"the Story API did not finish it within {days:.3g} days; last status: {row.api_status or 'none'}"
        )
        stories.lock(tx, row.id)
        stories.change(tx, row.id, now, state=StoryState.GIVEN_UP, message=message, next_poll_at=None)
        progress_steps.ask(tx, row.id, now)
        self._tell(tx, row, NoticeKind.STORY_GIVEN_UP, "Story given up", message, now)

    def _doubt_submitting(self, now: datetime) -> None:
        before = now - timedelta(seconds=SUBMITTING_SECONDS)
        for silent in self._silent(StoryState.SUBMITTING, before):
            with self.ledger.write() as tx:
                row = stories.lock(tx, silent.id)
                if row.state == StoryState.SUBMITTING:
                    message = "the submitting process ended before the Story API's answer was recorded"
                    stories.change(tx, row.id, now, state=StoryState.UNCONFIRMED, message=message)

    def _report_unconfirmed(self, now: datetime) -> list[str]:
        before = now - timedelta(seconds=self.settings.unconfirmed_notice_seconds)
        kind = NoticeKind.STORY_UNCONFIRMED
        told = []
        for silent in self._silent(StoryState.UNCONFIRMED, before, kind):
            with self.ledger.write() as tx:
                row = stories.lock(tx, silent.id)
                if row.state == StoryState.UNCONFIRMED:
                    self._tell(tx, row, kind, "Submission never confirmed", _UNCONFIRMED, now)
                    told.append(row.submission_id)
        return told

    def _silent(
        self, state: StoryState, before: datetime, untold: NoticeKind | None = None
    ) -> list[StoryRow]:
        # a look that is nearly always empty: it must not keep webhooks waiting for SQLite's one writer
        with self.ledger.read() as tx:
            return stories.silent_submissions(tx, state, before, untold)

    def _tell(
        self, tx: sa.Connection, row: StoryRow, kind: NoticeKind, title: str, text: str, now: datetime
    ) -> None:
        key = f"{kind}/{row.id}/{row.open_since or ''}"
        trouble = Trouble(key, kind, f"{title}: {row.heading}", text, story=row.id)
        if notices.add(tx, trouble, self.configuration.notices, now):
            log.warning("notice", kind=kind, story=row.name, text=text)
