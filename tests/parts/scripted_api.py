"""A Story API on loopback that does what a test says, and shows what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ScriptedApi:
    """Answers each request with `answer`: a status and a JSON body, None to break off without an answer."""

    url: str
    answer: Callable[[dict[str, Any]], tuple[int, Any] | None]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.bodies.append(body)
            self._say(script.answer(body))

        def do_GET(self) -> None:
            self._say(script.answer({}))

        def do_DELETE(self) -> None:
            script.deleted.append(self.path)
            self._say(script.answer({}))

        def _say(self, said: tuple[int, Any] | None) -> None:
            if said is None:
                self.close_connection = True
                return
            data = json.dumps(said[1]).encode()
            self.send_response(said[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that went away is the test's business."""

    server = Server(("127.0.0.1", 0), Handler)
    script = ScriptedApi(f"http://127.0.0.1:{server.server_port}", lambda _body: (404, {"code": "NOT_FOUND"}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()
