"""`/healthz`: the process answers. `/readyz`: it can take webhooks; what else is well stands in the body."""

from collections.abc import Callable

import structlog
from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError

from service.domain.states import StepKind
from service.job_queue import QueueDown
from service.ledger import LedgerDown, reports
from service.scheduler_heartbeat import HEARTBEAT, is_alive
from service.wiring import Relay

log = structlog.get_logger()

OK = "ok"
DEGRADED = "degraded"


def blueprint(relay: Relay) -> Blueprint:
    """The two health routes; they name no hosts and no secrets."""
    page = Blueprint("health", __name__)

    @page.get("/healthz")
    def healthz() -> Response:
        return jsonify(status=OK)

    @page.get("/readyz")
    def readyz() -> tuple[Response, int]:
        parts = {"queue": _judged(relay, _queue_answers), "workers": _judged(relay, _workers_live)}
        try:
            parts["scheduler"] = OK if _write_and_look(relay) else DEGRADED
        except LedgerDown as error:
            log.warning("ledger.down", error=type(error).__name__)
            return jsonify(status="down", ledger="down", **parts), 503
        status = OK if set(parts.values()) == {OK} else DEGRADED
        return jsonify(status=status, ledger=OK, **parts), 200

    return page


def _judged(relay: Relay, answers: Callable[[Relay], bool]) -> str:
    try:
        return OK if answers(relay) else DEGRADED
    except (RedisError, QueueDown):
        return DEGRADED


def _queue_answers(relay: Relay) -> bool:
    return bool(relay.queue.connection.ping())


def _workers_live(relay: Relay) -> bool:
    return all(relay.queue.workers(kind) for kind in StepKind)


def _write_and_look(relay: Relay) -> bool:
    now = relay.now()
    with relay.ledger.write() as tx:
        reports.beat(tx, "web", now)
        seen = reports.last_beat(tx, HEARTBEAT)
    return is_alive(seen, now, relay.settings.sweep_seconds)
