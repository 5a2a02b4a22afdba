"""Archives in processes of their own: what opens a store behind HTTP can't be forked, but the contract forks.

A process that never opens a store waits for calls and forks for each, so that a call can be killed.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from handlers.connectors.archive import ArchiveConnector, ArchiveOptions
from service.connector_contract import Faults
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed
from service.outbound_http import HttpClient
from service.video_store import StoreError

REMOTE = ("put_file", "put_bytes", "stat", "read_bytes", "delete")
METHODS = ("publish", "withdraw", "preview", "notify", "check", "send_test")


def archive(options: Mapping[str, Any], base: Path, faults: Faults) -> ArchiveConnector:
    """An archive whose calls of its store go wrong as the faults say."""
    tools = ConnectorTools("place", HttpClient(), base, lambda: datetime.now(UTC))
    connector = ArchiveConnector(ArchiveOptions(**options), tools)
    for name in REMOTE:
        call = faults.around(getattr(connector.store, name), lambda: StoreError("the answer was lost"))
        setattr(connector.store, name, call)
    return connector


@dataclass(frozen=True)
class Call:
    options: Mapping[str, Any]
    base: Path
    faults: Faults
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """`grown`: by how many bytes the peak memory grew. `broke`: the traceback of what should not have happened."""

    result: Any = None
    failed: DeliveryFailed | None = None
    calls: int = 0
    grown: int = 0
    killed: bool = False
    broke: str = ""


class ForkedArchive:
    """Has each method done by a child of the process behind `address`; is killed where that was."""

    def __init__(self, address: Path, options: Mapping[str, Any], base: Path, faults: Faults) -> None:
        self._address, self._options, self._base, self._faults = address, options, base, faults
        self.grown = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in METHODS:
            raise AttributeError(name)
        return lambda *arguments: self._done(name, arguments)

    def _done(self, method: str, arguments: tuple[Any, ...]) -> Any:
        plain = tuple(replace(one, check=_go_on) if hasattr(one, "check") else one for one in arguments)
        with Client(str(self._address), "AF_UNIX") as connection:
            connection.send(Call(self._options, self._base, self._faults, method, plain))
            outcome: Outcome = connection.recv()
        assert not outcome.broke, outcome.broke
        if outcome.killed:
            assert self._faults.kind.startswith("killed"), "nobody asked for that"
            os.kill(os.getpid(), signal.SIGKILL)
        self._faults.calls, self.grown = outcome.calls, outcome.grown
        if outcome.failed is not None:
            raise outcome.failed
        return outcome.result


@contextmanager
def forking_process(address: Path) -> Iterator[Path]:
    """Runs that process; gives its address."""
    with subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield address
        finally:
            process.send_signal(signal.SIGTERM)


def _serve(address: str) -> None:
    with Listener(address, "AF_UNIX") as listener:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            with listener.accept() as connection:
                _answer(connection)


def _answer(connection: Connection) -> None:
    call: Call = connection.recv()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, pickle.dumps(_outcome(call)))
        except BaseException:  # noqa: BLE001  # this process has nobody who would hear of it
            os.write(writer, pickle.dumps(Outcome(broke=traceback.format_exc())))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    connection.send(Outcome(killed=True) if killed else pickle.loads(said))  # noqa: S301  # our own child's


def _outcome(call: Call) -> Outcome:
    before = getrusage(RUSAGE_SELF).ru_maxrss
    result, failed = None, None
    try:
        result = getattr(archive(call.options, call.base, call.faults), call.method)(*call.arguments)
    except DeliveryFailed as error:
        failed = error
    grown = (getrusage(RUSAGE_SELF).ru_maxrss - before) * 1024
    return Outcome(result, failed, call.faults.calls, grown)


def _go_on() -> None:
    """Where nothing stops an attempt; a lambda could not be sent."""


if __name__ == "__main__":
    import forking_archive  # so that what is sent has one name on both sides

    forking_archive._serve(sys.argv[1])
