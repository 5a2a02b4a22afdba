"""Servers on loopback: one that answers as told and writes down what it was asked, one that speaks raw bytes."""

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.outbound_http import HttpClient, PartFile

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: int


Answer = Callable[[Any, Asked], None]


@dataclass
class Site:
    """A web server; a path without an answer gets 404."""

    url: str = ""
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)

    def on(
        self, path: str, body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> str:
        def answer(handler: Any, asked: Asked) -> None:
            fields = {"Content-Length": str(len(body)), **(headers or {})}
            handler.answer(status, fields, b"" if asked.method == "HEAD" else body)

        self.answers[path] = answer
        return self.url + path

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    site: Site

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body, self.client_address[1])
        self.site.asked.append(asked)
        answer = self.site.answers.get(self.path.partition("?")[0])
        if answer:
            answer(self, asked)
        else:
            self.answer(404, {"Content-Length": "0"})

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


@pytest.fixture
def make_site() -> Iterator[Callable[..., Site]]:
    servers = []

    def make(address: str = "127.0.0.1", wrap: Callable[[Any], Any] | None = None) -> Site:
        site = Site()
        handler = type("Handler", (_Handler,), {"site": site})
        server = _Server((address, 0), handler)
        if wrap:
            server.socket = wrap(server.socket)
        site.port = server.server_port
        site.url = f"http{'s' if wrap else ''}://{address}:{site.port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return site

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@dataclass
class Talk:
    """A server that speaks whatever bytes a script says, one call a connection."""

    url: str
    port: int
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)


Script = Callable[[socket.socket, Talk], None]


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and not head.startswith(b"\x16"):  # a TLS greeting
        piece = connection.recv(65536)
        if not piece:
            break
        head += piece
    return head


def _serve(connection: socket.socket, talk: Talk, script: Script) -> None:
    with connection:
        read_head(connection)
        with contextlib.suppress(OSError):  # the client hung up, which some tests are about
            script(connection, talk)


def _accept(listener: socket.socket, talk: Talk, script: Script) -> None:
    with contextlib.suppress(OSError):  # the listener's end
        while True:
            connection, _ = listener.accept()
            talk.connections += 1
            threading.Thread(target=_serve, args=(connection, talk, script), daemon=True).start()


@pytest.fixture
def talk() -> Iterator[Callable[..., Talk]]:
    """`talk(script)`: the script gets the connection after its request's head was read, and the Talk."""
    talks: list[tuple[Talk, socket.socket]] = []

    def start(script: Script) -> Talk:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        told = Talk(f"http://127.0.0.1:{port}", port)
        talks.append((told, listener))
        threading.Thread(target=_accept, args=(listener, told, script), daemon=True).start()
        return told

    yield start
    for told, listener in talks:
        told.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient() as made:
        yield made


@pytest.fixture
def part(tmp_path: Path) -> PartFile:
    return PartFile(tmp_path / "video.part")
