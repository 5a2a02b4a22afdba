import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from machine import QUICK, await_that, kill_with_children
from redis import Redis
from scripted_api import ScriptedApi, scripted_api

from handlers.worker import worker_counts
from service.domain.states import Outcome, StepKind
from service.ledger.migrating import migrate
from service.ledger.tables import attempts, steps
from service.settings import load_settings
from service.submission import Submission
from service.wiring import Relay, open_relay

POOL = """
import handlers.worker as worker
worker.CALM = 0.05
from handlers.commands import worker as command
command()
"""
STORY = {"id": "story-1", "status": "processing", "progress_percentage": 10}
SECONDS = 30


@dataclass
class Pool:
    """`storyrelay worker --queue fetch` as a program of its own; its Story API answers when it is told to."""

    process: "subprocess.Popen[bytes]"
    relay: Relay
    log_file: Path
    asked: threading.Event
    may_answer: threading.Event
    members: set[psutil.Process] = field(default_factory=set)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def workers(self) -> list[psutil.Process]:
        return self._seen(psutil.Process(self.process.pid).children())

    @property
    def horses(self) -> list[psutil.Process]:
        return self._seen([horse for worker in self.workers for horse in worker.children()])

    def await_workers(self, but: psutil.Process | None = None) -> psutil.Process:
        """Waits for the one worker, another than `but`."""
        await_that(lambda: any(worker != but for worker in self.workers), f"a worker\n{self.log}", SECONDS)
        return next(worker for worker in self.workers if worker != but)

    def work(self) -> None:
        """Orders a fetch and waits until its Story API was asked."""
        relay = self.relay
        submission = Submission(
            relay.ledger, relay.settings, relay.webhook_urls, relay.story_api(), relay.now
        )
        submission.track("story-1")
        relay.dispatcher.dispatch()
        assert self.asked.wait(SECONDS), self.log
        self.asked.clear()
        assert self.horses

    def outcomes(self) -> list[str]:
        with self.relay.ledger.read() as tx:
            return list(tx.execute(sa.select(attempts.c.outcome).order_by(attempts.c.id)).scalars())

    def step(self) -> sa.Row:
        with self.relay.ledger.read() as tx:
            return tx.execute(sa.select(steps)).one()

    def await_outcomes(self, *wanted: str) -> None:
        """Waits for these outcomes of the attempts; sweeps meanwhile, as a scheduler would."""

        def reached() -> bool:
            self.relay.dispatcher.sweep()
            return self.outcomes() == list(wanted)

        await_that(reached, f"{wanted}\n{self.log}", SECONDS)

    def end(self) -> None:
        """Kills all of it, also a worker that took another's place a moment ago."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)  # so that it starts no more meanwhile
            self.members.update(psutil.Process(self.process.pid).children(recursive=True))
        for member in self.members:
            if is_alive(member):
                member.kill()
        self.process.kill()
        self.process.wait()

    def is_gone(self) -> bool:
        return not any(is_alive(member) for member in self.members)

    def _seen(self, processes: list[psutil.Process]) -> list[psutil.Process]:
        self.members.update(processes)
        return processes


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as script:
        yield script


@pytest.fixture
def start(tmp_path: Path, sqlite_url: str, valkey: str, api: ScriptedApi) -> Iterator[Callable[..., Pool]]:
    pools: list[Pool] = []
    asked, may_answer = threading.Event(), threading.Event()

    def answer(_body: object) -> tuple[int, object] | None:
        asked.set()
        return (200, STORY) if may_answer.wait(SECONDS) else None

    def start(**more: str) -> Pool:
        env = {
            **QUICK,
            "STORYRELAY_HOME": str(tmp_path),
            "STORYRELAY_LEASE_SECONDS": "2",
            "STORYRELAY_REQUEUE_SECONDS": "2",
            "STORYRELAY_STOP_GRACE_SECONDS": "20",
            "DATABASE_URL": sqlite_url,
            "REDIS_URL": valkey,
            "SECRET_KEYS": "the-secret-key-of-the-tests",
            "STORY_API_URL": api.url,
            "STORY_API_KEY": "a-key-of-the-tests",
            **more,
        }
        api.answer = answer
        relay = open_relay(env)
        migrate(relay.ledger)
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", POOL, "--queue", "fetch"],
                env={**os.environ, **env},
                stdout=log,
                stderr=log,
            )
        pools.append(Pool(process, relay, tmp_path / "log", asked, may_answer))
        return pools[-1]

    yield start
    may_answer.set()
    for pool in pools:
        pool.end()
        pool.relay.ledger.close()


Start = Callable[..., Pool]


def test_a_killed_worker_is_replaced_and_its_step_done_by_another(start: Start) -> None:
    pool = start()
    first = pool.await_workers()
    pool.work()
    kill_with_children(first)
    pool.may_answer.set()
    pool.await_workers(but=first)
    pool.await_outcomes(Outcome.LOST, Outcome.DONE)
    assert pool.step().attempts == 2
    assert "worker.ended" in pool.log
    pool.process.terminate()
    assert pool.process.wait(SECONDS) == 0
    assert pool.is_gone()


def test_a_killed_work_horse_is_reported_and_its_step_done_again(start: Start) -> None:
    pool = start()
    worker = pool.await_workers()
    pool.work()
    (horse,) = pool.horses
    horse.kill()
    pool.may_answer.set()
    pool.await_outcomes(Outcome.LOST, Outcome.DONE)
    assert f"step.horse_killed step={pool.step().id} pid={horse.pid}" in pool.log
    assert pool.workers == [worker], "the worker itself goes on"


def test_a_running_step_may_end_when_the_pool_is_told_to_stop(start: Start) -> None:
    pool = start()
    pool.await_workers()
    pool.work()
    pool.process.terminate()
    await_that(lambda: "workers.stopping" in pool.log, "it stops", SECONDS)
    pool.may_answer.set()
    assert pool.process.wait(SECONDS) == 0
    assert pool.outcomes() == [Outcome.DONE]
    assert pool.is_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_step_that_does_not_end_is_given_back(start: Start, number: int) -> None:
    pool = start(STORYRELAY_STOP_GRACE_SECONDS="0.2")
    pool.await_workers()
    pool.work()
    pool.process.send_signal(number)
    assert pool.process.wait(SECONDS) == 0
    assert pool.outcomes() == [Outcome.RELEASED]
    assert (pool.step().state, pool.step().attempts) == ("queued", 0), "due at once, no attempt spent"
    assert pool.is_gone()
    assert "worker.killed" not in pool.log


def test_a_killed_pool_leaves_no_process_behind(start: Start) -> None:
    pool = start(STORYRELAY_STOP_GRACE_SECONDS="0.2")
    pool.await_workers()
    pool.work()
    pool.process.kill()
    await_that(pool.is_gone, f"all have ended\n{pool.log}", SECONDS)
    assert pool.outcomes() == [Outcome.RELEASED]


def test_the_horse_of_a_killed_worker_is_told_to_stop(start: Start) -> None:
    pool = start()
    worker = pool.await_workers()
    pool.work()
    (horse,) = pool.horses
    worker.kill()
    await_that(lambda: not is_alive(horse), "it ended", SECONDS)
    assert pool.outcomes()[0] == Outcome.RELEASED


def test_a_worker_outlives_a_flushed_queue(start: Start, redis: Redis) -> None:
    pool = start()
    pool.await_workers()
    pool.work()
    redis.flushall()
    pool.may_answer.set()
    pool.await_outcomes(Outcome.DONE)
    worker = pool.workers
    pool.work()
    pool.await_outcomes(Outcome.DONE, Outcome.DONE)
    assert pool.workers == worker


def test_each_kind_has_its_workers() -> None:
    settings = load_settings({"STORYRELAY_WORKERS_DELIVER": "9"})
    assert worker_counts(settings, None)[StepKind.DELIVER] == 9
    assert worker_counts(settings, StepKind.DELIVER) == {StepKind.DELIVER: 9}
