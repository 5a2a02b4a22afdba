"""One worker at a time writes to a part file."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.outbound_http import DownloadLimits, HttpClient, PartBusy, PartFile, TooLarge

HOLDS = """
import sys
from pathlib import Path
from service.outbound_http import PartFile

with PartFile(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_worker_is_told(site: Any, client: HttpClient, part: PartFile) -> None:
    url = site.on("/v", b"video")
    with PartFile(part.path), pytest.raises(PartBusy, match=r"video\.part"):
        client.download(url, part, DownloadLimits())
    assert site.asked == []
    assert client.download(url, part, DownloadLimits()).bytes == 5


def test_the_lock_ends_with_its_process(part: PartFile) -> None:
    command = [sys.executable, "-c", HOLDS, str(part.path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(PartBusy), part:
            pass
        process.kill()
    with part:
        pass


def test_held_around_the_rename_nobody_writes_between(site: Any, client: HttpClient, part: PartFile) -> None:
    with part:
        found = client.download(site.on("/v", b"video", headers={"ETag": '"a"'}), part, DownloadLimits())
        with pytest.raises(PartBusy), PartFile(part.path):
            pass
        os.rename(found.path, part.path.with_name("video.mp4"))
    assert [path.name for path in part.path.parent.iterdir()] == ["video.mp4"]


def test_a_lock_on_a_renamed_file_is_no_lock_on_the_path(
    site: Any, client: HttpClient, part: PartFile
) -> None:
    with part:
        client.download(site.on("/v", b"first"), part, DownloadLimits())
        kept = part.path.rename(part.path.with_name("kept"))
        with PartFile(part.path) as second:
            client.download(site.on("/w", b"second"), second, DownloadLimits())
    assert (kept.read_bytes(), part.path.read_bytes()) == (b"first", b"second")


def test_a_file_that_is_renamed_just_before_the_lock_is_left_alone(
    site: Any, client: HttpClient, part: PartFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = part.path.with_name("kept")
    part.path.write_bytes(b"whole")
    lock = fcntl.flock

    def late(fd: int, how: int) -> None:
        if not kept.exists():
            part.path.rename(kept)
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    client.download(site.on("/v", b"another"), part, DownloadLimits())
    assert (kept.read_bytes(), part.path.read_bytes()) == (b"whole", b"another")


def test_a_symbolic_link_is_not_followed(part: PartFile, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    part.path.symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"), part:
        pass
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_what_is_too_large_leaves_nothing_behind(site: Any, client: HttpClient, part: PartFile) -> None:
    with pytest.raises(TooLarge):
        client.download(
            site.on("/v", bytes(100), headers={"ETag": '"a"'}), part, DownloadLimits(max_bytes=10)
        )
    assert list(part.path.parent.iterdir()) == []
