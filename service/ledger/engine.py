"""Opens the ledger: SQLite in WAL mode or PostgreSQL, with writes that never deadlock by upgrade."""

import os
import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

BUSY_MS = 8000
"""How long a SQLite writer waits for another before it gives up: below the 10 s that webhooks have."""

BUSY_STEP_MS = 2
"""How long it sleeps at a time."""

LedgerDown = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
"""What SQLAlchemy raises when the database is locked, gone, read-only after a failover, or refuses connections."""

POSTGRES_BOUNDS = f"-c lock_timeout={BUSY_MS} -c statement_timeout=30000"
"""A table that somebody locked, or a server that hangs, ends in LedgerDown and not in a web process that waits."""

POSTGRES_PLANS = "-c max_parallel_workers_per_gather=0 -c jit=off"
"""Queries here read some thousand rows: starting processes for one, or compiling it, takes longer than the query."""


class Ledger:
    """Transactions on one database; safe to carry across a fork."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        self.engine = _create_engine(url, pool_size)
        self._pid = os.getpid()

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction that may write; commits at the end of the block, rolls back on an exception."""
        with self._own_engine().begin() as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view; never waits for a SQLite writer."""
        with self._own_engine().connect().execution_options(ledger_reads=True) as tx:
            yield tx

    def close(self) -> None:
        """Closes the pooled connections of this process."""
        self.engine.dispose()

    def _own_engine(self) -> sa.Engine:
        # a connection that both sides of a fork use corrupts its protocol: the child leaves the parent's alone
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self.engine.dispose(close=False)
        return self.engine


def _create_engine(url: str, pool_size: int) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _create_sqlite(parsed)
    return _create_postgresql(parsed, pool_size)


def _create_postgresql(url: sa.URL, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=8,
        connect_args={
            "connect_timeout": 5,
            "application_name": "storyrelay",
            "options": f"{POSTGRES_BOUNDS} {POSTGRES_PLANS}",
            "tcp_user_timeout": 10_000,  # milliseconds; the network may swallow a connection without a word
            "keepalives_idle": 30,
        },
    )
    sa.event.listen(engine, "checkout", _refuse_hung_up)
    return engine


def _refuse_hung_up(connection: Any, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """Has the pool open anew what the server ended meanwhile; asking the server would cost a round trip."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)  # the server says nothing unasked but farewell
    if poll.poll(0):
        raise sa.exc.DisconnectionError("the server hung up while the connection was idle")


def _create_sqlite(url: sa.URL) -> sa.Engine:
    if url.database:
        Path(url.database).parent.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # stories are not for everybody
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the begin event says BEGIN, not the driver
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # an answered webhook survives a power cut
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MS}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("ledger_reads")
    if reads:
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_write(connection)


def _begin_write(connection: sa.Connection) -> None:
    """Waits for SQLite's other writers in small steps: its own wait soon sleeps for 100 ms at a time.

    IMMEDIATE, for a reader that turned writer later would fail with "locked" instead of waiting.
    """
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    deadline = time.monotonic() + BUSY_MS / 1000
    driver.execute(f"PRAGMA busy_timeout={BUSY_STEP_MS}")
    try:
        while not _begins(connection, time.monotonic() > deadline):
            continue
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_MS}")


def _begins(connection: sa.Connection, is_last: bool) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except sa.exc.OperationalError as error:
        if is_last or getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def insert(tx: sa.Connection, table: sa.Table) -> Any:
    """The dialect's own INSERT, the one that knows ON CONFLICT."""
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
