"""What every kind of store does, shown on a folder and on a real S3 server."""

import io
from pathlib import Path

import pytest

from service.video_store import NotStored, StoreError

VIDEO = "video/mp4"
BIG = 20 * 2**20 + 7  # three parts at S3


def test_a_file_comes_back_as_it_was(store, tmp_path):
    source = tmp_path / "in.mp4"
    source.write_bytes(b"moving pictures")
    store.put_file("videos/4f2a/video.mp4", source, content_type=VIDEO)
    assert store.read_bytes("videos/4f2a/video.mp4") == b"moving pictures"
    assert store.stat("videos/4f2a/video.mp4").bytes == 15
    assert source.exists()


def test_a_moved_file_is_gone_from_where_it_was(store, tmp_path):
    source = tmp_path / "in.mp4"
    source.write_bytes(b"moving pictures")
    store.put_file("v.mp4", source, content_type=VIDEO, move=True)
    assert store.read_bytes("v.mp4") == b"moving pictures"
    assert not source.exists()


@pytest.mark.parametrize("move", [False, True])
def test_a_large_file_is_streamed_both_ways(store, sparse, move):
    source = sparse(BIG)
    seen = []
    store.put_file("big.mp4", source, content_type=VIDEO, move=move, progress=lambda *at: seen.append(at))
    assert seen[-1] == (BIG, BIG)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    with store.open("big.mp4") as file:
        assert file.read(7) == b"start\0\0"
        size = 7
        while chunk := file.read(2**16):
            size, last = size + len(chunk), chunk
    assert size == BIG
    assert last.endswith(b"\0end")


def test_a_second_put_replaces_the_first_and_changes_the_entity_tag(store):
    store.put_bytes("story.json", b"first", content_type="application/json")
    first = store.stat("story.json").etag
    store.put_bytes("story.json", b"second!", content_type="application/json")
    assert store.read_bytes("story.json") == b"second!"
    assert first
    assert store.stat("story.json").etag != first


def test_an_empty_object_is_an_object(store):
    store.put_bytes("empty.vtt", b"", content_type="text/vtt")
    assert store.stat("empty.vtt").bytes == 0
    assert store.open("empty.vtt").read() == b""


def test_a_local_copy_is_a_file(store, tmp_path):
    store.put_bytes("a/poster.jpg", b"jpeg", content_type="image/jpeg")
    with store.local_copy("a/poster.jpg") as path:
        assert path.read_bytes() == b"jpeg"
        assert path.suffix == ".jpg"
    assert store.read_bytes("a/poster.jpg") == b"jpeg"
    assert not [path for path in store.incoming.glob("*") if path.is_file()]


def test_what_is_not_there_is_told_apart(store):
    assert store.stat("nothing.mp4") is None
    with pytest.raises(NotStored, match=r"nothing\.mp4"):
        store.read_bytes("nothing.mp4")
    with pytest.raises(NotStored):
        store.open("nothing.mp4")
    with pytest.raises(NotStored), store.local_copy("nothing.mp4"):
        pass
    store.delete("nothing.mp4")


def test_deleted_is_gone(store):
    store.put_bytes("a/b/c.txt", b"x", content_type="text/plain")
    store.put_bytes("a/d.txt", b"y", content_type="text/plain")
    store.delete("a/b/c.txt")
    assert store.stat("a/b/c.txt") is None
    assert store.read_bytes("a/d.txt") == b"y"


class Told(Exception):
    pass


def test_what_progress_raises_ends_the_transfer_and_leaves_nothing(store, sparse):
    source = sparse(BIG)

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise Told

    with pytest.raises(Told):
        store.put_file("half.mp4", source, content_type=VIDEO, progress=stop)
    assert store.stat("half.mp4") is None
    assert source.exists()
    assert not [path for path in store.incoming.glob("*") if path.is_file()]


def test_check_leaves_nothing_behind(store, s3):
    store.check()
    everything = [p for p in [*Path(store.incoming.parent).rglob("*"), *s3.data.rglob("*")] if p.is_file()]
    assert not [p for p in everything if "check" in p.name]


def test_a_missing_source_is_told(store, tmp_path):
    with pytest.raises(StoreError, match=r"gone\.mp4") as caught:
        store.put_file("v.mp4", tmp_path / "gone.mp4", content_type=VIDEO)
    assert not isinstance(caught.value, NotStored)


@pytest.mark.parametrize(
    "key", ["../out", "/etc/passwd", "a//b", "a/../../b", "", "a\\b", "a\0b", ".incoming/x"]
)
def test_keys_that_lead_elsewhere_are_refused_everywhere(store, tmp_path, key):
    source = tmp_path / "in"
    source.write_bytes(b"x")
    for call in (
        lambda: store.put_file(key, source, content_type=VIDEO),
        lambda: store.put_bytes(key, b"x", content_type=VIDEO),
        lambda: store.stat(key),
        lambda: store.read_bytes(key),
        lambda: store.open(key),
        lambda: store.local_path(key),
        lambda: store.presigned_url(key, 60),
        lambda: store.delete(key),
        lambda: store.local_copy(key).__enter__(),
    ):
        with pytest.raises(ValueError, match=r"path|backslash|whole yet"):
            call()


def test_open_gives_a_readable_binary_file(store):
    store.put_bytes("lines.txt", b"one\ntwo\n", content_type="text/plain")
    with store.open("lines.txt") as file:
        assert isinstance(file, io.BufferedIOBase)
        assert list(file) == [b"one\n", b"two\n"]
