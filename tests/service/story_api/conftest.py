"""A Story API on loopback that answers what a test says, and shows what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from service.outbound_http import HttpClient
from service.story_api import StoryApi

KEY = "key-0123456789-abcdef"


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptedApi:
    """Answers every request alike until told otherwise."""

    status: int = 200
    body: bytes = b'{"id": "abc123"}'
    headers: dict[str, str] = field(default_factory=dict)
    behaviour: Callable[[BaseHTTPRequestHandler], None] | None = None
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answers(self, body: Any, status: int = 200, **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {
            "Content-Type": "application/json",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        self.asked.append(
            Asked(handler.command, handler.path, dict(handler.headers), handler.rfile.read(length))
        )
        if self.behaviour is not None:
            self.behaviour(handler)
            return
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        handler.wfile.write(self.body)


@pytest.fixture(scope="module")
def running_server() -> Iterator[ScriptedApi]:
    script = ScriptedApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.handle(self)

        def do_POST(self) -> None:
            script.handle(self)

        def do_DELETE(self) -> None:
            script.handle(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(running_server: ScriptedApi) -> ScriptedApi:
    """The server, as new."""
    running_server.asked.clear()
    running_server.behaviour = None
    running_server.answers({"id": "abc123"})
    return running_server


@pytest.fixture(scope="module")
def http() -> Iterator[HttpClient]:
    client = HttpClient()
    yield client
    client.close()


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def api(server: ScriptedApi, http: HttpClient) -> StoryApi:
    return StoryApi(url=server.url + "/", key=KEY, http=http, timeout=10)
