"""An emulator on a free port, a plain HTTP caller for it, and a receiver for its webhooks."""

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from service.emulator import EmulatorOptions, EmulatorServer

QUICK = EmulatorOptions(story_seconds=0.0, short_side=90, webhook_pauses=(0.01, 0.02, 0.03), hold_seconds=30)
SMALL = {"scene_count": 1, "scene_duration": 1}
PATIENCE = 20.0


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=PATIENCE)
    try:
        path = target.path + (f"?{target.query}" if target.query else "")
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` gives as soon as it is true."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
    return found


class Caller:
    """A customer of one emulator."""

    def __init__(self, server: EmulatorServer, key: str | None = None) -> None:
        self.server = server
        self.key = server.key if key is None else key
        self.send = send
        self.until = until

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        raw = None if body is None else json.dumps(body).encode()
        sent = {"X-Api-Key": self.key, "Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return send(method, self.server.url + path, raw, sent)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("POST", path, {} if body is None else body, **headers)

    def submit(self, idea: str = "A fox walks home.", **fields: Any) -> dict[str, Any]:
        answer = self.post("/v2/story/idea-2-video", {"idea": idea, **SMALL, **fields})
        assert answer.status == 200, answer.body
        return answer.json

    def get(self, story_id: str) -> Answer:
        return self.call("GET", f"/v2/story/{story_id}")

    def finished(self, story_id: str) -> dict[str, Any]:
        """The story as soon as it has its video, or has failed; read without counting as GETs of it."""
        until(lambda: self._report(story_id).video_url or self._report(story_id).status == "fail")
        return self.get(story_id).json

    def video(self, idea: str = "A fox walks home.", **fields: Any) -> str:
        """The signed URL of a finished story's video."""
        return self.finished(self.submit(idea, **fields)["id"])["video_url"]

    def _report(self, story_id: str) -> Any:
        return self.server.story(story_id)


@dataclass
class Received:
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A real receiver of webhooks; `answers` are given one by one, then 202."""

    url: str
    got: "queue.Queue[Received]" = field(default_factory=queue.Queue)
    answers: list[int] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def next(self) -> Received:
        return self.got.get(timeout=PATIENCE)

    @property
    def waiting(self) -> int:
        return self.got.qsize()


@pytest.fixture
def start() -> Iterator[Callable[..., Caller]]:
    """Starts emulators with options of the test's own."""
    servers: list[EmulatorServer] = []

    def start(**options: Any) -> Caller:
        servers.append(EmulatorServer(replace(QUICK, **options)).start())
        return Caller(servers[-1])

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Caller]:
    """One quick emulator for a whole file."""
    with EmulatorServer(QUICK) as server:
        yield Caller(server)


@pytest.fixture
def other() -> Callable[[Caller, str], Caller]:
    return lambda caller, key: Caller(caller.server, key)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.put(Received(self.headers, body))
            receiver.open.wait(PATIENCE)
            self.send_response(receiver.answers.pop(0) if receiver.answers else 202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hooks/one?a=b")
    receiver.open.set()
    thread = threading.Thread(target=lambda: server.serve_forever(0.02))
    thread.start()
    yield receiver
    receiver.open.set()
    server.shutdown()
    thread.join()
    server.server_close()
