import select
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from web_server import running_web

from service.web import request_deadline
from service.web.request_deadline import REQUEST_SECONDS, DeadlineSocket, with_deadlines


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(request_deadline, "time", clock)
    return clock


@pytest.fixture
def ends(clock: Clock) -> Iterator[tuple[DeadlineSocket, socket.socket]]:
    listening = socket.create_server(("127.0.0.1", 0))
    with with_deadlines(listening) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            assert isinstance(server, DeadlineSocket)
            yield server, client


def test_a_request_that_comes_in_time_is_read(
    ends: tuple[DeadlineSocket, socket.socket], clock: Clock
) -> None:
    server, client = ends
    for _ in range(4):
        client.sendall(b"x")
        assert server.recv(10) == b"x"
        clock.now += REQUEST_SECONDS / 5


def test_a_request_that_drips_ends(ends: tuple[DeadlineSocket, socket.socket], clock: Clock) -> None:
    server, client = ends
    client.sendall(b"xy")
    assert server.recv(1) == b"x"
    clock.now += REQUEST_SECONDS
    assert server.recv(1) == b""


@pytest.mark.parametrize("how", ["send", "sendall", "sendfile"])
def test_after_an_answer_the_next_request_has_its_own_time(
    ends: tuple[DeadlineSocket, socket.socket], clock: Clock, how: str, tmp_path: Path
) -> None:
    server, client = ends
    client.sendall(b"xy")
    server.recv(1)
    clock.now += REQUEST_SECONDS
    (tmp_path / "answer").write_bytes(b"answer")
    with (tmp_path / "answer").open("rb") as answer:
        getattr(server, how)(answer if how == "sendfile" else b"answer")
    assert server.recv(1) == b"y"
    assert client.recv(10) == b"answer"


@pytest.mark.parametrize("how", ["sendall", "sendfile"])
def test_an_answer_that_nobody_takes_ends(monkeypatch: pytest.MonkeyPatch, how: str, tmp_path: Path) -> None:
    monkeypatch.setattr(request_deadline, "SILENCE_SECONDS", 1)
    (tmp_path / "answer").write_bytes(bytes(50 * 2**20))
    with (
        with_deadlines(socket.create_server(("127.0.0.1", 0))) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as server,
        (tmp_path / "answer").open("rb") as answer,
    ):
        client.sendall(b"more")
        with pytest.raises(BrokenPipeError):
            getattr(server, how)(answer if how == "sendfile" else answer.read())
        assert server.recv(10) == b"", "nobody listens to it any more"


def test_the_end_of_a_connection_is_not_waited_for(ends: tuple[DeadlineSocket, socket.socket]) -> None:
    server, _ = ends
    server.shutdown(socket.SHUT_WR)
    server.settimeout(600)
    with pytest.raises(TimeoutError):
        server.recv(1)


def test_clients_that_take_nothing_do_not_keep_the_server_from_others(tmp_path: Path) -> None:
    with (
        running_web(
            tmp_path, config="hurried_serving", WEB_CONCURRENCY="1", STORYRELAY_WEB_THREADS="3"
        ) as server,
        ExitStack() as held,
    ):
        for _ in range(6):
            taker = held.enter_context(socket.socket())
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            taker.connect(("127.0.0.1", server.port))
            ask_until_it_is_stuck(taker)
        with urllib.request.urlopen(server.url + "/healthz", timeout=30) as answer:
            assert answer.status == 200


def ask_until_it_is_stuck(taker: socket.socket) -> None:
    """Asks for one file after the other until the server reads no more, or hangs up."""
    ask = b"GET /static/htmx-2.min.js HTTP/1.1\r\nHost: x\r\n\r\n"
    taker.setblocking(False)
    with suppress(ConnectionResetError, BrokenPipeError):
        while select.select([], [taker], [], 0.3)[1]:
            taker.send(ask * 20)


def test_a_client_that_drips_is_cut_off_by_the_real_server(tmp_path: Path) -> None:
    with (
        running_web(tmp_path, config="hurried_serving") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as dripping,
    ):
        dripping.sendall(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        assert any(is_cut_off(dripping) for _ in range(100))


def is_cut_off(connection: socket.socket) -> bool:
    """Sends a byte and waits a little for the other side to end the connection."""
    try:
        connection.sendall(b"x")
        return connection.recv(1000) == b""
    except TimeoutError:
        return False
    except (BrokenPipeError, ConnectionResetError):
        return True
