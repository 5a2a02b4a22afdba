import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.video_store import StoreError, StoreFull, open_store
from service.video_store.files import explained

WRITER = """
import signal, sys
from pathlib import Path
from service.video_store import open_store

def pause_half_way(done, total):
    if done >= total / 2:
        print("half", flush=True)
        signal.pause()

store = open_store("kept", base=Path(sys.argv[1]))
store.put_file("s/video.mp4", Path(sys.argv[2]), content_type="video/mp4", progress=pause_half_way)
"""

OVERFLOW = """
import resource, signal, sys
from pathlib import Path
from service.video_store import StoreError, open_store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    open_store("kept", base=Path(sys.argv[1])).put_bytes("s/v.mp4", bytes(1001), content_type="video/mp4")
except StoreError as error:
    print(type(error).__name__, error.permanent, error)
"""


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_objects_are_plain_files_that_a_web_server_may_read(tmp_path):
    store = open_store("kept", base=tmp_path)
    store.put_bytes("s/video.mp4", b"x", content_type="video/mp4")
    assert files(tmp_path / "kept") == ["s/video.mp4"]
    assert store.local_path("s/video.mp4") == tmp_path / "kept/s/video.mp4"
    assert store.presigned_url("s/video.mp4", 60) is None
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "kept/s/video.mp4").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_writer_that_is_killed_half_way_leaves_no_object(tmp_path, sparse):
    source = sparse(4 * 2**20)
    command = [sys.executable, "-c", WRITER, tmp_path, source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(signal.SIGKILL)
    store = open_store("kept", base=tmp_path)
    assert store.stat("s/video.mp4") is None
    [left] = files(tmp_path / "kept")
    assert left.startswith(".incoming/")
    store.put_file("s/video.mp4", source, content_type="video/mp4")
    assert store.stat("s/video.mp4").bytes == 4 * 2**20
    assert store.clear_incoming(older_than=3600) == 0
    os.utime(tmp_path / "kept" / left, (time.time() - 7200,) * 2)
    assert store.clear_incoming(older_than=3600) == 1
    assert files(tmp_path / "kept") == ["s/video.mp4"]


def test_a_reader_keeps_the_object_it_opened(tmp_path):
    store = open_store("kept", base=tmp_path)
    store.put_bytes("v", b"old", content_type="video/mp4")
    with store.open("v") as reader:
        store.put_bytes("v", b"new", content_type="video/mp4")
        assert reader.read() == b"old"
    assert store.read_bytes("v") == b"new"


def test_a_file_from_another_file_system_is_copied_and_then_removed(tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    source = other / f"{os.getpid()}-storyrelay-test"
    source.write_bytes(b"far away")
    try:
        store = open_store("kept", base=tmp_path)
        store.put_file("v.mp4", source, content_type="video/mp4", move=True)
        assert store.read_bytes("v.mp4") == b"far away"
        assert not source.exists()
    finally:
        source.unlink(missing_ok=True)


def test_deleting_takes_empty_folders_along(tmp_path):
    store = open_store("kept", base=tmp_path)
    store.put_bytes("a/b/c", b"x", content_type="text/plain")
    store.put_bytes("a/d", b"x", content_type="text/plain")
    store.delete("a/b/c")
    assert not (tmp_path / "kept/a/b").exists()
    store.delete("a/d")
    assert not (tmp_path / "kept/a").exists()
    assert (tmp_path / "kept").is_dir()


def test_a_full_disk_is_told_apart():
    with pytest.raises(StoreFull, match=r"No space left.*make room") as caught, explained("store", Path("x")):
        Path("/dev/full").write_bytes(b"x")
    assert not caught.value.permanent


def test_a_quota_is_a_full_disk():
    with pytest.raises(StoreFull), explained("store", Path("x")):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OVERFLOW, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("StoreError True can't store")
    assert files(tmp_path / "kept") == []


def test_a_folder_without_rights_is_the_operators_matter():
    with pytest.raises(StoreError, match="right to it") as caught, explained("store", Path("x")):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert caught.value.refused
    assert not caught.value.permanent


def test_a_folder_in_the_place_of_an_object_is_permanent(tmp_path):
    store = open_store("kept", base=tmp_path)
    store.put_bytes("a/b", b"x", content_type="text/plain")
    for key in ("a", "a/b/c"):
        with pytest.raises(StoreError) as caught:
            store.put_bytes(key, b"x", content_type="text/plain")
        assert caught.value.permanent
        assert store.stat(key) is None
    assert store.read_bytes("a/b") == b"x"
    assert files(tmp_path / "kept") == ["a/b"]
