"""The command, as a process of its own."""

import re
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from service.emulator import EmulatorServer
from service.emulator.command import emulator

RUN = [sys.executable, "-u", "-c", "from service.emulator.command import emulator; emulator()"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_cleanly(shared, number):
    command = [
        *RUN,
        "--port",
        "0",
        "--key",
        "mine",
        "--key",
        "yours",
        "--credits",
        "7",
        "--story-seconds",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        url, key = re.search(r"(http://127\.0\.0\.1:\d+) with X-Api-Key (\w+)", line).groups()
        assert key == "mine"
        headers = {"X-Api-Key": "yours", "Content-Type": "application/json"}
        body = b'{"idea": "A fox.", "scene_count": 1, "scene_duration": 1}'
        assert shared.send("POST", f"{url}/v2/story/idea-2-video", body, headers).status == 402
        assert re.match(r"\d\d:\d\d:\d\d POST /v2/story/idea-2-video → 402", process.stdout.readline())
    finally:
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--fault", "nothing=0.5"], "nothing"),
        (["--fault", "webhook-never"], "NAME=CHANCE"),
        (["--fault", "webhook-never=2"], "0 to 1"),
        (["--port", "-1"], "--port"),
        (["--short-side", "5"], "--short-side"),
    ],
)
def test_wrong_use_is_explained(arguments, word):
    result = CliRunner().invoke(emulator, arguments)
    assert result.exit_code == 2
    assert word in result.output


def test_a_taken_port_is_explained():
    server = EmulatorServer()
    result = CliRunner().invoke(emulator, ["--port", server.url.rpartition(":")[2]])
    server.stop()
    assert result.exit_code == 1
    assert "--port 0" in result.output


def test_the_help_names_every_fault():
    output = CliRunner().invoke(emulator, ["--help"]).output
    assert "webhook-out-of-order" in output
    assert "video-url-late" in output
