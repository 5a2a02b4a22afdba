"""Videos as a CDN serves them: signed, expiring, in parts, and damaged on purpose."""

import hashlib
import http.client
import re
import time
from urllib.parse import urlsplit

import av
import pytest
from av.error import FFmpegError


@pytest.fixture(scope="module")
def url(shared):
    return shared.video(title="Media")


@pytest.fixture(scope="module")
def whole(shared, url):
    return shared.send("GET", url)


def boxes(data):
    """(type, start, end) of the top-level boxes of an MP4 (ISO/IEC 14496-12)."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8].decode("latin-1"), at, at + size
        at += size


def get(shared, url, **headers):
    return shared.send("GET", url, None, {name.replace("_", "-"): value for name, value in headers.items()})


def test_the_whole(shared, url, whole):
    assert whole.status == 200
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert int(whole.headers["Content-Length"]) == len(whole.body)
    assert re.fullmatch(r'"[^"]+"', whole.headers["ETag"])
    story_id = urlsplit(url).path.split("/")[2]
    assert hashlib.sha256(whole.body).hexdigest() == shared.server.video_sha256(story_id)


def test_head_has_the_same_headers_and_no_body(shared, url, whole):
    head = shared.send("HEAD", url)
    assert (head.status, head.body) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=100-199", slice(100, 200)),
        ("bytes=500-", slice(500, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=10-99999999", slice(10, None)),
    ],
)
def test_a_part(shared, url, whole, asked, part):
    answer = get(shared, url, Range=asked)
    start, stop, _ = part.indices(len(whole.body))
    assert answer.status == 206
    assert answer.body == whole.body[part]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole.body)}"
    assert answer.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize("asked", ["bytes=9-3", "lines=0-3", "bytes=a-b", "bytes=0-1,4-5", "bytes"])
def test_a_range_that_is_none_gets_the_whole(shared, url, whole, asked):
    answer = get(shared, url, Range=asked)
    assert (answer.status, answer.body) == (200, whole.body)


def test_a_range_behind_the_end_gets_416(shared, url, whole):
    answer = get(shared, url, Range=f"bytes={len(whole.body)}-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(whole.body)}"


def test_if_range_gives_the_part_of_the_same_video_only(shared, url, whole):
    same = get(shared, url, Range="bytes=5-9", If_Range=whole.headers["ETag"])
    assert (same.status, same.body) == (206, whole.body[5:10])
    for other in ('"another"', "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert get(shared, url, Range="bytes=5-9", If_Range=other).status == 200


def test_if_none_match(shared, url, whole):
    assert get(shared, url, If_None_Match=whole.headers["ETag"]).status == 304
    assert get(shared, url, If_None_Match='"another"').status == 200


@pytest.mark.parametrize(
    "change", [("signature=", "signature=0"), ("expires=1", "expires=2"), ("serial=1", "serial=2")]
)
def test_a_changed_url_gets_403(shared, url, change):
    assert shared.send("GET", url.replace(*change)).status == 403


def test_an_unsigned_url_gets_403(shared, url):
    assert shared.send("GET", url.split("?")[0]).status == 403


def test_a_url_that_expires_in_time_gets_403_and_a_fresh_one_works(shared):
    url = shared.video("A fox. [fault:video-url-expires=0.3]")
    story_id = urlsplit(url).path.split("/")[2]
    shared.until(lambda: time.time() * 1000 > int(re.search(r"expires=(\d+)", url)[1]))
    assert shared.send("GET", url).status == 403
    shared.until(lambda: shared.send("GET", shared.get(story_id).json["video_url"]).status == 200)


def test_a_url_that_is_used_up_gets_410_and_a_fresh_one_works(shared):
    url = shared.video("A fox. [fault:video-url-expires=after-2]")
    story_id = urlsplit(url).path.split("/")[2]
    assert [shared.send("GET", url).status for _ in range(3)] == [200, 200, 410]
    fresh = shared.get(story_id).json["video_url"]
    assert [shared.send("GET", u).status for u in (url, fresh)] == [410, 200]
    assert shared.server.story(story_id).downloads == 3


def test_a_download_breaks_off_and_can_be_resumed(shared):
    url = shared.video("A fox. [fault:download-cut=2]")
    with pytest.raises(http.client.IncompleteRead) as first:
        shared.send("GET", url)
    got = first.value.partial
    assert got
    with pytest.raises(http.client.IncompleteRead) as second:
        get(shared, url, Range=f"bytes={len(got)}-")
    got += second.value.partial
    rest = get(shared, url, Range=f"bytes={len(got)}-")
    assert rest.status == 206
    story_id = urlsplit(url).path.split("/")[2]
    assert hashlib.sha256(got + rest.body).hexdigest() == shared.server.video_sha256(story_id)


def test_a_cut_video_is_served_as_if_it_were_whole(shared, tmp_path):
    answer = shared.send("GET", shared.video("A fox. [fault:video-cut]"))
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    *_, last = boxes(answer.body)
    assert last[2] > len(answer.body)


def test_a_corrupt_video_has_its_length_and_does_not_decode(shared, tmp_path):
    url = shared.video("A fox. [fault:video-corrupt]", scene_duration=3)
    answer = shared.send("GET", url)
    *_, last = boxes(answer.body)
    assert last[2] == len(answer.body)
    path = tmp_path / "corrupt.mp4"
    path.write_bytes(answer.body)
    with av.open(str(path)) as container, pytest.raises(FFmpegError):
        for _ in container.decode(video=0):
            pass


@pytest.mark.parametrize("size", [2_000_000, 3_000_001])
def test_a_padded_video_has_the_exact_size_and_stays_valid(start, tmp_path, size):
    caller = start(video_bytes=size)
    url = caller.video()
    answer = caller.send("GET", url)
    assert len(answer.body) == size
    assert [kind for kind, *_ in boxes(answer.body)][-1] == "free"
    assert list(boxes(answer.body))[-1][2] == size
    story_id = urlsplit(url).path.split("/")[2]
    assert hashlib.sha256(answer.body).hexdigest() == caller.server.video_sha256(story_id)
    path = tmp_path / "padded.mp4"
    path.write_bytes(answer.body)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    for start_at in (0, size - 2_000, size - 1):
        part = caller.send("GET", url, None, {"Range": f"bytes={start_at}-"})
        assert part.body == answer.body[start_at:]


@pytest.mark.parametrize(
    "path", ["/pictures/{}/scenes-9.jpg", "/pictures/{}/faults-1.jpg", "/pictures/{}/x.jpg"]
)
def test_pictures_that_are_not_there(shared, url, path):
    story_id = urlsplit(url).path.split("/")[2]
    assert shared.send("GET", shared.server.url + path.format(story_id)).status == 404
    assert shared.send("GET", shared.server.url + path.format("nobody")).status == 404


def test_another_cut_is_not_there(shared, url):
    assert shared.send("GET", url.replace("/1/video.mp4", "/2/video.mp4")).status == 403
