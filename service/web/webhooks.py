"""`POST /webhooks/story/<token>`: verify, record, poke the dispatcher, answer. Nothing else."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, abort, g, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from service import tracing
from service.dispatching import Dispatcher
from service.domain.states import StepKind, Verdict
from service.domain.steps import Lane
from service.intake import Delivery
from service.ledger import LedgerDown
from service.web.refusal_log import RefusalLog
from service.webhook_url import BadToken
from service.wiring import Relay

log = structlog.get_logger()

DISPATCH_MOST = 20
"""Steps of one dispatch: the answers of other webhooks have to wait for as long as it works."""

DISPATCH_SHARE = 0.05
"""Part of its time that a process spends on dispatching: webhooks that come in a burst share one."""

LONGEST_PAUSE = 0.5
"""Seconds between two dispatches at most. Workers dispatch as well, whenever they end a step."""

_TOKENS_KEPT = 10_000
_NO_ATTRIBUTES: Mapping[str, str] = {}

_ANSWERS = {verdict: json.dumps({"verdict": verdict}) + "\n" for verdict in Verdict}


def blueprint(relay: Relay) -> Blueprint:
    """The receiver's route."""
    intake = relay.intake
    poker = Poker(relay.dispatcher)
    meter = TokenMeter(relay.settings.webhook_rate)
    longest = relay.settings.webhook_body_limit
    refusals = RefusalLog("webhook.refused")
    page = Blueprint("webhooks", __name__)

    @page.after_request
    def count_refused(response: Response) -> Response:
        if response.status_code >= HTTPStatus.BAD_REQUEST:  # most of these leave no receipt
            relay.meter.count("refused", str(response.status_code))
            refusals.note(response.status.lower(), request.remote_addr or "")
        return response

    @page.route("/webhooks/story/<token>", methods=["POST"], provide_automatic_options=False)
    def receive(token: str) -> Response | tuple[Response, int] | tuple[Response, int, dict[str, str]]:
        try:
            known = relay.webhook_urls.read(token)
        except BadToken:
            abort(HTTPStatus.NOT_FOUND, "no such webhook address")
        if not meter.admits(token):
            return jsonify(error="too many webhooks for this address"), 429, {"Retry-After": "1"}
        body = _body(longest)
        with tracing.following(g.request_id, "webhook", tracing.SpanKind.SERVER, _NO_ATTRIBUTES):
            delivery = Delivery(
                token=known,
                body=body,
                content_type=request.headers.get("Content-Type", ""),
                remote=request.remote_addr or "",
                trace=tracing.current(),
            )
            with tracing.span("intake"):
                verdict = intake.receive(delivery)
            tracing.note(verdict=verdict.value)
        if verdict == Verdict.MALFORMED:
            return jsonify(error="the body is not a JSON object", verdict=verdict), 400
        poker.poke()
        return Response(_ANSWERS[verdict], HTTPStatus.ACCEPTED, mimetype="application/json")

    return page


def _body(longest: int) -> bytes:
    """Reads from the server itself, which knows where a body ends; werkzeug's reading costs as much as all else."""
    length = request.content_length
    if length is None or length <= longest:
        body: bytes = request.environ["wsgi.input"].read(longest + 1 if length is None else length)
        if length is not None and len(body) < length:
            raise ClientDisconnected
        if len(body) <= longest:
            return body
    raise RequestEntityTooLarge(f"a webhook's body has at most {longest} bytes")


class Poker:
    """Dispatches fetches from a thread of its own, so that no webhook waits for the queue."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def poke(self) -> None:
        """Has the due fetches dispatched soon; never blocks."""
        if (
            self._thread is None or not self._thread.is_alive()
        ):  # also after a fork, which takes no threads along
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="poker", daemon=True)
                    self._thread.start()
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            started = time.monotonic()
            try:
                taken = self._dispatcher.dispatch([Lane(StepKind.FETCH)], DISPATCH_MOST)
            except LedgerDown as error:  # what is due stays due: the sweep dispatches it
                log.warning("ledger.down", error=type(error).__name__)
                taken = 0
            if taken == DISPATCH_MOST:
                self._wanted.set()  # more may be due
            time.sleep(min(LONGEST_PAUSE, (time.monotonic() - started) / DISPATCH_SHARE))


class TokenMeter:
    """Admits up to `rate` webhooks a second for one token, in this process."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._second = -1
        self._counts: dict[str, int] = {}

    def admits(self, token: str) -> bool:
        """Counts one webhook; False when the second's share is used up."""
        second = int(self._clock())
        with self._lock:
            if second != self._second or len(self._counts) > _TOKENS_KEPT:
                self._second, self._counts = second, {}
            count = self._counts.get(token, 0) + 1
            self._counts[token] = count
        return count <= self._rate
