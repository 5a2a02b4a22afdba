"""Connections are kept, but nothing is sent twice on one that dies, and a fork gets its own."""

import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.outbound_http import HttpClient, NoAnswer, Request

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def read_request(connection: socket.socket) -> bool:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return False
        head += piece
    return True


def dies_on_the_second_request(connection: socket.socket, _talk: Any) -> None:
    connection.sendall(ANSWER)
    read_request(connection)


def test_a_connection_is_kept(site: Any, client: HttpClient) -> None:
    url = site.on("/x", b"body")
    for _ in range(3):
        client.send(Request("GET", url))
    assert len({asked.peer for asked in site.asked}) == 1


def test_a_closed_client_keeps_none(site: Any, client: HttpClient) -> None:
    url = site.on("/x")
    client.send(Request("GET", url))
    client.close()
    client.send(Request("GET", url))
    assert len({asked.peer for asked in site.asked}) == 2


def test_a_repeatable_request_survives_a_kept_connection_that_dies(
    talk: Callable[..., Any], client: HttpClient
) -> None:
    server = talk(dies_on_the_second_request)
    assert client.send(Request("GET", server.url)).body == b"ok"
    assert client.send(Request("GET", server.url)).body == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_request_with_an_effect_never_leaves_twice(
    talk: Callable[..., Any], client: HttpClient, method: str
) -> None:
    seen: list[int] = []

    def script(connection: socket.socket, server: Any) -> None:
        seen.append(server.connections)
        if len(seen) == 1:
            connection.sendall(ANSWER)
            while read_request(connection):
                seen.append(server.connections)

    server = talk(script)
    assert client.send(Request("GET", server.url)).body == b"ok"
    with pytest.raises(NoAnswer):
        client.send(Request(method, server.url, body=b"effect", timeout=10))
    assert len(seen) == 2
    assert server.connections == 2


def test_on_a_kept_connection_too_it_is_known_that_a_request_left(
    talk: Callable[..., Any], client: HttpClient
) -> None:
    def script(connection: socket.socket, server: Any) -> None:
        connection.sendall(ANSWER)
        server.over.wait(30)

    server = talk(script)
    assert client.send(Request("GET", server.url)).body == b"ok"
    with pytest.raises(NoAnswer) as failed:
        client.send(Request("PUT", server.url, body=b"effect", timeout=0.2))
    assert failed.value.sent
    assert server.connections == 1


def test_a_failed_call_leaves_nothing_behind_for_the_next(site: Any, client: HttpClient) -> None:
    url = site.on("/x", b"x" * 1000)
    client.send(Request("POST", url, {"X-Old": "1", "Content-Type": "a/b"}, b"body"))
    client.send(Request("HEAD", url))
    assert client.send(Request("GET", url)).body == b"x" * 1000
    assert "x-old" not in site.asked[2].headers
    assert "content-type" not in site.asked[2].headers
    assert site.asked[2].body == b""


def test_threads_share_a_client(site: Any, client: HttpClient) -> None:
    url = site.on("/x", b"body")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.send(Request("GET", url)).body, range(40)))
    assert answers == [b"body"] * 40


def test_a_call_within_a_call(site: Any, client: HttpClient) -> None:
    url = site.on("/x", b"body")
    bodies: list[bytes] = []

    def progress(_sent: int, _total: int) -> None:
        if not bodies:
            bodies.append(client.send(Request("GET", url)).body)

    assert client.send(Request("POST", url, body=b"x", progress=progress)).body == b"body"
    assert bodies == [b"body"]


def test_a_forked_child_has_connections_of_its_own(site: Any, client: HttpClient) -> None:
    url = site.on("/x", b"body")
    client.send(Request("GET", url))
    child = os.fork()
    if child == 0:
        os._exit(0 if client.send(Request("GET", url)).body == b"body" else 1)
    assert os.waitpid(child, 0)[1] == 0
    client.send(Request("GET", url))
    parents, childs, again = (asked.peer for asked in site.asked)
    assert parents == again
    assert parents != childs


def test_a_handle_is_never_in_two_hands(talk: Callable[..., Any], client: HttpClient) -> None:
    both = threading.Barrier(2)

    def script(connection: socket.socket, _talk: Any) -> None:
        both.wait(10)
        connection.sendall(ANSWER)

    server = talk(script)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: client.send(Request("GET", server.url)).body, range(2)))
    assert answers == [b"ok", b"ok"]
