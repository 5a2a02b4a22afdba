"""Moves due steps into the job queue, and brings back those whose job was lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.configuration import Configuration
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.job_queue import JobQueue, QueueDown
from service.ledger import Ledger, lanes, steps
from service.settings import Settings

log = structlog.get_logger()

STALE_BATCH = 500
"""Lost jobs brought back in one sweep."""


@dataclass(frozen=True)
class Dispatcher:
    """Commits first, enqueues second: a crash between the two leaves a queued row for the sweep."""

    ledger: Ledger
    queue: JobQueue
    settings: Settings
    configuration: Configuration
    now: Callable[[], datetime]

    def dispatch(self, wanted: Sequence[Lane] | None = None, at_most: int | None = None) -> int:
        """Enqueues what is due in these lanes (None: in all), as far as they have room; returns how many.

        `at_most`: of each lane.
        Never raises for a queue that is down: the steps stay due, and the next sweep tries again.
        """
        now = self.now()
        taken: list[tuple[int, StepKind]] = []
        for lane in self._due_lanes(now) if wanted is None else wanted:
            taken += [(step, lane.kind) for step in self._take(lane, now, at_most)]
        return self._enqueue(taken, now)

    def sweep(self) -> int:
        """Dispatches all that is due and enqueues again what got lost; returns how many steps."""
        now = self.now()
        waiting = self._waiting()
        with self.ledger.write() as tx:
            patient = [kind for kind in StepKind if waiting[kind] >= max(1, steps.queued(tx, kind))]
            stale = steps.take_stale(tx, now, self.settings.requeue_seconds, STALE_BATCH, patient)
        if stale:
            log.warning("steps.brought_back", count=len(stale))
            self._try_enqueue(stale)
        return len(stale) + self.dispatch()

    def limit(self, lane: Lane) -> int:
        """How many steps of the lane may be queued or running at once."""
        if lane.kind not in (StepKind.DELIVER, StepKind.NOTIFY, StepKind.PROGRESS, StepKind.ASK):
            return self.settings.queue_limit
        destination = self.configuration.destinations.get(lane.destination)
        own = destination.max_in_flight if destination is not None else None
        return own or self.settings.max_in_flight

    def _waiting(self) -> dict[StepKind, int]:
        """How many jobs wait by kind; none where the queue does not answer."""
        try:
            return {kind: self.queue.depth(kind) for kind in StepKind}
        except QueueDown:
            return dict.fromkeys(StepKind, 0)

    def _due_lanes(self, now: datetime) -> list[Lane]:
        with self.ledger.read() as tx:
            return steps.due_lanes(tx, now)

    def _take(self, lane: Lane, now: datetime, at_most: int | None) -> list[int]:
        with self.ledger.write() as tx:
            state = lanes.lock(tx, lane)
            room = state.room(self.limit(lane), steps.busy(tx, lane), now)
            wanted = room if at_most is None else min(room, at_most)
            return steps.take_due(tx, lane, wanted, now) if wanted else []

    def _enqueue(self, taken: list[tuple[int, StepKind]], now: datetime) -> int:
        if not taken or self._try_enqueue(taken):
            return len(taken)
        with self.ledger.write() as tx:
            steps.put_back(tx, [step for step, _ in taken], now)
        return 0

    def _try_enqueue(self, taken: list[tuple[int, StepKind]]) -> bool:
        try:
            self.queue.enqueue(taken)
        except QueueDown as error:
            log.warning("queue.down", steps=len(taken), error=str(error))
            return False
        return True
