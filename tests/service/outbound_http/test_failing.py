"""What a call raises when it fails, and whether the request may have had its effect."""

import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from service.outbound_http import (
    HttpClient,
    Incomplete,
    Interrupted,
    NoAnswer,
    NotSent,
    OutboundError,
    Request,
)

Script = Callable[[socket.socket, Any], None]


def close(_connection: socket.socket, _talk: Any) -> None:
    """Hangs up without a word."""


def reset(connection: socket.socket, _talk: Any) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hold(_connection: socket.socket, talk: Any) -> None:
    talk.over.wait(30)


def junk(connection: socket.socket, _talk: Any) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9\r\n\r\n")


def cut_head(connection: socket.socket, _talk: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def endless_header(connection: socket.socket, talk: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not talk.over.is_set():
        connection.sendall(b"x" * 65536)


def endless_headers(connection: socket.socket, talk: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not talk.over.is_set():
        connection.sendall(b"X-Some: thing\r\n" * 1000)


def endless_interim(connection: socket.socket, talk: Any) -> None:
    while not talk.over.is_set():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def bad_gzip(connection: socket.socket, _talk: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnope!")


def bad_chunk(connection: socket.socket, _talk: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n")


@pytest.mark.parametrize(
    "script",
    [close, reset, junk, cut_head, endless_header, endless_headers, endless_interim, bad_gzip, bad_chunk],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_answer(talk: Callable[..., Any], client: HttpClient, script: Script, method: str) -> None:
    server = talk(script)
    with pytest.raises(NoAnswer) as failed:
        client.send(Request(method, server.url + "/p4th?s3cret", {"X-Key": "s3cret"}, timeout=10))
    assert failed.value.sent
    assert f"127.0.0.1:{server.port}" in str(failed.value)
    assert "s3cret" not in str(failed.value)
    assert server.connections == 1


def test_a_body_that_ends_early_is_incomplete(talk: Callable[..., Any], client: HttpClient) -> None:
    server = talk(
        lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    )
    with pytest.raises(Incomplete):
        client.send(Request("GET", server.url))


def test_silence_runs_into_the_timeout(talk: Callable[..., Any], client: HttpClient) -> None:
    with pytest.raises(NoAnswer, match="timed out"):
        client.send(Request("GET", talk(hold).url, timeout=0.2))


def test_a_refused_connection_is_not_sent(client: HttpClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent) as failed:
            client.send(Request("POST", f"http://127.0.0.1:{unused.getsockname()[1]}/?s3cret", body=b"x"))
    assert not failed.value.sent
    assert "s3cret" not in str(failed.value)


def test_an_unknown_name_is_not_sent(client: HttpClient) -> None:
    with pytest.raises(NotSent, match=r"^a\.b\.invalid"):  # RFC 6761: never resolves
        client.send(Request("GET", "http://a.b.invalid/", timeout=5))


def test_a_connection_that_nobody_takes_is_not_sent(client: HttpClient) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        with pytest.raises(NotSent):
            client.send(Request("POST", url, connect_timeout=0.2, timeout=10))


def test_a_tls_greeting_to_a_plain_server_is_not_sent(talk: Callable[..., Any], client: HttpClient) -> None:
    server = talk(junk)
    with pytest.raises(NotSent):
        client.send(Request("POST", server.url.replace("http:", "https:"), body=b"x", timeout=10))


def test_a_reason_to_stop_ends_a_call_that_waits(talk: Callable[..., Any]) -> None:
    reached = threading.Event()

    def script(_connection: socket.socket, server: Any) -> None:
        reached.set()
        server.over.wait(30)

    client = HttpClient(stop=lambda: "the worker ends" if reached.is_set() else None)
    with pytest.raises(Interrupted, match="the worker ends") as ended:
        client.send(Request("POST", talk(script).url, timeout=60))
    assert ended.value.sent


def test_a_reason_to_stop_beforehand_sends_nothing(site: Any) -> None:
    with pytest.raises(Interrupted) as ended:
        HttpClient(stop=lambda: "no").send(Request("GET", site.on("/x")))
    assert not ended.value.sent
    assert site.asked == []


def test_what_stop_raises_comes_out(talk: Callable[..., Any]) -> None:
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise KeyError("lease")

    with pytest.raises(KeyError, match="lease"):
        HttpClient(stop=stop).send(Request("GET", talk(hold).url, timeout=60))


def test_a_signal_handler_that_raises_ends_a_call(talk: Callable[..., Any], client: HttpClient) -> None:
    """Its exception comes out as it is, or as Interrupted where pycurl took it away."""

    def handler(_number: int, _frame: Any) -> None:
        raise TimeoutError("the job's time is over")

    def script(_connection: socket.socket, server: Any) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        server.over.wait(30)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises((Interrupted, TimeoutError)):
            client.send(Request("POST", talk(script).url, timeout=60))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_every_error_is_an_outbound_error_with_a_short_clean_message() -> None:
    error = OutboundError("a\r\n\x1b[31mb ?token=s3cret " + "c" * 5000)
    assert "s3cret" not in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 1000
