"""What is to happen later, in one thread."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Agenda:
    """Runs short actions when their time has come, the earlier first; the thread starts with the first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._changed = threading.Condition()
        self._count = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Runs `action` in `seconds`; nothing happens once the agenda is closed."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._count), action))
            self._thread = self._thread or self._started()
            self._changed.notify()

    def close(self) -> None:
        """Forgets what is still to come and waits for an action that runs right now."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="emulator-agenda", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while action := self._next():
            action()

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._closed:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None
