"""Connections that end when a request takes too long to come, however lively its sender is."""

import socket
import struct
import time
from typing import Any

SILENCE_SECONDS = 5
"""A client that says nothing for so long loses its connection, or a few of them would take every thread."""

REQUEST_SECONDS = 20
"""So does one whose request is not whole after so long: a byte every other second is no silence."""


class DeadlineSocket(socket.socket):
    """A connection that reads as if its client had hung up once REQUEST_SECONDS have gone by since the first read.

    What is sent begins the next span: a connection that is kept alive brings several requests.
    """

    _until: float | None = None

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """See socket.recv; b"" when the time is over."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + REQUEST_SECONDS
        return super().recv(bufsize, flags) if now < self._until else b""

    def send(self, *data: Any) -> int:
        """See socket.send."""
        self._until = None
        return super().send(*data)

    def sendall(self, *data: Any) -> None:
        """See socket.sendall."""
        self._until = None
        super().sendall(*data)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """See socket.sendfile."""
        self._until = None
        return super().sendfile(file, offset, count)


class DeadlineListener(socket.socket):
    """Accepts connections as DeadlineSockets."""

    def accept(self) -> tuple[socket.socket, Any]:
        """See socket.accept."""
        connection, address = super().accept()
        return DeadlineSocket(fileno=connection.detach()), address


def with_deadlines(listener: socket.socket) -> DeadlineListener:
    """Takes a listening socket over; what it accepts is bounded in its silence and in all."""
    silence = struct.pack("ll", SILENCE_SECONDS, 0)  # struct timeval; accepted sockets inherit it
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, silence)
    timeout = listener.gettimeout()
    taken = DeadlineListener(fileno=listener.detach())
    taken.settimeout(timeout)
    return taken
