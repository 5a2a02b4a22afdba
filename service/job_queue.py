"""The job queue: RQ carries hints that a step wants to be worked on; the ledger is the truth."""

import uuid
from collections.abc import Iterable, Sequence
from itertools import groupby

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from service.domain.states import StepKind

RUN_STEP = "handlers.worker.run_step"
"""The job: its only argument is the step's key in the ledger."""

SEND_TEST = "handlers.worker.run_send_test"
"""The job of a test that a person wants sent: its only argument is the test's key in the ledger."""

JOB_TTL = 3600
"""Seconds for which RQ keeps the hash of a job that failed; the ledger holds what people need to know."""


class QueueDown(Exception):
    """The queue's server can't be reached; nothing is lost, the sweeper enqueues again."""


def patient_connection(url: str) -> "Redis":
    """A connection for workers: rides out an outage of about two minutes instead of ending the worker."""
    return Redis.from_url(
        url,
        retry=Retry(ExponentialBackoff(cap=2, base=0.05), 60),
        retry_on_error=[ConnectionError, TimeoutError],
        socket_connect_timeout=5,
        health_check_interval=30,
    )


def fast_connection(url: str, *, timeout: float) -> "Redis":
    """A connection that answers or fails within `timeout` seconds and never tries again."""
    return Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )


class JobQueue:
    """One RQ queue for each kind of step."""

    def __init__(self, connection: "Redis") -> None:
        self.connection = connection

    def enqueue(self, steps: Iterable[tuple[int, StepKind]]) -> None:
        """Enqueues one job a step under a fresh job id. Raises QueueDown."""
        ordered = sorted(steps, key=lambda step: step[1])
        try:
            for kind, group in groupby(ordered, key=lambda step: step[1]):
                self._enqueue_jobs(kind, RUN_STEP, [step_id for step_id, _ in group])
        except RedisError as error:
            raise QueueDown(f"the job queue does not answer: {error}") from error

    def enqueue_test(self, test: int) -> None:
        """Has a worker send a test; it waits behind notices alone, which are few. Raises QueueDown."""
        try:
            self._enqueue_jobs(StepKind.NOTIFY, SEND_TEST, [test])
        except RedisError as error:
            raise QueueDown(f"the job queue does not answer: {error}") from error

    def depth(self, kind: StepKind) -> int:
        """How many jobs wait. Raises QueueDown."""
        try:
            return self.queue(kind).count
        except RedisError as error:
            raise QueueDown(f"the job queue does not answer: {error}") from error

    def workers(self, kind: StepKind) -> list[Worker]:
        """The workers that live on one kind. Raises QueueDown.

        Not `Worker.count`: it counts those, too, that were killed and so could not sign off.
        """
        try:
            return [worker for worker in Worker.all(queue=self.queue(kind)) if isinstance(worker, Worker)]
        except RedisError as error:
            raise QueueDown(f"the job queue does not answer: {error}") from error

    def queue(self, kind: StepKind) -> Queue:
        """The RQ queue of one kind, with the serializer that every side has to name."""
        return Queue(kind.queue.value, connection=self.connection, serializer=JSONSerializer)

    def _enqueue_jobs(self, kind: StepKind, work: str, keys: Sequence[int]) -> None:
        queue = self.queue(kind)
        jobs = [
            Queue.prepare_data(
                work,
                args=[key],
                timeout=-1,  # the step machine has its own limit, which the ledger can tell
                result_ttl=0,
                failure_ttl=JOB_TTL,
                description=f"{work.rpartition('.')[2]} {key}",
                job_id=uuid.uuid4().hex,
            )
            for key in keys
        ]
        queue.enqueue_many(jobs)


class NoQueue(JobQueue):
    """Where no queue's address is known: commands write the ledger, and the sweep enqueues once one runs."""

    def __init__(self) -> None:
        """Connects nothing."""

    def queue(self, kind: StepKind) -> Queue:
        """Raises QueueDown."""
        raise QueueDown(f"no queue is known for {kind} steps: start `storyrelay up`, or set REDIS_URL")
