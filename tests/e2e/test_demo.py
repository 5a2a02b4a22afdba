"""The real command, once through everything, and what is left of it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(180)

COMMAND = [sys.executable, "-m", "service.cli", "demo"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def told(work: Path) -> dict[str, Any]:
    """What the demo printed for programs."""
    done = subprocess.run([*COMMAND, "--json"], cwd=work, env=_environment(), capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{_logs(work)}"
    assert _processes_of(work) == []
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def emulator_log(told: Mapping[str, Any]) -> str:
    return (Path(told["places"]["logs"]) / "emulator.log").read_text()


def test_every_story_ends_as_it_should(told: Mapping[str, Any]) -> None:
    assert told["ok"] is True
    assert told["problems"] == []
    states = [story["state"] for story in told["stories"]]
    assert states == [story["expected"] for story in told["stories"]]
    assert sorted(states) == ["failed", "given_up", "given_up"] + ["settled"] * 5


def test_stories_are_noticed_with_and_without_webhooks(told: Mapping[str, Any]) -> None:
    webhooks = {story["title"]: story["webhooks"] for story in told["stories"]}
    silent = [story for story in told["stories"] if not story["webhooks"]]
    assert [story["noticed_by"] for story in silent] == ["poll"]
    assert sorted(len(verdicts) for verdicts in webhooks.values()) == [0, 1, 1, 1, 1, 1, 1, 4]
    assert "webhook" in {story["noticed_by"] for story in told["stories"]}


def test_every_misfortune_was_met(told: Mapping[str, Any], emulator_log: str) -> None:
    met = {
        story["title"]: [line for line in emulator_log.splitlines() if story["story_id"] in line]
        for story in told["stories"]
    }
    expired = "\n".join(met["<!channel> The old clock"])
    assert expired.count("video.mp4 → 200") == 1
    assert expired.count("video.mp4 → 410") == 1
    assert expired.count("video.mp4 → 206") == 1  # went on from where it broke off
    assert expired.count("GET /v2/story") >= 3  # without a video, with one, with a fresh address
    refused = "\n".join(met["القمر فوق البحر"])
    assert refused.count("→ 429") == 2
    assert refused.count("→ 500") == 1
    assert refused.index("webhook success") < refused.index("POST /v2/story/idea-2-video")


def test_each_place_has_what_the_ledger_says(told: Mapping[str, Any]) -> None:
    places = {name: Path(path) for name, path in told["places"].items()}
    settled = [story for story in told["stories"] if story["state"] == "settled"]
    kept = {path.parent.name: _sha256(path) for path in places["archive"].glob("*/video.mp4")}
    assert kept == {story["story_id"]: story["video"]["sha256"] for story in settled}

    delivered = [json.loads(line) for line in places["webhook"].read_text().splitlines()]
    assert sorted(one["story"] for one in delivered) == sorted(kept)
    assert {one["data"]["video"]["sha256"] for one in delivered} == set(kept.values())

    messages = json.loads(places["slack"].read_text())["messages"]
    kinds = [message["metadata"]["event_type"] for message in messages]
    assert sorted(kinds) == ["storyrelay_notice"] * 3 + ["storyrelay_story"] * 5

    tall = sum("mail" in story["destinations"] for story in settled)
    assert len(list(places["mail"].glob("*.eml"))) == tall + 3


def test_nothing_a_story_says_is_taken_for_markup(told: Mapping[str, Any]) -> None:
    text = Path(told["places"]["slack"]).read_text()
    headers = {
        message["blocks"][0]["text"]["text"]: message["blocks"][0]["text"]["type"]
        for message in json.loads(text)["messages"]
    }
    assert headers["<!channel> The old clock"] == "plain_text"
    assert "<!channel>" not in [message["text"] for message in json.loads(text)["messages"]]


def test_a_destination_that_refuses_once_is_tried_again(told: Mapping[str, Any]) -> None:
    tries = [
        story["destinations"]["webhook"]["attempts"] for story in told["stories"] if story["destinations"]
    ]
    assert sorted(tries) == [1, 1, 1, 1, 2]


@pytest.mark.slow
def test_ctrl_c_ends_the_next_demo_which_had_made_its_folder_anew(
    told: Mapping[str, Any], work: Path
) -> None:
    before = list(Path(told["places"]["archive"]).iterdir())
    assert before
    running = subprocess.Popen(
        COMMAND, cwd=work, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "being made" in line:  # a story's: everything runs
            break
    assert len(_processes_of(work)) > 10
    twin = subprocess.run([*COMMAND, "--json"], cwd=work, env=_environment(), capture_output=True, text=True)
    assert twin.returncode == 3
    assert "runs in" in twin.stderr
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 1
    assert "Traceback" not in said
    assert _processes_of(work) == []
    assert not [path for path in before if path.name != ".incoming" and path.exists()]


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    done = subprocess.run(
        [*COMMAND, "--home", str(theirs)], cwd=tmp_path, env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "not made by a demo" in done.stderr
    assert [path.name for path in theirs.iterdir()] == ["thesis.txt"]


def _environment() -> dict[str, str]:
    """Settings of somebody's own must not leak into the demo."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STORYRELAY_")}
    return kept | {"REDIS_URL": "redis://127.0.0.1:1/0", "STORYRELAY_SWEEP_SECONDS": "3600"}


def _processes_of(work: Path) -> list[str]:
    """The command lines of processes whose environment names a folder in `work`."""
    wanted = f"STORYRELAY_HOME={work}/".encode()
    return [
        (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and wanted in _read(process / "environ")
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""  # it has just ended, or is another user's


def _logs(work: Path) -> str:
    return "\n".join(path.read_text()[-3000:] for path in sorted(work.glob("var/demo/log/*.log")))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
