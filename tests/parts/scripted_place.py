"""A server on loopback that answers each call as a test says, and shows what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One call; `body` is read as JSON where it is that."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Says:
    """An answer; `content` is sent as JSON, bytes as they are."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ScriptedPlace:
    """`answer` decides on each call; None breaks the connection off without an answer."""

    url: str
    answer: Callable[[Asked], Says | None]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted_place() -> Iterator[ScriptedPlace]:
    """Answers 404 until the test says otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers), _read(body))
            place.asked.append(asked)
            self._say(place.answer(asked))
            self.close_connection = True

        def _say(self, says: Says | None) -> None:
            if says is None:
                return
            data = says.content if isinstance(says.content, bytes) else json.dumps(says.content).encode()
            self.send_response(says.status)
            for name, value in {**says.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = ScriptedPlace(f"http://127.0.0.1:{server.server_port}", lambda _asked: Says(404))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body
