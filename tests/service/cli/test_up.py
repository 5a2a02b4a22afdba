"""`up` as it starts; its life is in tests/e2e."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from machine import await_that, free_port

import service.cli.up as up_module

SECONDS = 60


def started(home: Path, toml: str = "", **env: str) -> "subprocess.Popen[str]":
    (home / "storyrelay.toml").write_text(toml)
    own = {name: value for name, value in os.environ.items() if not name.startswith("STORYRELAY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", "up"],
        env={**own, "STORYRELAY_HOME": str(home), "PORT": str(free_port()), **env},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_while_it_starts_is_a_clean_end(tmp_path: Path) -> None:
    process = started(tmp_path)
    me = psutil.Process(process.pid)
    await_that(lambda: bool(me.children()), "the queue starts", SECONDS, every=0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    assert "stopped" in said
    assert "Aborted" not in said
    assert "Valkey" not in said
    assert "Ready to accept" not in said


class Idle:
    """A supervisor that has nothing to do and ends at once."""

    def __init__(self, _env: Any) -> None: ...

    def run(self) -> None: ...

    def stop(self) -> None: ...


SHELF = '[destinations.shelf]\nconnector = "archive"\npath = "published"\n'
ROUTE = '[[routes]]\nname = "all"\ndestinations = ["shelf"]\n'


@pytest.mark.parametrize(
    ("toml", "missing"), [("", "destinations and routes"), (SHELF, "routes"), (SHELF + ROUTE, None)]
)
def test_stories_that_would_go_nowhere_are_told_once(
    home: Any, monkeypatch: pytest.MonkeyPatch, toml: str, missing: str | None
) -> None:
    monkeypatch.setattr(up_module, "Supervisor", Idle)
    monkeypatch.setattr(up_module, "start", lambda *_: None)
    (home.path / "storyrelay.toml").write_text(toml)
    said = home.done("up", PORT=str(free_port())).stderr
    lines = [line for line in said.splitlines() if "go_nowhere" in line]
    assert len(lines) == (missing is not None)
    for line in lines:
        assert f'missing="{missing}"' in line or f"missing={missing} " in line
        assert "sent to nobody" in line
        assert f"{home.path}/storyrelay.toml" in line
        assert "Use it for real" in line


DESK = """
[destinations.desk]
connector = "email"
host = "127.0.0.1"
port = 1
security = "none"
from = "a@example.com"
to = ["b@example.com"]
subject = "{{ story.titel }}"
"""


@pytest.mark.parametrize("process", ["up", "worker", "scheduler"])
def test_no_process_starts_with_a_broken_template(
    bare: Any, monkeypatch: pytest.MonkeyPatch, process: str, keys: str
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(up_module, "Supervisor", Idle)
    monkeypatch.setattr(up_module, "start", lambda *given: started.append(given))
    (bare.path / "storyrelay.toml").write_text(DESK)
    result = bare.run(process, PORT=str(free_port()), SECRET_KEYS=keys, REDIS_URL="redis://127.0.0.1:1")
    assert result.exit_code == 2
    assert f"{bare.path / 'storyrelay.toml'} is wrong:\n  destinations.desk: the template" in result.stderr
    assert "line 1 can't be rendered" in result.stderr
    assert "'titel'" in result.stderr
    assert started == []


def test_the_first_account_has_a_link_until_there_is_one(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up_module, "Supervisor", Idle)
    monkeypatch.setattr(up_module, "start", lambda *_: None)
    said = home.done("up", PORT=str(free_port())).stderr
    assert "make the first account at" in said
    assert "http://127.0.0.1:1/setup/first-account." in said
    home.done("user", "add", "ada", "--password-stdin", stdin="correct horse battery\n")
    assert "first account" not in home.done("up", PORT=str(free_port())).stderr
