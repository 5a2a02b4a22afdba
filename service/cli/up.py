"""`storyrelay up`: everything on one machine from one command."""

import errno
import fcntl
import http.client
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import structlog

from service import embedded_queue
from service.accounts import Accounts
from service.configuration import Configuration, load_configuration, try_connectors
from service.ledger import Ledger
from service.ledger.migrating import migrate
from service.observability import configure_logging
from service.private_folder import make_private
from service.settings import Settings, load_settings, make_secret_keys
from service.setup_url import HOURS, SetupUrls
from service.supervising import Program, Supervisor
from service.wiring import utc_now

log = structlog.get_logger()

READY_SECONDS = 40.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ALREADY_RUNNING = 3


class AlreadyRunning(click.ClickException):
    """Another `up` has this folder."""

    exit_code = ALREADY_RUNNING


@click.command()
def up() -> None:
    """Runs everything on this machine: queue, web, workers, scheduler. Ctrl-C ends it."""
    try:
        settings = load_settings()
        configure_logging(settings.log_format, settings.log_level, "up")
        with only_one(settings.home):
            run_everything(settings)
    except KeyboardInterrupt:
        log.info("stop.before_start")  # later it is the supervisor that hears it


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Holds the folder for this process. Raises AlreadyRunning and changes nothing when another has it."""
    var = home / "var"
    make_private(var)
    with (var / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            lock.seek(0)
            raise AlreadyRunning(
                f"storyrelay runs in {home} already ({lock.read().strip() or 'just starting'}); "
                "end it there with Ctrl-C, or set STORYRELAY_HOME to another folder"
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield


def run_everything(settings: Settings, env: Mapping[str, str] | None = None) -> None:
    """Starts all processes, says where they are, and ends them on SIGTERM or SIGINT.

    Raises ClickException when something can't be started.
    """
    # first: from here on Ctrl-C ends it as it does later, in order
    supervisor = Supervisor(_environment(settings, os.environ if env is None else env))
    make_secret_keys(settings.home)
    with_keys = load_settings(env)
    # what is wrong in it is said before anything starts
    configuration = load_configuration(with_keys)
    try_connectors(configuration, settings.config_path)
    check_port(settings.port)
    try:
        start(supervisor, settings)
        log.info("up", url=settings.public_url, home=str(settings.home), stop="Ctrl-C")
        _warn_of_nowhere(settings, configuration)
        _tell_of_first_account(with_keys)
        supervisor.run()
    except click.Abort:
        log.info("stop.while_starting")  # as wished, so no failure
    finally:
        log.info("stopping")
        supervisor.stop()
        (settings.home / "var" / "redis_url").unlink(missing_ok=True)
        log.info("stopped")


def _warn_of_nowhere(settings: Settings, configuration: Configuration) -> None:
    if configuration.destinations and configuration.routes:
        return
    log.warning(
        "stories.go_nowhere",
        missing="routes" if configuration.destinations else "destinations and routes",
        so="finished stories are downloaded and kept, but sent to nobody",
        do=f"write them into {settings.config_path}, as README.md shows under 'Use it for real'; then start again",
    )


def _tell_of_first_account(settings: Settings) -> None:
    """As long as nobody has an account, whoever reads this log may make the first one."""
    keys = [key.get_secret_value() for key in settings.secret_keys]
    ledger = Ledger(settings.database_url)
    try:
        if Accounts(ledger, utc_now).is_empty():
            url = SetupUrls(settings.public_url, keys, time.time).url()
            # not by the log, which hides such links: this one is for whoever starts it
            click.echo(
                f"For the dashboard make the first account at {url} (good for {HOURS} hours)", err=True
            )
    finally:
        ledger.close()


def start(supervisor: Supervisor, settings: Settings) -> None:
    """Starts the queue (if none is set), migrates the ledger, then web, workers and scheduler; waits for the web."""
    var = settings.home / "var"
    if settings.redis_url is None:
        # Valkey's own lines tell people nothing while it works
        queue = Program("queue", embedded_queue.command(var), patience=10, log=var / "queue.log")
        supervisor.start(queue)
        address = embedded_queue.url(var)
        await_ready(supervisor, "queue", lambda: embedded_queue.answers(address))
        _keep_address(var, address)
    ledger = Ledger(settings.database_url)
    before, after = migrate(ledger)
    ledger.close()
    if before != after:
        log.info("ledger.migrated", to=after)
    own = [sys.executable, "-m", "service.cli"]
    bind = f"127.0.0.1:{settings.port}"
    web = [sys.executable, "-m", "gunicorn", "--config", "python:service.web.serving", "--bind", bind]
    supervisor.start(Program("web", web))
    supervisor.start(Program("worker", [*own, "worker"], patience=settings.stop_grace_seconds + 10))
    supervisor.start(Program("scheduler", [*own, "scheduler"]))
    await_ready(supervisor, "web", lambda: _is_ready(settings.port))


def await_ready(supervisor: Supervisor, name: str, ready: Callable[[], bool]) -> None:
    """Waits for a program that was started. Raises Abort when we are told to stop, else ClickException."""
    if supervisor.wait_until(ready, name, READY_SECONDS):
        return
    if supervisor.told_to_stop:
        raise click.Abort
    raise click.ClickException(
        f"{name} was not ready within {READY_SECONDS:.0f} s; what it said stands {supervisor.where_it_speaks(name)}"
    )


def answer_of(url: str) -> Any:
    """The JSON that a process of ours answers, None while it does not; no proxy is asked."""
    try:
        with _OPENER.open(url, timeout=2) as answer:
            return json.load(answer)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError):
        return None


def check_port(port: int) -> None:
    """Raises ClickException when somebody listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise click.ClickException(
                f"port {port} on 127.0.0.1 can't be had ({error.strerror}); set PORT to a free one"
            ) from error


def _environment(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    address = settings.redis_url or embedded_queue.url(settings.home / "var")
    return {**env, "REDIS_URL": address, "PORT": str(settings.port), "PYTHONUNBUFFERED": "1"}


def _keep_address(var: Path, address: str) -> None:
    path = var / "redis_url"
    path.touch(mode=0o600)
    path.write_text(address + "\n")


def _is_ready(port: int) -> bool:
    answer = answer_of(f"http://127.0.0.1:{port}/readyz")
    return isinstance(answer, dict) and answer.get("status") == "ok"
