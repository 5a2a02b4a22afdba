"""Lines about requests that were refused: enough to see who knocks, few enough that nobody fills the log."""

import math
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

PAUSE = 1.0
"""Seconds between two lines about one reason, in one process."""


class RefusalLog:
    """Writes a refusal down and, a second later at the earliest, the next for that reason: with how many came between.

    What was refused stays out: its body, its address and the names in it are a stranger's, or a secret.
    """

    def __init__(self, event: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._clock = clock
        self._lock = threading.Lock()
        self._told_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def note(self, reason: str, remote: str) -> None:
        """Counts a refusal; `reason` is one of few texts of ours, `remote` the sender's IP address."""
        with self._lock:
            now = self._clock()
            if now - self._told_at.get(reason, -math.inf) < PAUSE:
                self._left_out[reason] = self._left_out.get(reason, 0) + 1
                return
            self._told_at[reason] = now
            left_out = self._left_out.pop(reason, 0)
        log.warning(self._event, reason=reason, remote=remote, left_out=left_out)
