import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from damaging_proxy import BAD, GOOD, damaging_proxy

from service.video_store import NotStored, StoreError, StoreFull, open_store
from service.video_store.remote import RemoteStore
from service.video_store.sent_bytes import SentBytes

SECRET = "a-wrong-secret-that-nobody-may-see"
PART = 6 * 2**20
"""Bytes of the parts that large files go up in."""

SETUP = """
import os, resource, signal, sys
from pathlib import Path
from service.video_store import StoreError, open_store

endpoint, key, secret, base = sys.argv[1:5]
store = open_store(f"s3://shelf/{Path(base).name}?endpoint={endpoint}", base=Path(base),
                   options={"access_key_id": key, "secret_access_key": secret, "region": "us-east-1"})
"""

KILLED = """
def pause_half_way(done, total):
    if done >= total / 2:
        print("half", flush=True)
        signal.pause()

store.put_file("video.mp4", Path(sys.argv[5]), content_type="video/mp4", progress=pause_half_way)
"""

FLAT = """
source = Path(sys.argv[5])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.put_file("video.mp4", source, content_type="video/mp4")
with store.local_copy("video.mp4") as copy:
    assert copy.stat().st_size == source.stat().st_size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

FORKED = """
store.put_bytes("x", b"x", content_type="text/plain")
if os.fork() == 0:
    try:
        store.read_bytes("x")
    except StoreError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""

FORKED_FIRST = """
if os.fork() == 0:
    store.put_bytes("x", b"from the child", content_type="text/plain")
    os._exit(0)
os.wait()
print(store.read_bytes("x"))
"""


def command(script: str, s3, base: Path, *more: Path) -> list[object]:
    credentials = ["AKIATEST", "secret-of-the-test-server-0123456789"]
    return [sys.executable, "-c", SETUP + script, s3.endpoint, *credentials, base, *more]


def run(script: str, s3, base: Path, *more: Path) -> str:
    return subprocess.run(
        command(script, s3, base, *more), stdout=subprocess.PIPE, text=True, check=True, timeout=60
    ).stdout


