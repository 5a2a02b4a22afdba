"""Processor time, which other work on the machine changes little: of this process, its children, and PostgreSQL's."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import sqlalchemy as sa

from service.ledger import Ledger

_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


def of_queries(ledger: Ledger) -> Callable[[], float]:
    """Tells the seconds that this process and PostgreSQL's for its connections spent so far."""
    if ledger.dialect == "sqlite":
        return time.process_time
    with ledger.read() as tx:
        pids = tx.execute(sa.text("SELECT pid FROM pg_stat_activity")).scalars().all()
    servers = [Path(f"/proc/{pid}/schedstat") for pid in pids]  # they have one thread each
    return lambda: time.process_time() + sum(int(each.read_text().split()[0]) / 1e9 for each in servers)


def of_servers(ledger: Ledger) -> tuple[float, float]:
    """The seconds that the servers started by this process spent so far, and those that the database did."""
    children = psutil.Process().children(recursive=True)
    if ledger.dialect == "sqlite":
        return _seconds(children), 0.0
    with ledger.read() as tx:
        pids = tx.execute(sa.text(_BACKENDS)).scalars().all()
    return _seconds(children), _seconds([psutil.Process(pid) for pid in pids])


def _seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
