"""Keeps curl handles, and with them their connections, from one call to the next."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pycurl

_of_parents: list[deque[pycurl.Curl]] = []
"""Handles from before a fork: never closed here, for that would end the parent's TLS sessions."""


class Handles:
    """Idle curl handles. Any number of threads may borrow; a forked child starts with none."""

    def __init__(self) -> None:
        self._idle: deque[pycurl.Curl] = deque()
        self._pid = os.getpid()

    @contextmanager
    def borrowed(self) -> Iterator[pycurl.Curl]:
        """Lends a handle to one transfer at a time."""
        curl = self._take()
        try:
            yield curl
        finally:
            self._idle.append(curl)

    def close(self) -> None:
        """Closes the idle handles and their connections."""
        self._leave_to_parent()
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> pycurl.Curl:
        self._leave_to_parent()
        try:
            return self._idle.pop()
        except IndexError:
            return pycurl.Curl()

    def _leave_to_parent(self) -> None:
        if self._pid != os.getpid():
            _of_parents.append(self._idle)
            self._idle, self._pid = deque(), os.getpid()
