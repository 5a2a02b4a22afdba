"""Connections whose answer never comes."""

import selectors
import socket
import threading

from service.emulator.refusals import Refusal


class HeldConnections:
    """Holds connections open until the other side gives up, the time is over, or the emulator stops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[socket.socket] = set()
        self._closed = False

    def hold(self, connection: socket.socket | None, seconds: float) -> None:
        """Waits, then closes; whatever is written afterwards goes nowhere.

        Raises Refusal (504) where the server that runs the app does not show its connection.
        """
        if connection is None:
            raise Refusal(504, "TIMEOUT", "the answer is held back")
        if self._take(connection):
            _wait_for_end(connection, seconds)
        with self._lock:
            self._held.discard(connection)
            _shut(connection)

    def close(self) -> None:
        """Lets all go."""
        with self._lock:
            self._closed = True
            for connection in self._held:
                _shut(connection)

    def _take(self, connection: socket.socket) -> bool:
        with self._lock:
            if not self._closed:
                self._held.add(connection)
            return not self._closed


def _wait_for_end(connection: socket.socket, seconds: float) -> None:
    """The other side's end makes a socket readable, and so does our own."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.select(seconds)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster
