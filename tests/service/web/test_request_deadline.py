import socket
from collections.abc import Iterator
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
