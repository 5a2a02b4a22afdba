"""Counts in memory what leaves no row in the ledger, and writes it down now and then."""

import threading
from collections import Counter

import structlog

from service.ledger import metrics
from service.ledger.engine import Ledger, LedgerDown
from service.ledger.metrics import Series

log = structlog.get_logger()

SAVE_SECONDS = 10.0
"""What a killed web process may lose of its counts."""


class Meter:
    """Threads may share it. Nothing is written before `save`, or a while after where `save_often` was called."""

    def __init__(self) -> None:
        self._counts: Counter[Series] = Counter()
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def count(self, name: str, kind: str = "", outcome: str = "") -> None:
        """Counts one."""
        with self._lock:
            self._counts[Series(name, kind, outcome=outcome)] += 1
        if self._ledger is not None:
            self._wake()

    def save(self, ledger: Ledger) -> None:
        """Writes what was counted. A ledger that is down leaves it for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            with ledger.write() as tx:
                metrics.add(tx, counts.items())
        except LedgerDown as error:
            log.warning("ledger.down", error=type(error).__name__, counts="kept in memory")
            with self._lock:
                self._counts += counts

    def save_often(self, ledger: Ledger) -> None:
        """Has a thread of this process write from now on what it counts."""
        self._ledger = ledger

    def _wake(self) -> None:
        if (
            self._thread is None or not self._thread.is_alive()
        ):  # also after a fork, which takes no threads along
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
                    self._thread.start()
        self._wanted.set()

    def _run(self) -> None:
        pause = threading.Event()
        while self._wanted.wait():
            pause.wait(SAVE_SECONDS)
            self._wanted.clear()
            self._save_own()

    def _save_own(self) -> None:
        if self._ledger is not None:
            self.save(self._ledger)
