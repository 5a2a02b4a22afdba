"""Bounds the requests that take their time, so that webhooks always find a free thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Busy(Exception):
    """All places of a slow lane are taken."""

    AGAIN = 2
    """Seconds after which another try makes sense."""

    def __init__(self) -> None:
        super().__init__("other calls wait for the same kind of answer already; try again soon")


class SlowLane:
    """So many requests of one kind at a time."""

    def __init__(self, room: int) -> None:
        self._room = threading.BoundedSemaphore(max(1, room))

    @contextmanager
    def place(self) -> Iterator[None]:
        """For as long as the wait takes. Raises Busy where all places are taken."""
        if not self._room.acquire(blocking=False):
            raise Busy
        try:
            yield
        finally:
            self._room.release()
