"""The workers: one process a slot, each on one queue, each job in a fork of its own."""

import gc
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sentry_sdk
import structlog
from redis.client import Pipeline
from rq import Queue, Worker, worker_registration
from rq.job import Job
from rq.serializers import JSONSerializer

from handlers import asking, deliver, download, fetch, notify, progress
from handlers.attempt import EarlyStop
from handlers.step_machine import Handler, StepMachine
from service import send_testing, tracing
from service.domain.states import StepKind
from service.job_queue import patient_connection
from service.ledger import LedgerDown, stories
from service.processes import SignalInbox, die_with_parent
from service.scheduler_heartbeat import SchedulerWatch
from service.settings import Settings
from service.wiring import Relay, open_relay

log = structlog.get_logger()

HANDLERS: Mapping[StepKind, Handler] = {
    StepKind.FETCH: Handler(fetch.work, fetch.dead),
    StepKind.DOWNLOAD: Handler(download.work, download.dead),
    StepKind.DELIVER: Handler(deliver.work, deliver.dead),
    StepKind.NOTIFY: Handler(notify.work, notify.dead),
    StepKind.PROGRESS: Handler(progress.work, progress.dead),
    StepKind.ASK: Handler(asking.work, asking.dead),
}

KILL_AFTER = 5.0
"""Seconds beyond the grace after which a worker that does not end is killed; its step's lease lapses."""

CALM = 5.0
"""A worker that ends sooner than this (seconds) is started again only after as long a pause."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@cache
def process_relay() -> Relay:
    """The relay of this process; opened before the workers fork, which inherit it."""
    return open_relay()


def run_step(step_id: int) -> None:
    """The job that RQ runs, by name: works on one step of the ledger."""
    try:
        StepMachine(process_relay(), HANDLERS).run(step_id)
    finally:
        tracing.flush()
        sentry_sdk.flush(2)  # the work horse leaves by _exit, which would drop what is still unsent


def run_send_test(key: int) -> None:
    """The job that RQ runs, by name: sends a test that a person asked for."""
    try:
        send_testing.run(process_relay(), key)
    finally:
        sentry_sdk.flush(2)


class StepWorker(Worker):
    """RQ's worker with the intervals measured to bring a killed worker's jobs back soon.

    When told to stop, it gives the running step its grace and then has it released.
    """

    def __init__(self, kind: StepKind, settings: Settings, redis_url: str) -> None:
        super().__init__(
            [kind.value],
            connection=patient_connection(redis_url),
            serializer=JSONSerializer,
            maintenance_interval=30,
            worker_ttl=45,
            job_monitoring_interval=10,
            work_horse_killed_handler=_report_killed,
        )
        self.grace = settings.stop_grace_seconds
        self.own_pid = os.getpid()
        self.scheduler_watch = SchedulerWatch(settings.sweep_seconds)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Says that the worker is alive, and signs on anew: a queue that was flushed has forgotten it."""
        super().heartbeat(timeout, pipeline)
        worker_registration.register(self, pipeline)

    def run_maintenance_tasks(self) -> None:
        """Tends the queue, and sees whether the scheduler lives."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ's own
        if self.scheduler_watch.is_due():
            _watch(self.scheduler_watch)

    def handle_warm_shutdown_request(self) -> None:
        """Starts the grace of the step that is running."""
        timer = threading.Timer(self.grace, self._release_horse)
        timer.daemon = True
        timer.start()

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Runs the job in its process, which is told to stop when its worker is killed: nobody watches it then."""
        die_with_parent(self.own_pid)
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Has the job's process hear SIGTERM at any time, and end only where it may."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]  # RQ's own
        signal.signal(signal.SIGTERM, EarlyStop(KILL_AFTER))

    def _release_horse(self) -> None:
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)


def _report_killed(job: Job, pid: int, status: int, _usage: Any) -> None:
    # nothing in the killed process can tell: no exception, no Sentry, only its parent sees it
    step = job.args[0] if job.args else None
    log.error("step.horse_killed", step=step, pid=pid, status=status, story=_story_of(step))


