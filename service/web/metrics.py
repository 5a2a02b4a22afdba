"""`/metrics` in Prometheus' form, derived from the ledger: right whichever process is asked."""

import hmac
import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, abort, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from service import VERSION
from service.domain.notices import LASTING
from service.domain.states import Outcome, StepKind
from service.job_queue import QueueDown
from service.ledger import lanes, metrics, troubles
from service.ledger.metrics import Series
from service.scheduler_heartbeat import HEARTBEAT
from service.settings import Settings
from service.web.metric_families import (
    CIRCUITS,
    FAMILIES,
    STEP_KINDS,
    empty,
    from_totals,
    shown_name,
    sums,
)
from service.wiring import Relay

log = structlog.get_logger()

_TOLD = (StepKind.DELIVER, StepKind.NOTIFY)
"""What is done at destinations, and sooner or later at all of them."""

PROXY_HEADERS = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
"""Any of them says that the request came through a proxy."""


def blueprint(relay: Relay) -> Blueprint:
    """The route; who may ask is a matter of METRICS_ALLOW and METRICS_TOKEN."""
    page = Blueprint("metrics", __name__)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerMetrics(relay))

    @page.get("/metrics")
    def show() -> Response:
        proxied = any(name in request.headers for name in PROXY_HEADERS)
        # an address that is a proxy's of which nobody told us is not that of the one who asks
        remote = None if proxied and not relay.settings.trusted_proxies else request.remote_addr
        if not is_admitted(relay.settings, remote, request.headers.get("Authorization", "")):
            abort(404)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"})

    return page


def is_admitted(settings: Settings, remote: str | None, authorization: str) -> bool:
    """Whether the settings name the address, or the bearer token."""
    token = settings.metrics_token.get_secret_value()
    scheme, _, given = authorization.partition(" ")
    if token and scheme.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode(), token.encode())
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in settings.metrics_allow)


@dataclass(frozen=True, eq=False)
class LedgerMetrics(Collector):
    """Reads all metrics anew for each scrape, in one view of the ledger and a few calls of the queue."""

    relay: Relay

    def describe(self) -> list[Metric]:
        """Nothing: names are known from the families."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        now = self.relay.now()
        show = shown_name(self.relay.configuration.destinations)
        with self.relay.ledger.read() as tx:
            plain, timed = metrics.read(tx)
            waiting = metrics.waiting(tx)
            due = metrics.oldest_due(tx, now)
            states = lanes.all_lanes(tx)
            beats = metrics.beats(tx)
            unfolded = metrics.unfolded(tx)
            lasting = troubles.count_open(tx)
        yield from from_totals(plain, {**self._none_dead(), **timed}, show)
        held = {Series("steps", w.kind, w.destination, w.state): float(w.count) for w in waiting}
        ended = {series: value for series, value in plain.items() if series.name == "steps"}
        yield _filled("steps", sums(FAMILIES["steps"], {**ended, **held}, show))
        ages: dict[tuple[str, ...], float] = defaultdict(float)
        for (kind, destination), age in due.items():
            ages[kind, show(destination)] = max(ages[kind, show(destination)], age)
        yield _filled("oldest_due_step_age_seconds", ages)
        circuits: dict[tuple[str, ...], float] = {
            (str(state.lane.kind), state.lane.destination, str(each)): float(state.circuit == each)
            for state in states
            for each in CIRCUITS
            if show(state.lane.destination) == state.lane.destination
        }
        yield _filled("circuit", circuits)
        yield _filled("trouble_open", {(str(kind),): float(lasting.get(kind, 0)) for kind in LASTING})
        yield _filled("heartbeat_age_seconds", _ages(beats, now))
        yield _filled("tallies_waiting", {(): float(unfolded)})
        yield _filled("build_info", {(VERSION,): 1.0})
        yield from self._queue(now)

    def _none_dead(self) -> dict[Series, metrics.Histogram]:
        """Each lane's attempts that ended for good, at zero: an alert can't see a rise from nothing."""
        none = metrics.Histogram([0.0] * (len(metrics.BOUNDS["attempts"]) + 1), 0.0)
        places = [(kind, name) for name in self.relay.configuration.destinations for kind in _TOLD]
        lanes_of_ours = [(StepKind.FETCH, ""), (StepKind.DOWNLOAD, ""), *places]
        return {Series("attempts", kind, name, Outcome.DEAD): none for kind, name in lanes_of_ours}

    def _queue(self, now: datetime) -> Iterator[Metric]:
        jobs: dict[tuple[str, ...], float] = {}
        workers: dict[tuple[str, ...], float] = {}
        ages: dict[tuple[str, ...], float] = {}
        try:
            for kind in STEP_KINDS:
                label = (str(kind),)
                jobs[label] = float(self.relay.queue.depth(kind))
                seen = [worker.last_heartbeat for worker in self.relay.queue.workers(kind)]
                workers[label] = float(len(seen))
                silent = [(now - _aware(at)).total_seconds() for at in seen if at is not None]
                if silent:
                    ages[label] = max(0.0, *silent)
            up = 1.0
        except (RedisError, QueueDown) as error:
            log.warning("queue.down", error=type(error).__name__)
            up = 0.0
        yield _filled("queue_jobs", jobs)
        yield _filled("workers", workers)
        yield _filled("worker_heartbeat_age_seconds", ages)
        yield _filled("queue_up", {(): up})


def _ages(beats: dict[str, datetime], now: datetime) -> dict[tuple[str, ...], float]:
    return {(name,): (now - at).total_seconds() for name, at in beats.items() if name == HEARTBEAT}


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _filled(name: str, samples: dict[tuple[str, ...], float]) -> Metric:
    made: Metric = empty(name)
    for labels, value in samples.items():
        made.add_metric(labels, value)  # type: ignore[attr-defined]  # of the families, not of Metric
    return made
