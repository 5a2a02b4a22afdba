"""The decoder runs in a process of its own: what its end means, and what it may see and take."""

import os
import signal
import sys

import pytest

from handlers.video_decoder.facts import VideoRefused
from handlers.video_file import DecoderStopped, VideoLimits, examine, probe


@pytest.fixture
def instead(tmp_path, monkeypatch):
    """Puts a shell script in the place of the decoder's process."""

    def put(script: str) -> None:
        path = tmp_path / "decoder"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


@pytest.mark.parametrize("name", ["SEGV", "ABRT", "BUS", "FPE", "ILL"])
def test_a_video_that_breaks_the_decoder_is_refused(film, instead, name):
    instead(f"kill -{name} $$")
    with pytest.raises(VideoRefused, match=f"SIG{name}"):
        probe(film)


def test_a_video_that_takes_too_much_time_is_refused(film, instead):
    instead("kill -XCPU $$")
    with pytest.raises(VideoRefused, match="more than 7 s of processor time"):
        probe(film, VideoLimits(cpu_seconds=7))


@pytest.mark.parametrize("name", ["KILL", "TERM", "INT", "HUP"])
def test_a_process_that_was_ended_from_outside_is_worth_another_try(film, instead, name):
    instead(f"kill -{name} $$")
    with pytest.raises(DecoderStopped, match=str(int(signal.Signals[f"SIG{name}"]))):
        probe(film)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'ImportError: no module' >&2; exit 1", "ImportError: no module"),
        ("echo '{'", "can't be read"),
        ('echo \'{"facts": {"bytes": "many"}}\'', "can't be read"),
        ("true", "can't be read"),
        ("echo '{}'", "without the video's facts"),
    ],
)
def test_a_process_that_fails_is_worth_another_try(film, instead, script, said):
    instead(script)
    with pytest.raises(DecoderStopped, match=said):
        probe(film)


def test_a_process_that_hangs_is_ended(film, instead):
    instead("exec sleep 60")
    with pytest.raises(DecoderStopped, match=r"more than 0\.2 s"):
        probe(film, VideoLimits(wall_seconds=0.2))


def test_the_decoder_sees_no_secret(film, instead, tmp_path, monkeypatch):
    monkeypatch.setenv("STORY_API_KEY", "hush")
    seen = tmp_path / "environment"
    instead(f"env > {seen}; exit 1")
    with pytest.raises(DecoderStopped):
        probe(film)
    assert "PATH=" in seen.read_text()
    assert "hush" not in seen.read_text()


def test_too_little_memory_is_a_refusal(film, tmp_path):
    with pytest.raises(VideoRefused, match=r"MiB|SIG"):
        examine(film, tmp_path / "poster.jpg", VideoLimits(memory_bytes=64 * 2**20))


def test_a_folder_named_like_the_decoder_is_not_run(film, tmp_path, monkeypatch):
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "__init__.py").write_text("raise SystemExit('wrong one')")
    (tmp_path / "json.py").write_text("raise SystemExit('wrong one')")
    monkeypatch.chdir(tmp_path)
    assert probe(film).frames == 30
    assert probe(type(film)(os.path.relpath(film))).frames == 30
