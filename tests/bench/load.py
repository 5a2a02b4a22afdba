"""A load generator: keep-alive connections, prebuilt requests, one thread with epoll.

What it costs a request is measured with it, for a client that is the bottleneck measures itself.
"""

import select
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

ANSWER_SECONDS = 30.0
TRIES = 200
"""Rounds of opening connections until every process has its share."""


@dataclass(frozen=True)
class Load:
    """One pass: `latencies` are seconds, `client_seconds` the processor time of this process."""

    seconds: float
    client_seconds: float
    latencies: tuple[float, ...]
    statuses: Counter[int]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    @property
    def p99(self) -> float:
        """Seconds within which 99 of 100 answers came."""
        return sorted(self.latencies)[max(0, -(-len(self.latencies) * 99 // 100) - 1)]


class Connection:
    """One connection, which asks again as soon as it has its answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._asked = 0.0
        self.body = b""

    def ask(self, request: bytes) -> None:
        """Sends a request that fits the socket's buffer."""
        self._asked = time.perf_counter()
        self.socket.sendall(request)

    def hear(self) -> tuple[int, float] | None:
        """Reads what is there: status and seconds of a whole answer, else None. Raises ConnectionError."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"the server hung up after {self._received[:200]!r}")
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return None
        self._received, self.body = b"", body
        return int(head[9:12]), time.perf_counter() - self._asked


class Client:
    """A set number of connections to a port of this machine; both routes are asked over the same ones.

    Each of the server's `processes` gets its even share, or a run would measure who happened to accept: `greeting`
    is a request that is answered with the name of the process.
    """

    def __init__(self, port: int, connections: int, processes: int, greeting: bytes) -> None:
        share = -(-connections // processes)
        taken: Counter[bytes] = Counter()
        self._connections: list[Connection] = []
        for _ in range(TRIES):
            for one in _greeted(port, greeting, share):
                if taken[one.body] < share and len(self._connections) < connections:
                    taken[one.body] += 1
                    self._connections.append(one)
                else:
                    one.socket.close()
            if len(self._connections) == connections:
                return
        raise ConnectionError(f"the server's processes did not share {connections} connections: {taken}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections:
            connection.socket.close()

    def send(self, requests: Sequence[bytes]) -> Load:
        """Sends all, one at a time on each connection. Raises ConnectionError and TimeoutError."""
        latencies: list[float] = []
        statuses: Counter[int] = Counter()
        started, processor = time.perf_counter(), time.process_time()
        for status, seconds in self._answers(iter(requests)):
            statuses[status] += 1
            latencies.append(seconds)
        return Load(
            time.perf_counter() - started, time.process_time() - processor, tuple(latencies), statuses
        )

    def _answers(self, requests: Iterator[bytes]) -> Iterator[tuple[int, float]]:
        by_number = {connection.socket.fileno(): connection for connection in self._connections}
        with select.epoll() as poll:
            waiting = set()
            for number, connection in by_number.items():
                poll.register(number, select.EPOLLIN)
                if (request := next(requests, None)) is not None:
                    connection.ask(request)
                    waiting.add(number)
            while waiting:
                events = poll.poll(ANSWER_SECONDS)
                if not events:
                    raise TimeoutError(f"no answer within {ANSWER_SECONDS:g} s")
                for number, _ in events:
                    answer = by_number[number].hear()
                    if answer is None:
                        continue
                    if (request := next(requests, None)) is not None:
                        by_number[number].ask(request)
                    else:
                        waiting.discard(number)
                    yield answer


def _greeted(port: int, greeting: bytes, count: int) -> list[Connection]:
    """Opened at once, so that more than one process wakes up for them."""
    opened = [Connection(port) for _ in range(count)]
    for one in opened:
        one.ask(greeting)
    for one in opened:
        while one.hear() is None:
            continue
    return opened


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    if not found:
        raise ConnectionError(f"an answer without Content-Length: {head[:200]!r}")
    return int(rest.partition(b"\r\n")[0])
