"""Durable webhook answers against those of a route that does nothing: the same gunicorn, the same connections."""

import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from service.domain.states import Origin, StepState, StoryState
from service.ledger import Ledger
from service.ledger.migrating import migrate
from service.ledger.tables import receipts, steps, stories
from service.wiring import Relay, open_relay, utc_now
from tests.bench import servers
from tests.bench.figures import Figure
from tests.bench.load import Client, Load
from tests.bench.processor import of_servers

CONNECTIONS = 32
WARM_UP = 200
WEBHOOKS = 800
NOOPS = 1600
"""Requests of one round, about a second of each."""


Spent = tuple[float, float]
"""Microseconds of processor time for each request: of the web process and the queue, and of the database."""


@dataclass(frozen=True)
class Round:
    """One of each."""

    webhooks: Load
    noops: Load
    webhook_processor: Spent
    noop_processor: Spent

    @property
    def processor_ratio(self) -> float:
        """By the processor time of the servers: what the first is where nothing else runs and no one waits."""
        return sum(self.noop_processor) / sum(self.webhook_processor)

    @property
    def ratio(self) -> float:
        return self.webhooks.per_second / self.noops.per_second

    @property
    def client_share(self) -> float:
        """Which part of its time the client was busy, on the route that asks most of it."""
        return self.noops.client_seconds / self.noops.seconds


def run(database: str, rounds: int = 9, at_least: float | None = None) -> list[Figure]:
    """Measures with `sqlite` or `postgresql`, both as durable as the service runs them."""
    with (
        tempfile.TemporaryDirectory(prefix="storyrelay-bench-", ignore_cleanup_errors=True) as folder,
        servers.database(database) as url,
        servers.queue(Path(folder) / "var") as queue,
    ):
        env = servers.environment(Path(folder), url, queue)
        relay = open_relay(env)
        migrate(relay.ledger)
        tokens = _prepare(relay, WARM_UP + rounds * WEBHOOKS)
        with servers.gunicorn(env) as port:
            taken = list(_rounds(relay, port, _Requests(port, tokens), rounds))
        _check(relay.ledger, len(tokens))
        relay.ledger.close()
    return _figures(database, taken, at_least)


def _figures(database: str, taken: Sequence[Round], at_least: float | None) -> list[Figure]:
    client = max(one.client_share for one in taken)
    speeds = (
        f"{_middle([one.webhooks.per_second for one in taken]):.0f} webhooks/s, "
        f"{_middle([one.noops.per_second for one in taken]):.0f} no-ops/s, {CONNECTIONS} connections; "
        f"the client was busy {client:.0%} of a core at most"
    )
    return [
        Figure(f"webhooks/{database}", [one.ratio for one in taken], "×", at_least, remark=speeds),
        Figure(
            f"webhooks/{database}: by processor time",
            [one.processor_ratio for one in taken],
            "×",
            remark=_spent(taken),
        ),
        Figure(f"webhooks/{database}: p99", [one.webhooks.p99 * 1000 for one in taken], "ms", at_most=100),
    ]


def _spent(taken: Sequence[Round]) -> str:
    web, database = (_middle([one.webhook_processor[part] for one in taken]) for part in (0, 1))
    noop = _middle([sum(one.noop_processor) for one in taken])
    return f"µs for each: webhook {web:.0f} and the database {database:.0f}, no-op {noop:.0f}"


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


class _Requests:
    """Prebuilt requests: each webhook by another submission's token."""

    def __init__(self, port: int, tokens: Sequence[tuple[str, str]]) -> None:
        self._port = port
        self._tokens = iter(tokens)

    def webhooks(self, count: int) -> list[bytes]:
        return [self._webhook(*token) for token in islice(self._tokens, count)]

    def noops(self, count: int) -> list[bytes]:
        return [self._request("/noop", _body(f"{number:032x}")) for number in range(count)]

    def _webhook(self, path: str, story_id: str) -> bytes:
        return self._request(path, _body(story_id))

    def _request(self, path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUser-Agent: bench\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _body(story_id: str) -> bytes:
    """As the Story API's V1 page documents it."""
    return json.dumps({"customer_id": "c" * 24, "batch_id": story_id, "status": "success"}).encode()


def _rounds(relay: Relay, port: int, requests: _Requests, rounds: int) -> Iterator[Round]:
    processes = relay.settings.web_concurrency
    with Client(port, CONNECTIONS, processes, requests.noops(1)[0]) as client:
        client.send(requests.noops(WARM_UP))
        _accepted(client.send(requests.webhooks(WARM_UP)))
    for number in range(rounds):
        _work_off(relay)
        webhooks, noops = requests.webhooks(WEBHOOKS), requests.noops(NOOPS)
        with Client(port, CONNECTIONS, processes, requests.noops(1)[0]) as client:
            if number % 2:
                taken, spent = _watched(relay.ledger, client, webhooks)
                idle, spent_idle = _watched(relay.ledger, client, noops)
            else:
                idle, spent_idle = _watched(relay.ledger, client, noops)
                taken, spent = _watched(relay.ledger, client, webhooks)
        yield Round(_accepted(taken), idle, spent, spent_idle)


def _watched(ledger: Ledger, client: Client, requests: Sequence[bytes]) -> tuple[Load, Spent]:
    web, database = of_servers(ledger)
    load = client.send(requests)
    web_after, database_after = of_servers(ledger)
    each = 1e6 / len(requests)
    return load, ((web_after - web) * each, (database_after - database) * each)


def _accepted(load: Load) -> Load:
    if set(load.statuses) != {202}:
        raise AssertionError(f"not every webhook was accepted: {load.statuses}")
    return load


def _work_off(relay: Relay) -> None:
    """What the workers would do in quieter times, so that every round begins with an empty queue."""
    with relay.ledger.write() as tx:
        tx.execute(sa.update(steps).where(steps.c.state != StepState.DONE).values(state=StepState.DONE))
    relay.queue.connection.flushall()


def _check(ledger: Ledger, count: int) -> None:
    """Every answered webhook is in the ledger, with its step."""
    with ledger.read() as tx:
        kept = [
            tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (receipts, steps)
        ]
    if kept != [count, count]:
        raise AssertionError(
            f"{count} webhooks were answered, the ledger has {kept[0]} receipts and {kept[1]} steps"
        )


def _prepare(relay: Relay, count: int) -> list[tuple[str, str]]:
    """Writes submissions as they stand when their webhook comes; returns path and story id of each."""
    now = utc_now()
    rows = [
        {
            "submission_id": secrets.token_urlsafe(12),
            "story_id": secrets.token_hex(12),
            "origin": Origin.SUBMITTED,
            "kind": "idea-2-video",
            "state": StoryState.OPEN,
            "title": f"Story number {number}",
            "request": {"idea": "A fox rings at teatime. " * 10, "scene_count": 3, "scene_duration": 5},
            "labels": {},
            "next_poll_at": now + timedelta(minutes=10),
            "created_at": now,
            "updated_at": now,
        }
        for number in range(count)
    ]
    with relay.ledger.write() as tx:
        tx.execute(sa.insert(stories), rows)
    with relay.ledger.write() as tx:
        tx.execute(sa.text("ANALYZE"))
    start = len(relay.settings.public_url)
    return [
        (relay.webhook_urls.for_submission(row["submission_id"])[start:], row["story_id"]) for row in rows
    ]