def _watch(scheduler: SchedulerWatch) -> None:
    relay = process_relay()
    try:
        scheduler.look(relay)
    except LedgerDown as error:
        log.warning("ledger.down", error=type(error).__name__)
    finally:
        relay.ledger.close()  # its connection is not kept over the next fork


def _story_of(step: int | None) -> str | None:
    """The story that people know the step by; the ledger's connection is not kept over the next fork."""
    ledger = process_relay().ledger
    try:
        with ledger.read() as tx:
            row = stories.of_step(tx, step) if step is not None else None
    except LedgerDown as error:
        log.warning("ledger.down", error=type(error).__name__)
        return None
    finally:
        ledger.close()
    return None if row is None else row.name


@dataclass
class WorkerPool:
    """Keeps a set number of workers for each kind alive, until SIGTERM or SIGINT."""

    settings: Settings
    redis_url: str
    wanted: Mapping[StepKind, int]
    _slots: dict[int, tuple[StepKind, float]] = field(default_factory=dict)
    _waiting: list[tuple[float, StepKind]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._signals = SignalInbox(_SIGNALS)

    def run(self) -> None:
        """Blocks until every worker has ended."""
        gc.freeze()  # the pages of what is loaded stay shared with the workers
        for kind, count in self.wanted.items():
            for _ in range(count):
                self._start(kind)
        log.info("workers.started", **{str(kind): count for kind, count in self.wanted.items()})
        while self._await_signal() == signal.SIGCHLD:
            self._reap(again=True)
        self._stop()

    def _await_signal(self) -> int:
        while True:
            pause = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            got = self._signals.wait(pause)
            if got is not None:
                return got
            self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, kind = self._waiting.pop(0)
            self._start(kind)

    def _start(self, kind: StepKind) -> None:
        pool = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._work(kind, pool)
        self._slots[pid] = (kind, time.monotonic())

    def _work(self, kind: StepKind, pool: int) -> None:
        status = 1
        try:
            die_with_parent(pool)
            os.setpgrp()  # a terminal's Ctrl-C is for the pool, which passes it on once
            self._signals.leave()
            structlog.contextvars.bind_contextvars(worker=f"{kind}-{os.getpid()}")
            StepWorker(kind, self.settings, self.redis_url).work(logging_level="WARNING")
            status = 0
        finally:
            os._exit(status)

    def _reap(self, *, again: bool) -> None:
        for pid, status in _ended_children():
            slot = self._slots.pop(pid, None)
            if slot is None:  # as process 1 of a container we inherit the work horses of killed workers
                continue
            kind, started = slot
            if again:
                log.error("worker.ended", kind=str(kind), pid=pid, status=status)
                pause = 0.0 if time.monotonic() - started > CALM else CALM
                self._waiting.append((time.monotonic() + pause, kind))
                self._waiting.sort()

    def _stop(self) -> None:
        log.info("workers.stopping", left=len(self._slots))
        for pid in self._slots:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + self.settings.stop_grace_seconds + KILL_AFTER
        while self._slots and (left := deadline - time.monotonic()) > 0:
            self._signals.wait(left)
            self._reap(again=False)
        for pid in self._slots:
            log.error("worker.killed", pid=pid)
            os.kill(pid, signal.SIGKILL)
        log.info("workers.stopped")


def _ended_children() -> Iterable[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def worker_counts(settings: Settings, only: StepKind | None) -> dict[StepKind, int]:
    """How many workers each kind gets; those of one kind alone where it is named."""
    counts = {
        StepKind.FETCH: settings.workers_fetch,
        StepKind.DOWNLOAD: settings.workers_download,
        StepKind.DELIVER: settings.workers_deliver,
        StepKind.NOTIFY: settings.workers_notify,
    }
    return counts if only is None else {only: counts[only]}