def test_a_presigned_url_is_good_for_anyone_and_for_its_object_alone(s3, tmp_path):
    store = s3.open(tmp_path, prefix=f"/{tmp_path.name}")
    store.put_bytes("a/video.mp4", b"0123456789", content_type="video/mp4")
    url = store.presigned_url("a/video.mp4", 60)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"0123456789"
        assert answer.headers["Content-Type"] == "video/mp4"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=2-4"})) as answer:
        assert (answer.status, answer.read()) == (206, b"234")
    for forged in (url.replace("video.mp4", "other.mp4"), url.partition("?")[0], url[:-1] + "z"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(forged)


def test_a_presigned_url_holds_for_a_week_at_most(s3, tmp_path):
    assert "X-Amz-Expires=604800&" in s3.open(tmp_path).presigned_url("v", 30 * 24 * 3600)


def test_a_wrong_secret_is_the_operators_matter_and_stays_secret(s3, tmp_path):
    store = s3.open(tmp_path, secret=SECRET)
    with pytest.raises(StoreError, match="key, secret and rights") as caught:
        store.put_bytes("x", b"x", content_type="text/plain")
    assert caught.value.refused
    assert not caught.value.permanent
    assert "SignatureDoesNotMatch" in str(caught.value)
    assert SECRET not in f"{caught.value} {store!r} {store.location}"


def test_a_missing_bucket_is_not_a_missing_object(s3, tmp_path):
    store = s3.open(tmp_path, bucket="no-such-bucket")
    with pytest.raises(StoreError, match="make that bucket") as caught:
        store.check()
    assert not isinstance(caught.value, NotStored)


def test_a_server_that_is_down_is_worth_another_try(tmp_path):
    options = {"endpoint": "http://127.0.0.1:9", "access_key_id": "k", "secret_access_key": SECRET}
    store = open_store("s3://shelf", base=tmp_path, options=options)
    for call in (
        lambda: store.stat("x"),
        lambda: store.put_bytes("x", b"", content_type="text/plain"),
        store.check,
    ):
        with pytest.raises(StoreError, match="s3://shelf") as caught:
            call()
        assert not caught.value.permanent
        assert not isinstance(caught.value, NotStored | StoreFull)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("bytes_", [1000, PART, PART + 1, 3 * PART - 7])
def test_what_arrives_damaged_is_noticed_and_deleted(s3, tmp_path, bytes_):
    """The server of these tests takes any body for its signature, as others do."""
    source = tmp_path / "source.mp4"
    source.write_bytes((GOOD * (bytes_ // len(GOOD) + 1))[:bytes_])
    straight = s3.open(tmp_path, prefix=f"/{tmp_path.name}")
    with damaging_proxy(s3.endpoint) as endpoint:
        store = replace(s3, endpoint=endpoint).open(tmp_path, prefix=f"/{tmp_path.name}")
        with pytest.raises(StoreError, match=r"v\.mp4 arrived damaged in s3://shelf") as damaged:
            store.put_file("v.mp4", source, content_type="video/mp4")
        assert not damaged.value.permanent
        with pytest.raises(StoreError, match=r"facts\.json arrived damaged"):
            store.put_bytes("facts.json", GOOD, content_type="application/json")
    assert straight.stat("v.mp4") is None
    straight.put_file("v.mp4", source, content_type="video/mp4")
    assert straight.read_bytes("v.mp4") == source.read_bytes()
    assert BAD not in straight.read_bytes("v.mp4")


def test_what_has_another_tag_is_read_back(s3, tmp_path, monkeypatch):
    """As where a store encrypts with keys of its own: its tags say nothing of the bytes."""
    monkeypatch.setattr(SentBytes, "etag", '"of an encrypted object"')
    store = s3.open(tmp_path, prefix=f"/{tmp_path.name}")
    store.put_bytes("facts.json", b"{}", content_type="application/json")
    assert store.read_bytes("facts.json") == b"{}"


@pytest.mark.parametrize("bytes_", [0, 1000, PART, PART + 1, 2 * PART, 3 * PART - 7])
def test_the_expected_tag_is_what_the_server_makes(s3, tmp_path, sparse, bytes_, monkeypatch):
    def read_back(_store, key, _sent):
        raise AssertionError(f"{key} would be read back for nothing")

    monkeypatch.setattr(RemoteStore, "_read_back", read_back)
    store = s3.open(tmp_path, prefix=f"/{tmp_path.name}")
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(range(256)) * (bytes_ // 256) + bytes(bytes_ % 256))
    store.put_file("v.mp4", source, content_type="video/mp4")
    assert store.stat("v.mp4").bytes == bytes_


def test_headers_are_kept_for_those_who_fetch(s3, tmp_path, sparse):
    store = s3.open(tmp_path, prefix=f"/{tmp_path.name}")
    headers = {"Cache-Control": "public, max-age=60", "Content-Disposition": 'inline; filename="a.mp4"'}
    store.put_bytes("small", b"x", content_type="video/mp4", headers=headers)
    store.put_file("large", sparse(9 * 2**20), content_type="video/mp4", headers=headers)
    for key in ("small", "large"):
        with urllib.request.urlopen(store.presigned_url(key, 60)) as answer:
            kept = {name: answer.headers[name] for name in headers}
            assert (kept, answer.headers["Content-Type"]) == (headers, "video/mp4")


def test_a_writer_that_is_killed_half_way_leaves_no_object(s3, tmp_path, sparse):
    source = sparse(24 * 2**20)
    with subprocess.Popen(command(KILLED, s3, tmp_path, source), stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "half\n"
        writer.kill()
    store = s3.open(tmp_path, prefix=f"/{tmp_path.name}")
    assert store.stat("video.mp4") is None
    store.put_file("video.mp4", source, content_type="video/mp4")
    assert store.stat("video.mp4").bytes == 24 * 2**20


def test_large_files_take_little_memory(s3, tmp_path, sparse):
    grown = int(run(FLAT, s3, tmp_path, sparse(160 * 2**20))) / 1024
    assert grown < 90


def test_a_process_whose_parent_opened_a_store_is_told_rather_than_hung(s3, tmp_path):
    assert "before it forked this one" in run(FORKED, s3, tmp_path)


def test_a_store_that_is_made_before_a_fork_works_on_both_sides(s3, tmp_path):
    assert run(FORKED_FIRST, s3, tmp_path) == "b'from the child'\n"


def test_odd_but_plain_keys_work(s3, tmp_path):
    store = s3.open(tmp_path, prefix=f"/{tmp_path.name}/with space")
    for key in ("ü x.txt", "a+b.txt", "a=b&c.txt", "a@b!.txt"):
        store.put_bytes(key, key.encode(), content_type="text/plain")
        assert store.read_bytes(key) == key.encode()
