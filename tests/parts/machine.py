"""A whole Storyrelay on this machine, `storyrelay up` in a process of its own, to be used and to be hurt."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis

from service.settings import load_settings
from service.wiring import Relay, open_relay

START_SECONDS = 60

QUICK = {
    "STORYRELAY_RETRY_SCHEDULE": "0.5,1,1,2,2,2,2,2,2,2,2,2",
    "STORYRELAY_LEASE_SECONDS": "4",
    "STORYRELAY_LEASE_RENEWAL_SECONDS": "1",
    "STORYRELAY_REQUEUE_SECONDS": "4",
    "STORYRELAY_SWEEP_SECONDS": "0.5",
    "STORYRELAY_NOT_READY_SCHEDULE": "0.5,1,1,2,2",
    "STORYRELAY_POLL_FIRST_SECONDS": "3",
    "STORYRELAY_POLL_MIN_SECONDS": "1",
    "STORYRELAY_POLL_MAX_SECONDS": "3",
    "STORYRELAY_POLL_RATE": "20",
    "STORYRELAY_STOP_GRACE_SECONDS": "2",
}
"""Schedules of a test: the same machine, in seconds instead of hours."""


def free_port() -> int:
    """A port of loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Machine:
    """A running `up` in `home`, with the environment that it runs in."""

    home: Path
    env: Mapping[str, str]
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What all its processes have said so far."""
        return (self.home / "log").read_text(errors="replace")

    def relay(self) -> Relay:
        """A relay of the caller's own, on the same ledger and queue."""
        return open_relay({**self.env, "REDIS_URL": self.redis_url})

    @property
    def redis_url(self) -> str:
        return (self.home / "var" / "redis_url").read_text().strip()

    def command(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs `storyrelay …` beside it, as its user would."""
        return subprocess.run(
            [sys.executable, "-m", "service.cli", *words],
            env={**self.env, **more},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def flush_queue(self) -> None:
        """FLUSHALL: every job and every worker's registration is gone."""
        with Redis.from_url(self.redis_url) as client:
            client.flushall()

    def workers(self) -> list[psutil.Process]:
        """The worker processes, one a slot, without the pool that keeps them."""
        pools = [p for p in self._children() if _words(p)[-1:] == ["worker"]]
        return [child for pool in pools for child in pool.children()]

    def named(self, word: str) -> list[psutil.Process]:
        """Processes with this word in their command line."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in below if word in _words(process)]

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:  # also a zombie: it has ended since it was listed, and has no command line
        return []


def kill_with_children(process: psutil.Process) -> None:
    """SIGKILL to a process and all below it, at once."""
    family = [process, *process.children(recursive=True)]
    for member in family:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def await_that(
    holds: Callable[[], bool],
    what: str,
    seconds: float,
    every: float = 0.1,
    now: Callable[[], object] | None = None,
) -> None:
    """Waits until it holds; fails with what was waited for, and what `now` says of the matter."""
    deadline = time.monotonic() + seconds
    while not holds():
        late = time.monotonic() >= deadline
        assert not late, f"after {seconds:g} s still not: {what}; {now() if now is not None else ''}"
        time.sleep(every)


@contextmanager
def running(home: Path, toml: str, env: Mapping[str, str]) -> Iterator[Machine]:
    """Starts `storyrelay up` in `home` and ends it, with everything below it, afterwards."""
    home.mkdir(exist_ok=True)
    (home / "storyrelay.toml").write_text(toml)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("STORYRELAY_", "COV_"))}
    whole = {**own, "STORYRELAY_HOME": str(home), "PORT": str(free_port()), "SECRET_KEYS": "k" * 32, **env}
    load_settings(whole)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "up"], env=whole, stdout=log, stderr=subprocess.STDOUT
        )
    machine = Machine(home, whole, process)
    try:
        _await_up(machine)
        yield machine
    finally:
        below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        try:
            process.wait(60)
        finally:
            for left in below:
                if left.is_running():
                    left.kill()
            process.kill()


def _await_up(machine: Machine) -> None:
    def is_up() -> bool:
        assert machine.process.poll() is None, f"up ended at once:\n{machine.log}"
        return "stop=Ctrl-C" in machine.log

    await_that(is_up, "up", START_SECONDS)
