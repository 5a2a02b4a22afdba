"""`up` as it starts; its life is in tests/e2e."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from machine import await_that, free_port

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
