import dataclasses
import sqlite3
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from machine import free_port
from redis import Redis
from relayed import World
from rq import Worker

from handlers.worker import StepWorker
from service.domain.states import StepKind
from service.job_queue import JobQueue, fast_connection
from service.ledger import Ledger, engine, reports
from service.scheduling import Scheduler
from service.web import create_app

MakeWorld = Callable[..., World]


def ready(world: World) -> tuple[int, dict[str, str]]:
    answer = create_app(world.relay).test_client().get("/readyz")
    return answer.status_code, answer.get_json()


@pytest.fixture
def whole(world: World, valkey: str) -> World:
    """A world with a real queue."""
    queue = JobQueue(fast_connection(valkey, timeout=0.25))
    return dataclasses.replace(world, relay=dataclasses.replace(world.relay, queue=queue))


def sign_on(world: World, *kinds: StepKind) -> list[Worker]:
    workers = [Worker([kind.value], connection=world.relay.queue.connection) for kind in kinds]
    for worker in workers:
        worker.register_birth()
    return workers


def test_alive_is_who_answers(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})


def test_all_is_well(whole: World) -> None:
    sign_on(whole, *StepKind)
    Scheduler(whole.relay).once()
    assert ready(whole) == (
        200,
        {"status": "ok", "ledger": "ok", "queue": "ok", "workers": "ok", "scheduler": "ok"},
    )


def test_a_kind_of_work_without_a_worker(whole: World) -> None:
    sign_on(whole, StepKind.FETCH, StepKind.DOWNLOAD, StepKind.NOTIFY)
    Scheduler(whole.relay).once()
    status, said = ready(whole)
    assert (status, said["status"], said["workers"]) == (200, "degraded", "degraded")
    assert (said["queue"], said["scheduler"]) == ("ok", "ok")


def test_a_killed_worker_does_not_count_for_long(whole: World, redis: Redis) -> None:
    workers = sign_on(whole, *StepKind)
    redis.delete(workers[0].key)  # what the queue does by itself when no heartbeat comes
    assert ready(whole)[1]["workers"] == "degraded"


def test_a_flushed_queue_learns_of_its_workers_again(whole: World, redis: Redis, valkey: str) -> None:
    workers = [StepWorker(kind, whole.relay.settings, valkey) for kind in StepKind]
    for worker in workers:
        worker.register_birth()
    redis.flushall()
    assert ready(whole)[1]["workers"] == "degraded"
    for worker in workers:
        worker.heartbeat()
    assert ready(whole)[1]["workers"] == "ok"


def test_a_scheduler_that_is_silent(whole: World) -> None:
    sign_on(whole, *StepKind)
    assert ready(whole)[1]["scheduler"] == "degraded", "never seen"
    Scheduler(whole.relay).once()
    whole.clock.move(10)
    assert ready(whole)[1]["scheduler"] == "ok"
    whole.clock.move(2)
    assert ready(whole)[1] == {
        "status": "degraded",
        "ledger": "ok",
        "queue": "ok",
        "workers": "ok",
        "scheduler": "degraded",
    }


def test_without_a_queue_webhooks_can_still_be_taken(world: World) -> None:
    queue = JobQueue(fast_connection(f"redis://127.0.0.1:{free_port()}", timeout=0.25))
    status, said = ready(dataclasses.replace(world, relay=dataclasses.replace(world.relay, queue=queue)))
    assert (status, said["status"]) == (200, "degraded")
    assert (said["queue"], said["workers"]) == ("degraded", "degraded")


def test_a_ledger_that_can_be_read_but_not_written_is_not_ready(
    make: MakeWorld, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    world = make(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    world.queue.connection = fast_connection(f"redis://127.0.0.1:{free_port()}", timeout=0.25)
    status, said = ready(world)
    assert (status, said["status"], said["ledger"]) == (503, "down", "down")
    other.execute("ROLLBACK")
    assert ready(world)[0] == 200
    other.close()


def test_a_ledger_that_is_gone_is_not_ready_and_names_no_host(world: World) -> None:
    gone = Ledger(f"postgresql+psycopg://relay:secret@127.0.0.1:{free_port()}/none")
    world.queue.connection = fast_connection(f"redis://127.0.0.1:{free_port()}", timeout=0.25)
    app = create_app(dataclasses.replace(world.relay, ledger=gone))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text
    assert app.test_client().get("/healthz").status_code == 200


def test_each_look_writes_the_ledger(either: World) -> None:
    either.queue.connection = fast_connection(f"redis://127.0.0.1:{free_port()}", timeout=0.25)
    for _ in range(2):
        either.clock.move(1)
        assert ready(either)[0] == 200
        with either.relay.ledger.read() as tx:
            assert reports.last_beat(tx, "web") == either.clock()
