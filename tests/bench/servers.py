"""The servers that a measure needs, each a process of its own: database, queue, gunicorn."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from service import embedded_queue
from service.cli.up import answer_of
from tests.conftest import _postgres
from tests.parts.machine import await_that, free_port


def environment(home: Path, database: str, queue: str) -> dict[str, str]:
    """What the web process and a relay beside it run with."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STORYRELAY_")}
    return {
        **own,
        "STORYRELAY_HOME": str(home),
        "DATABASE_URL": database or f"sqlite:///{home}/var/ledger.sqlite3",
        "REDIS_URL": queue,
        "SECRET_KEYS": "k" * 32,
        "PORT": str(free_port()),
    }


@contextmanager
def database(kind: str) -> Iterator[str]:
    """The address of an empty database, '' for the folder's own SQLite file."""
    if kind == "sqlite":
        yield ""
        return
    with (
        tempfile.TemporaryDirectory(prefix="storyrelay-bench-", ignore_cleanup_errors=True) as folder,
        contextmanager(_postgres)(Path(folder)),
    ):
        yield f"postgresql+psycopg://tests@/postgres?host={folder}"


@contextmanager
def queue(var: Path) -> Iterator[str]:
    var.mkdir()
    url = embedded_queue.url(var)
    with _process(embedded_queue.command(var), {}):
        await_that(lambda: embedded_queue.answers(url), "the queue server", 10)
        yield url


@contextmanager
def gunicorn(env: Mapping[str, str]) -> Iterator[int]:
    """The web process as `up` starts it, its application aside."""
    port = int(env["PORT"])
    command = [sys.executable, "-m", "gunicorn", "--config", "python:service.web.serving"]
    command += ["--bind", f"127.0.0.1:{port}", "tests.bench.app:create_app()"]
    with _process(command, env):
        await_that(lambda: answer_of(f"http://127.0.0.1:{port}/healthz") is not None, "gunicorn", 30)
        yield port


@contextmanager
def _process(command: Sequence[str], env: Mapping[str, str]) -> Iterator[None]:
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=said)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)
            said.seek(0)
            # what it notes is of no interest here, what it complains of is
            sys.stderr.writelines(line for line in said if line.split()[1:2] != ["info"])
