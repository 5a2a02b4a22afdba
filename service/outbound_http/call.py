"""What one hop of a request needs, and who takes its answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.outbound_http.address_guard import AddressGuard
from service.outbound_http.answer_head import Head
from service.outbound_http.messages import Body
from service.outbound_http.url import Url


class Enough(Exception):
    """Raised by a receiver to end the transfer in good order."""


class Receiver(Protocol):
    """Takes an answer; what it raises ends the transfer and comes out of it."""

    def start(self, head: Head, /) -> None:
        """Is given the answer's head, before its body."""

    def write(self, chunk: memoryview, /) -> None:
        """Is given the next bytes of the body, which are gone when it returns."""


@dataclass(frozen=True)
class Terms:
    """What holds for every call of a client. `resolve`: curl's HOST:PORT:ADDRESS, instead of asking DNS."""

    guard: AddressGuard | None
    stop: Callable[[], str | None] | None
    user_agent: str
    ca_file: str
    resolve: Sequence[str]


@dataclass(frozen=True)
class Call:
    """One hop of a request. Times in seconds, `deadline` by time.monotonic, `buffer` in bytes.

    `watch` is told the bytes received and sent so far, at least once a second, and may raise to end it.
    `follow`: a redirect is not an answer, its body is thrown away. `ca_file` stands in for that of the terms.
    """

    method: str
    url: Url
    headers: tuple[bytes, ...] = field(repr=False)
    body: Body | None = field(repr=False)
    deadline: float | None
    connect_timeout: float
    watch: Callable[[int, int], None] = field(repr=False)
    accept_encoding: bool
    buffer: int
    follow: bool
    ca_file: str | None = None
