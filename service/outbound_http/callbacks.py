"""What curl calls back during a transfer.

pycurl prints and drops what a callback raises, so each one keeps it in `failure` for `Transfer` to raise.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

import pycurl

from service.outbound_http.answer_head import Head, HeadReader
from service.outbound_http.body_source import BodySource
from service.outbound_http.call import Call, Enough, Receiver, Terms
from service.outbound_http.errors import Interrupted

REDIRECT_BODY = 64 * 2**10
STOP_PERIOD = 0.25  # s between two looks at `stop`, which may cost a query


class Callbacks:
    """The state of one transfer, and the functions that curl drives it with."""

    def __init__(self, call: Call, terms: Terms, receiver: Receiver) -> None:
        self.failure: BaseException | None = None
        self.sent = False
        self.refused: list[str] = []
        self.opened = 0
        self._call = call
        self._terms = terms
        self._receiver = receiver
        self._reader = HeadReader()
        self._next_look = 0.0

    @property
    def head(self) -> Head | None:
        """The answer's head, None until it is whole."""
        return self._reader.head

    def install(self, curl: pycurl.Curl) -> None:
        """Sets the functions that every transfer needs."""
        curl.setopt(pycurl.HEADERFUNCTION, self._shield(self._header, -1))
        curl.setopt(pycurl.WRITEFUNCTION, self._shield(self._write, -1), use_memoryview=True)
        curl.setopt(pycurl.PREREQFUNCTION, self._shield(self._about_to_send, pycurl.PREREQFUNC_ABORT))
        curl.setopt(pycurl.NOPROGRESS, 0)
        curl.setopt(pycurl.XFERINFOFUNCTION, self._shield(self._progress, 1))
        if self._terms.guard:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._shield(self._open_socket, pycurl.SOCKET_BAD))

    def install_body(self, curl: pycurl.Curl, body: BodySource) -> None:
        """Sets the functions that a request's body is read with."""
        curl.setopt(pycurl.READFUNCTION, self._shield(body.read, pycurl.READFUNC_ABORT))
        curl.setopt(pycurl.SEEKFUNCTION, self._shield(_seek(body), pycurl.SEEKFUNC_FAIL))

    def look(self) -> None:
        """Raises Interrupted when the client is told to stop."""
        now = time.monotonic()
        if self._terms.stop is None or now < self._next_look:
            return
        self._next_look = now + STOP_PERIOD
        if reason := self._terms.stop():
            raise Interrupted(f"the call to {self._call.url.place} was ended: {reason}", sent=self.sent)

    def _shield(self, callback: Callable[..., Any], abort: int) -> Callable[..., Any]:
        def run(*values: Any) -> Any:
            try:
                return callback(*values)
            except BaseException as error:  # noqa: BLE001 - `Transfer` raises it again
                self.failure = self.failure or error
                return abort

        return run

    def _header(self, line: bytes) -> None:
        head = self._reader.feed(line)
        if head is None:
            return
        if head.redirects and self._call.follow:
            self._receiver = _RedirectBody()
        self._receiver.start(head)

    def _write(self, chunk: memoryview) -> None:
        self._receiver.write(chunk)

    def _about_to_send(self, *_: Any) -> int:
        self.sent = True
        return pycurl.PREREQFUNC_OK

    def _progress(self, _to_get: int, got: int, _to_put: int, put: int) -> int:
        self.look()
        self._call.watch(got, put)
        return 0

    def _open_socket(self, _purpose: int, address: Any) -> socket.socket | int:
        if refusal := self._refusal(address):
            self.refused.append(refusal)
            return pycurl.SOCKET_BAD
        self.opened += 1
        return socket.socket(address.family, address.socktype, address.protocol)

    def _refusal(self, address: Any) -> str | None:
        if address.family not in (socket.AF_INET, socket.AF_INET6):
            return "no internet address"
        kind = self._terms.guard.refusal(address.addr[0]) if self._terms.guard else None
        return f"{address.addr[0]} ({kind})" if kind else None


class _RedirectBody:
    """Reads a redirect's body to its end, so that the connection can be kept, unless it is long."""

    def __init__(self) -> None:
        self._size = 0

    def start(self, _head: Head, /) -> None:
        """Needs nothing of the head."""

    def write(self, chunk: memoryview) -> None:
        """Throws the bytes away."""
        self._size += len(chunk)
        if self._size > REDIRECT_BODY:
            raise Enough


def _seek(body: BodySource) -> Callable[[int, int], int]:
    def seek(position: int, origin: int) -> int:
        if origin != 0:
            return pycurl.SEEKFUNC_CANTSEEK
        body.seek(position)
        return pycurl.SEEKFUNC_OK

    return seek
