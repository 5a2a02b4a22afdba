"""Keeps the processes of one machine alive, and ends them together."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import structlog

from service.processes import SignalInbox, die_with_parent

log = structlog.get_logger()

CALM = 5.0
"""A process that ends sooner than this (seconds) is started again only after as long a pause."""

_STOPS = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_STOPS, signal.SIGCHLD)


@dataclass(frozen=True)
class Program:
    """A process to keep alive. `patience`: seconds that it gets to end after SIGTERM.

    `log`: where what it says goes, for one that does not speak as our own do; None: with the others.
    """

    name: str
    command: Sequence[str]
    patience: float = 30.0
    log: Path | None = None


@dataclass
class Supervisor:
    """Starts programs in order, restarts those that end, and stops them in the opposite order.

    Takes SIGTERM, SIGINT and SIGCHLD for itself: make it in the main thread.
    What a program says goes to `<name>.log` in the folder `logs`, or, without one, to its own log or where our
    own words go.
    """

    env: Mapping[str, str]
    logs: Path | None = None
    told_to_stop: bool = False
    """Whether SIGTERM or SIGINT has come."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _programs: dict[str, Program] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)
    _due: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._signals = SignalInbox(_SIGNALS)

    def start(self, program: Program) -> None:
        """Starts the program; it is restarted whenever it ends, until `stop`."""
        self._programs[program.name] = program
        self._spawn(program)

    def wait_until(self, ready: Callable[[], bool], name: str, seconds: float) -> bool:
        """Waits until `ready` says so; False when the time is over, the program ended, or we are told to stop."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if ready():
                return True
            if self._running[name].poll() is not None:
                return False
            if self._is_stopped_within(0.05):
                return False
        return False

    def run(self, until: Callable[[], bool] | None = None) -> None:
        """Keeps everything alive until SIGTERM or SIGINT (or until `until` says so, asked every 0.2 s)."""
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 3600.0
            if self._is_stopped_within(min(wait, 0.2) if until else wait):
                return
            if until is not None and until():
                return
            self._reap()
            self._restart_due()

    def stop(self) -> None:
        """Ends all programs, the last started first, each within its patience, then by SIGKILL."""
        for name in reversed(list(self._programs)):
            process = self._running.get(name)
            if process is not None:
                self._end(self._programs[name], process)
        self._running.clear()

    def where_it_speaks(self, name: str) -> str:
        """Where a person finds what the program said."""
        file = self._log_of(self._programs[name])
        return "above" if file is None else f"in {file}"

    def _log_of(self, program: Program) -> Path | None:
        return program.log if self.logs is None else self.logs / f"{program.name}.log"

    def _is_stopped_within(self, seconds: float) -> bool:
        self.told_to_stop |= self._signals.wait(seconds) in _STOPS
        return self.told_to_stop

    def _spawn(self, program: Program) -> None:
        with self._output(program) as output:
            self._running[program.name] = subprocess.Popen(  # noqa: S603  commands of our own
                list(program.command),
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a terminal's Ctrl-C is for us alone: we end them in order
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        self._started[program.name] = time.monotonic()

    @contextmanager
    def _output(self, program: Program) -> Iterator[IO[bytes] | None]:
        file = self._log_of(program)
        if file is None:
            yield None
            return
        with file.open("ab") as log_file:
            yield log_file

    def _reap(self) -> None:
        for name, process in list(self._running.items()):
            status = process.poll()
            if status is None:
                continue
            del self._running[name]
            lived = time.monotonic() - self._started[name]
            pause, said = 0.0 if lived > CALM else CALM, self.where_it_speaks(name)
            log.error("program.ended", name=name, status=status, restarts_in=pause, said=said)
            self._due.append((time.monotonic() + pause, name))
            self._due.sort()

    def _restart_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, name = self._due.pop(0)
            self._spawn(self._programs[name])

    def _end(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(program.patience)
        except subprocess.TimeoutExpired:
            log.warning("program.killed", name=program.name, after=program.patience)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
