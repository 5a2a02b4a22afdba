"""Connections that end when a request takes too long to come, or its answer is not taken."""

import errno
import math
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SILENCE_SECONDS = 5
"""A client that says nothing, or takes nothing, for so long loses its connection: a few of them would take every
thread.
"""

REQUEST_SECONDS = 20
"""So does one whose request is not whole after so long: a byte every other second is no silence."""


LINGER_SECONDS = 0.1
"""For the client's end of a connection that we have ended: gunicorn waits for it in the thread that accepts others."""


class DeadlineSocket(socket.socket):
    """A connection that reads as if its client had hung up once REQUEST_SECONDS have gone by since the first read.

    What is sent begins the next span: a connection that is kept alive brings several requests.
    """

    _until: float | None = None
    _is_ended = False

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """See socket.recv; b"" when the time is over."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + REQUEST_SECONDS
        return super().recv(bufsize, flags) if now < self._until else b""

    def send(self, *data: Any) -> int:
        """See socket.send. Raises BrokenPipeError where the client takes nothing."""
        with self._answering():
            return super().send(*data)

    def sendall(self, *data: Any) -> None:
        """See socket.sendall. Raises BrokenPipeError where the client takes nothing."""
        with self._answering():
            super().sendall(*data)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """See socket.sendfile. Raises BrokenPipeError where the client takes nothing."""
        # it waits by poll(2), which the bound that the listener hands on does not reach
        self.settimeout(SILENCE_SECONDS)
        try:
            with self._answering():
                return super().sendfile(file, offset, count)
        finally:
            self.settimeout(None)

    def shutdown(self, how: int) -> None:
        """See socket.shutdown."""
        self._is_ended = True
        self._until = min(self._until or math.inf, time.monotonic() + LINGER_SECONDS)
        super().shutdown(how)

    def settimeout(self, value: float | None) -> None:
        """See socket.settimeout; at most LINGER_SECONDS after a shutdown."""
        super().settimeout(min(value, LINGER_SECONDS) if self._is_ended and value is not None else value)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        self._until = None
        try:
            yield
        except (BlockingIOError, TimeoutError) as error:
            self._until = -math.inf
            raise BrokenPipeError(errno.EPIPE, "the client takes nothing of its answer") from error


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
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, silence)
    timeout = listener.gettimeout()
    taken = DeadlineListener(fileno=listener.detach())
    taken.settimeout(timeout)
    return taken
