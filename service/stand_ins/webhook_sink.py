"""A receiver of outgoing webhooks that checks each signature and keeps what came (Standard Webhooks 1.0.0)."""

import json
import random
import socket
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

MAX_BODY = 4 * 2**20


@dataclass(frozen=True)
class Delivery:
    """One webhook that was taken. `id` is equal for every repeat of one message."""

    id: str
    type: str
    story_id: str | None
    verified: bool
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class SinkFault:
    """What one request gets instead of 204.

    `after_effect`: the delivery is kept all the same. `drop`: no answer, the connection is cut.
    `delay`: seconds before the answer, cut short when the sink closes.
    """

    status: int = 503
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    after_effect: bool = False
    drop: bool = False
    delay: float = 0


TAKEN = SinkFault(status=204, after_effect=True)


class WebhookSink:
    """Listens on loopback while its `with` block is open.

    `secret`: `whsec_…`, or None for senders that sign nothing; `error_rate`: the share of requests that get 503,
    half of them after the effect; `log`: a file that gets one JSON line for each delivery.
    """

    def __init__(
        self,
        secret: str | None,
        *,
        port: int = 0,
        error_rate: float = 0,
        seed: int = 0,
        log: Path | None = None,
    ) -> None:
        self._webhook = None if secret is None else Webhook(secret)
        self._error_rate = error_rate
        self._random = random.Random(seed)
        self._log = log
        self._lock = threading.Lock()
        self._faults: deque[SinkFault] = deque()
        self._deliveries: list[Delivery] = []
        self.closing = threading.Event()
        self.requests = 0
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.sink = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hooks/story"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def deliveries(self) -> list[Delivery]:
        """What was taken so far, in order, repeats included."""
        with self._lock:
            return list(self._deliveries)

    def fail_next(self, fault: SinkFault | None = None, *, times: int = 1) -> None:
        """The next requests get `fault` (503 without an effect if none is given)."""
        with self._lock:
            self._faults.extend([fault or SinkFault()] * times)

    def receive(self, headers: Mapping[str, str], body: bytes) -> SinkFault:
        """Takes one request and says how to answer it."""
        try:
            data = json.loads(body)
        except ValueError:
            return SinkFault(status=400, body="not JSON")
        verified = self._verifies(headers, body)
        with self._lock:
            self.requests += 1
            answer = self._answer()
            if verified is not False and answer.after_effect:
                self._keep(_delivery(headers, data, verified=bool(verified)))
        return answer if verified is not False else SinkFault(status=401, body="the signature does not match")

    def _answer(self) -> SinkFault:
        if self._faults:
            return self._faults.popleft()
        if self._random.random() < self._error_rate:
            return SinkFault(after_effect=self._random.random() < 0.5)
        return TAKEN

    def _verifies(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """None where nothing is to be verified."""
        if self._webhook is None:
            return None
        try:
            self._webhook.verify(body, dict(headers))
        except WebhookVerificationError:
            return False
        return True

    def _keep(self, delivery: Delivery) -> None:
        self._deliveries.append(delivery)
        if self._log is not None:
            line = {"id": delivery.id, "type": delivery.type, "story": delivery.story_id, **delivery.body}
            with self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")


def _delivery(headers: Mapping[str, str], body: dict[str, Any], *, verified: bool) -> Delivery:
    story = body.get("data", {}).get("story") or {}
    lowered = {name.lower(): value for name, value in headers.items()}
    return Delivery(
        lowered.get("webhook-id", ""), body.get("type", ""), story.get("id"), verified, body, lowered
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: WebhookSink


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: without it, Nagle and delayed ACK cost 40 ms
    timeout = 30
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self._reply(SinkFault(status=413))
            return
        self._reply(self.server.sink.receive(dict(self.headers), self.rfile.read(length)))

    def _reply(self, answer: SinkFault) -> None:
        if answer.delay:
            self.server.sink.closing.wait(answer.delay)
        if answer.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        content = answer.body.encode()
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Requests are kept, not printed."""
