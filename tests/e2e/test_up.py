"""`storyrelay up` as people start, end and hurt it."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from machine import QUICK, Machine, await_that, free_port, running
from redis import Redis

from service.domain.states import StepKind
from service.ledger import stories

pytestmark = pytest.mark.timeout(180)
SECONDS = 60
TOML = """
[destinations.shelf]
connector = "archive"
path = "published"
[[routes]]
name = "all"
destinations = ["shelf"]
"""
NO_API = {"STORY_API_URL": "http://127.0.0.1:9", "STORY_API_KEY": "a-key-of-the-tests"}


@contextmanager
def up(home: Path, toml: str = TOML, **env: str) -> Iterator[Machine]:
    with running(home, toml, {**QUICK, **NO_API, **env}) as machine:
        yield machine


def ready(machine: Machine) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{machine.env['PORT']}/readyz", timeout=10) as answer:
        said: dict[str, str] = json.load(answer)
        return said


def family(machine: Machine) -> list[psutil.Process]:
    return psutil.Process(machine.process.pid).children(recursive=True)


def left(members: list[psutil.Process]) -> list[str]:
    """The command lines of those that still run."""
    found = []
    for member in members:
        try:
            if member.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(member.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return found


def end(machine: Machine, number: int) -> None:
    """Ends it by that signal: with exit 0, and with nothing left."""
    members = family(machine)
    assert len(members) > 8
    machine.process.send_signal(number)
    assert machine.process.wait(SECONDS) == 0, machine.log
    assert left(members) == []
    assert not (machine.home / "var" / "redis_url").exists()
    assert "Traceback" not in machine.log
    assert "program.killed" not in machine.log


def send_webhook(machine: Machine, url: str, story_id: str) -> int:
    path = url.partition("/webhooks/")[2]
    request = urllib.request.Request(
        f"http://127.0.0.1:{machine.env['PORT']}/webhooks/{path}",
        data=json.dumps({"batch_id": story_id, "status": "success"}).encode(),
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def route_url(machine: Machine) -> str:
    done = machine.command("webhook-url", "--route", "all")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def again(machine: Machine) -> "subprocess.CompletedProcess[str]":
    """A second `up` in the same folder, on a port of its own."""
    return machine.command("up", PORT=str(free_port()))


def contents(folder: Path) -> dict[str, int]:
    """The files that no running program writes to, and when each was changed."""
    kept = ("secret_keys", "redis_url", "up.lock")
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name in kept}


def test_a_life(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home, SECRET_KEYS="") as machine:
        assert ready(machine) == {
            "status": "ok",
            "ledger": "ok",
            "queue": "ok",
            "workers": "ok",
            "scheduler": "ok",
        }
        only_one_at_a_time(machine)
        url = route_url(machine)
        assert send_webhook(machine, url, "story-1") == 202
        a_killed_program_comes_back(machine)
        assert url.rpartition("/")[2] not in machine.log
        end(machine, signal.SIGINT)
    with up(home, SECRET_KEYS="") as machine:
        assert route_url(machine).rpartition("/")[2] == url.rpartition("/")[2], "the same keys as before"
        assert send_webhook(machine, url, "story-1") == 202
        with machine.relay().ledger.read() as tx:
            assert sum(stories.counts(tx).values()) == 1, "the ledger knew the story"
        members = family(machine)
        machine.process.kill()
        await_that(lambda: left(members) == [], "all have ended", SECONDS, now=lambda: left(members))
    with up(home, SECRET_KEYS="") as machine:
        assert ready(machine)["status"] == "ok", "what a killed one left stands in nobody's way"
        end(machine, signal.SIGTERM)


def only_one_at_a_time(machine: Machine) -> None:
    before = contents(machine.home / "var")
    members = family(machine)
    second = again(machine)
    assert second.returncode == 3
    assert f"process {machine.process.pid}" in second.stderr
    assert "STORYRELAY_HOME" in second.stderr
    assert contents(machine.home / "var") == before
    assert {member.pid for member in members} <= {member.pid for member in family(machine)}
    assert ready(machine)["status"] == "ok"


def a_killed_program_comes_back(machine: Machine) -> None:
    (before,) = machine.named("scheduler")
    before.kill()
    await_that(
        lambda: any(process != before for process in machine.named("scheduler")), "a new scheduler", SECONDS
    )
    await_that(lambda: ready(machine)["status"] == "ok", "all is well again", SECONDS)


def test_a_database_and_a_queue_of_ones_own(tmp_path: Path, empty_postgres_url: str, valkey: str) -> None:
    with up(tmp_path / "home", DATABASE_URL=empty_postgres_url, REDIS_URL=valkey) as machine:
        assert ready(machine)["status"] == "ok"
        assert [process.name() for process in family(machine) if "valkey" in process.name()] == []
        assert send_webhook(machine, route_url(machine), "story-1") == 202
        end_quietly(machine)
    var = machine.home / "var"
    assert sorted(path.name for path in var.iterdir() if path.name in ("valkey", "ledger.sqlite3")) == []
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT story_id FROM stories").fetchall() == [("story-1",)]
    with Redis.from_url(valkey) as client:
        assert client.ping(), "it is not ours to end"
        assert {key for kind in StepKind for key in client.smembers(f"rq:workers:{kind}")} == set()


def end_quietly(machine: Machine) -> None:
    members = family(machine)
    machine.process.terminate()
    assert machine.process.wait(SECONDS) == 0, machine.log
    assert left(members) == []


def started(home: Path, toml: str = TOML, **env: str) -> "subprocess.Popen[str]":
    home.mkdir()
    (home / "storyrelay.toml").write_text(toml)
    own = {name: value for name, value in os.environ.items() if not name.startswith("STORYRELAY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", "up"],
        env={**own, "STORYRELAY_HOME": str(home), "PORT": str(free_port()), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


BROKEN = {
    "no TOML": ("[[routes]\n", {}, "storyrelay.toml"),
    "a wrong name": (TOML.replace("path =", "paht ="), {}, "path"),
    "a route to nowhere": (TOML.replace('["shelf"]', '["shell"]'), {}, "shelf"),
    "a wrong setting": (TOML, {"STORYRELAY_SWEEP_SECOND": "1"}, "STORYRELAY_SWEEP_SECONDS"),
    "a wrong value": (TOML, {"PORT": "http"}, "PORT"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_said_before_anything_starts(tmp_path: Path, what: str) -> None:
    toml, env, named = BROKEN[what]
    process = started(tmp_path / "home", toml, **env)
    out, error = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert named in error
    assert "Traceback" not in out + error
    assert not (tmp_path / "home" / "var" / "valkey").exists()
    assert not (tmp_path / "home" / "var" / "ledger.sqlite3").exists()


def test_a_port_that_somebody_has_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = started(tmp_path / "home", PORT=str(port))
        _, error = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert f"port {port}" in error
    assert "set PORT" in error
    assert not (tmp_path / "home" / "var" / "valkey").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_changes_their_mind_while_it_starts_leaves_nothing(tmp_path: Path, number: int) -> None:
    process = started(tmp_path / "home")
    me = psutil.Process(process.pid)
    await_that(lambda: bool(me.children()), "the queue starts", SECONDS, every=0.01)
    members = me.children(recursive=True)
    process.send_signal(number)
    process.communicate(timeout=SECONDS)
    assert process.returncode in (0, 1)
    assert left(members) == []
    assert not (tmp_path / "home" / "var" / "redis_url").exists()
