"""The scheduler's sign of life in the ledger, and what the workers do when it stays away."""

import time
from collections.abc import Callable
from datetime import datetime

import structlog

from service.domain.notices import NoticeKind, Trouble
from service.ledger import reports, troubles
from service.wiring import Relay

log = structlog.get_logger()

HEARTBEAT = "scheduler"
HEARTBEAT_SECONDS = 5.0
LOOK_SECONDS = 60.0
"""A worker looks no more often than this."""

SILENT_SECONDS = 120.0
"""People are told after so long, and three sweeps: a restart is no news."""


def is_alive(at: datetime | None, now: datetime, sweep_seconds: float) -> bool:
    """Whether a heartbeat of that time says that the scheduler runs."""
    return at is not None and (now - at).total_seconds() < 3 * sweep_seconds + HEARTBEAT_SECONDS


def beat(relay: Relay, now: datetime) -> None:
    """Says that the scheduler runs, and that its silence is over."""
    with relay.ledger.write() as tx:
        reports.beat(tx, HEARTBEAT, now)
        ended = troubles.end(tx, NoticeKind.SCHEDULER_SILENT, now)
    if ended:
        log.info("trouble.over", kind=NoticeKind.SCHEDULER_SILENT)


class SchedulerWatch:
    """Held by a worker. Silence is how long it saw the same heartbeat by its own clock in seconds, which stands still
    while the machine sleeps: a machine that wakes, or a worker that starts first, raises no alarm.
    """

    def __init__(self, sweep_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = 3 * sweep_seconds + SILENT_SECONDS
        self._clock = clock
        self._looked: float | None = None
        self._seen: datetime | None = None
        self._since = clock()

    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self._looked is None or self._clock() - self._looked >= LOOK_SECONDS

    def look(self, relay: Relay) -> None:
        """Opens the trouble when the scheduler has been silent for too long, and starts what is due meanwhile.

        A worker that dies between the two is no loss: the next look of any worker starts it again.
        Raises LedgerDown.
        """
        self._looked = self._clock()
        with relay.ledger.read() as tx:
            seen = reports.last_beat(tx, HEARTBEAT)
        if seen != self._seen:
            self._seen, self._since = seen, self._looked
        if self._looked - self._since < self._patience:
            return
        _tell(relay, seen)
        relay.dispatcher.dispatch()


def _tell(relay: Relay, seen: datetime | None) -> None:
    now = relay.now()
    known = "has never been seen" if seen is None else f"was last seen at {seen:%Y-%m-%d %H:%M:%S} UTC"
    trouble = Trouble(
        key="",
        kind=NoticeKind.SCHEDULER_SILENT,
        title="The scheduler is silent",
        text=f"It {known}. Until it runs, no silent story is looked after and little is tried again. "
        "Start `storyrelay scheduler`, or `storyrelay up`; its log says why it ended.",
    )
    with relay.ledger.write() as tx:
        if reports.last_beat(tx, HEARTBEAT) != seen:  # it lives: this look was late
            return
        began = troubles.begin(tx, trouble, relay.configuration.notices, now, since=seen)
    if began:
        log.error("trouble.began", kind=trouble.kind)
