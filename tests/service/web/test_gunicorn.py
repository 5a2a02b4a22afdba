import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from machine import await_that
from web_server import WebServer

from service.ledger.tables import receipts

BODY = json.dumps({"batch_id": "story-1", "status": "success"}).encode()
BIG = 8 * 2**20
HUNG_UP = 0


def connect(server: WebServer) -> "closing[http.client.HTTPConnection]":
    return closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20))


def ask(
    server: WebServer, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    with connect(server) as connection:
        connection.request(
            method, path, body=body, headers=headers, encode_chunked=not isinstance(body, bytes)
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def receipts_of(server: WebServer) -> int:
    with server.relay.ledger.read() as tx:
        return tx.execute(sa.select(sa.func.count()).select_from(receipts)).scalar_one()


def chunks(size: int) -> Iterator[bytes]:
    yield BODY
    for _ in range((size - len(BODY)) // 1000):
        yield b" " * 1000
    yield b" " * ((size - len(BODY)) % 1000)


def chunked(server: WebServer, path: str, size: int) -> int:
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    try:
        return ask(server, "POST", path, chunks(size), **headers)[0]
    except (BrokenPipeError, ConnectionResetError):
        # the server has answered and closed while we were still sending: TCP may then drop the answer on its way
        return HUNG_UP


def test_a_body_of_unknown_length_is_measured_as_it_comes(web_server: WebServer) -> None:
    path = web_server.webhook_path("chunked")
    before = receipts_of(web_server)
    assert chunked(web_server, path, 65536) == 202
    assert chunked(web_server, path, 65537) in (413, HUNG_UP)
    assert chunked(web_server, path, 300_000) in (413, HUNG_UP)
    assert receipts_of(web_server) == before + 1


def test_a_body_that_says_it_is_too_long_is_refused_unread(web_server: WebServer) -> None:
    path = web_server.webhook_path("long")
    with socket.create_connection(("127.0.0.1", web_server.port), timeout=20) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n".encode())
        assert connection.recv(4096).split(b"\r\n")[0].split(b" ")[1] == b"413"


def test_without_a_queue_a_webhook_is_answered_and_kept(web_server: WebServer) -> None:
    before = receipts_of(web_server)
    status, _, body = ask(web_server, "POST", web_server.webhook_path("no-queue"), BODY)
    assert (status, json.loads(body)) == (202, {"verdict": "unmatched"})
    assert receipts_of(web_server) == before + 1


def test_no_more_downloads_than_their_share_and_webhooks_go_on(web_server: WebServer) -> None:
    store = web_server.relay.video_store()
    store.put_bytes("big/r1/video.mp4", b"x" * BIG, content_type="video/mp4")
    path = web_server.media_path("big/r1/video.mp4")
    slow = [slow_download(web_server, path) for _ in range(2)]
    status, headers, _ = ask(web_server, "GET", path)
    assert (status, headers["Retry-After"]) == (503, "2")
    assert ask(web_server, "HEAD", path)[0] == 200
    assert ask(web_server, "POST", web_server.webhook_path("meanwhile"), BODY)[0] == 202
    for connection in slow:
        assert read_all(connection) == BIG
    await_room(web_server, path)


def slow_download(server: WebServer, path: str) -> socket.socket:
    """Asks for a file and reads its head alone, so that the server has to wait with the rest."""
    connection = open_download(server, path)
    assert connection.recv(12).endswith(b" 200")
    return connection


def open_download(server: WebServer, path: str) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
    return connection


def await_room(server: WebServer, path: str) -> None:
    """Waits until all places are free: the server gives one back only after its last byte is sent."""

    def both_free() -> bool:
        statuses = []
        for connection in [open_download(server, path) for _ in range(2)]:
            statuses.append(connection.recv(12))
            read_all(connection)
        return all(status.endswith(b" 200") for status in statuses)

    await_that(both_free, "the places are free again", 10)


def read_all(connection: socket.socket) -> int:
    """Reads the answer to its end; returns the length of its body."""
    with connection:
        data = b"".join(iter(lambda: connection.recv(2**20), b""))
    return len(data.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("hang_up", ["at once", "half-way"])
def test_who_hangs_up_gives_the_place_back(web_server: WebServer, hang_up: str) -> None:
    store = web_server.relay.video_store()
    store.put_bytes("big/r1/video.mp4", b"x" * BIG, content_type="video/mp4")
    path = web_server.media_path("big/r1/video.mp4")
    for connection in [slow_download(web_server, path) for _ in range(2)]:
        if hang_up == "half-way":
            connection.recv(100_000)
        connection.close()
    await_room(web_server, path)


def test_parts_of_a_file_by_the_real_server(web_server: WebServer) -> None:
    data = bytes(range(256)) * 2000
    web_server.relay.video_store().put_bytes("parts/r1/video.mp4", data, content_type="video/mp4")
    path = web_server.media_path("parts/r1/video.mp4")
    for wanted, span in (
        ("0-0", slice(0, 1)),
        ("-7", slice(-7, None)),
        ("300000-400000", slice(300000, 400001)),
    ):
        status, headers, body = ask(web_server, "GET", path, Range=f"bytes={wanted}")
        assert (status, body) == (206, data[span]), wanted
        assert headers["Content-Length"] == str(len(body))
    assert ask(web_server, "GET", path)[2] == data
    assert ask(web_server, "HEAD", path)[1]["Content-Length"] == str(len(data))


def garbage(path: str) -> list[bytes]:
    return [
        f"POST {path} HTTP/9.9\r\n\r\n".encode(),
        f"POST {path}\r\n\r\n".encode(),
        f"po<>st {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"POST {path} HTTP/1.1\r\nHost: x\r\n{path}: x\r\n\r\n".encode(),
        f"POST {path} HTTP/1.1\r\nHost: x\r\nReferer {path}\r\n\r\n".encode(),
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {path}\r\n\r\n".encode(),
        f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {path}\r\n\r\n".encode(),
        f"POST {path}{'x' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz{path}\r\n".encode(),
        f"POST {path} HTTP/1.1\r\nHost: x\r\nX: {'x' * 20000}\r\n\r\n".encode(),
    ]


def test_no_log_of_the_server_shows_a_token(web_server: WebServer) -> None:
    path = web_server.webhook_path("sub-1")
    for raw in garbage(path):
        with socket.create_connection(("127.0.0.1", web_server.port), timeout=20) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    ask(web_server, "POST", path, b"{")
    ask(web_server, "GET", path)
    assert "/webhooks/story/***" in web_server.log, "it does speak of such requests"
    assert path.rpartition(".")[2].lower() not in web_server.log.lower()


def test_a_hundred_at_once_are_all_kept(web_server: WebServer) -> None:
    before = receipts_of(web_server)
    statuses: list[int] = []

    def send(number: int) -> None:
        statuses.append(ask(web_server, "POST", web_server.webhook_path(f"sub-{number}"), BODY)[0])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [202] * 100
    assert receipts_of(web_server) == before + 100
