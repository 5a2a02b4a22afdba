import subprocess
import threading
from pathlib import Path

import pytest
from machine import await_that, free_port
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from handlers import worker
from service import embedded_queue
from service.domain.states import StepKind
from service.job_queue import RUN_STEP, SEND_TEST, JobQueue, QueueDown, fast_connection, patient_connection


@pytest.fixture
def queue(valkey: str) -> JobQueue:
    return JobQueue(fast_connection(valkey, timeout=2))


def jobs(queue: JobQueue, kind: StepKind) -> list[Job]:
    return Queue(kind.value, connection=queue.connection, serializer=JSONSerializer).get_jobs()


def test_a_job_is_a_steps_key_and_nothing_else(queue: JobQueue) -> None:
    queue.enqueue([(7, StepKind.FETCH)])
    (job,) = jobs(queue, StepKind.FETCH)
    assert (job.func_name, list(job.args), job.kwargs) == (RUN_STEP, [7], {})
    assert (job.timeout, job.result_ttl, job.retries_left) == (-1, 0, None)
    assert job.func is worker.run_step


def test_the_job_of_a_test_is_its_key_and_waits_behind_notices(queue: JobQueue) -> None:
    queue.enqueue_test(9)
    (job,) = jobs(queue, StepKind.NOTIFY)
    assert (job.func_name, list(job.args)) == (SEND_TEST, [9])
    assert job.func is worker.run_send_test


def test_only_workers_that_live_count(queue: JobQueue) -> None:
    both = [Worker(["fetch"], connection=queue.connection, serializer=JSONSerializer) for _ in range(2)]
    for each in both:
        each.register_birth()
    queue.connection.delete(both[0].key)  # what the queue does by itself when no heartbeat comes
    assert [each.name for each in queue.workers(StepKind.FETCH)] == [both[1].name]
    assert queue.workers(StepKind.DELIVER) == []
    with pytest.raises(QueueDown):
        JobQueue(fast_connection(f"redis://127.0.0.1:{free_port()}", timeout=1)).workers(StepKind.FETCH)


def test_each_kind_but_progress_and_questions_has_its_own_queue_in_the_given_order(queue: JobQueue) -> None:
    queue.enqueue([(3, StepKind.DELIVER), (1, StepKind.FETCH), (2, StepKind.DELIVER), (9, StepKind.NOTIFY)])
    assert [job.args[0] for job in jobs(queue, StepKind.DELIVER)] == [3, 2]
    depths = {kind: queue.depth(kind) for kind in StepKind}
    assert depths == {"fetch": 1, "download": 0, "deliver": 2, "notify": 1, "progress": 1, "ask": 1}


def test_the_same_step_again_is_another_job(queue: JobQueue) -> None:
    for _ in range(3):
        queue.enqueue([(7, StepKind.FETCH)])
    assert len({job.id for job in jobs(queue, StepKind.FETCH)}) == 3


def test_many_at_once_are_all_there(queue: JobQueue) -> None:
    queue.enqueue([(step, StepKind.FETCH) for step in range(500)])
    assert [job.args[0] for job in jobs(queue, StepKind.FETCH)] == list(range(500))


def test_nothing_is_enqueued_for_nothing(queue: JobQueue, redis: Redis) -> None:
    queue.enqueue([])
    assert redis.dbsize() == 0


def test_a_server_that_is_not_there_is_told_without_its_address_password() -> None:
    connection = fast_connection(f"redis://:the-password@127.0.0.1:{free_port()}", timeout=0.25)
    for use in (lambda q: q.enqueue([(1, StepKind.FETCH)]), lambda q: q.depth(StepKind.FETCH)):
        with pytest.raises(QueueDown) as error:
            use(JobQueue(connection))
        assert "the-password" not in str(error.value)


def test_a_server_that_hangs_is_a_server_that_is_down(tmp_path: Path) -> None:
    server, url = start(tmp_path)
    queue = JobQueue(fast_connection(url, timeout=0.1))
    queue.enqueue([(1, StepKind.FETCH)])
    server.send_signal(subprocess.signal.SIGSTOP)
    with pytest.raises(QueueDown):
        queue.enqueue([(2, StepKind.FETCH)])
    server.kill()
    server.wait()


def test_a_worker_rides_out_a_restart_and_what_was_queued_survives_it(tmp_path: Path) -> None:
    server, url = start(tmp_path)
    patient = patient_connection(url)
    JobQueue(patient).enqueue([(1, StepKind.FETCH)])
    server.terminate()
    server.wait()
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(JobQueue(patient).depth(StepKind.FETCH)))
    asking.start()
    server, _ = start(tmp_path)
    asking.join(30)
    assert answers == [1]
    server.kill()
    server.wait()


def start(folder: Path) -> tuple["subprocess.Popen[bytes]", str]:
    var = folder / "var"
    var.mkdir(exist_ok=True)
    server = subprocess.Popen(embedded_queue.command(var), stdout=subprocess.DEVNULL)
    url = embedded_queue.url(var)
    await_that(lambda: embedded_queue.answers(url), "the queue server answers", 20, every=0.02)
    return server, url
