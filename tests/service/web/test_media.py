import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from machine import free_port
from relayed import KEY, World
from s3_server import KEY as S3_KEY
from s3_server import SECRET, s3_server
from werkzeug.test import TestResponse

from service.media_url import MediaUrls
from service.video_store import ObjectStore
from service.web import create_app

MakeWorld = Callable[..., World]
DATA = bytes(range(256)) * 40
KEY_OF_VIDEO = "story-1/r1/video.mp4"


def link(
    key: str = KEY_OF_VIDEO, name: str = "video.mp4", seconds: float = 60, keys: tuple[str, ...] = (KEY,)
) -> str:
    return MediaUrls("", keys).url(key, name, seconds)


@pytest.fixture
def store(world: World) -> ObjectStore:
    store = world.relay.video_store()
    store.put_bytes(KEY_OF_VIDEO, DATA, content_type="video/mp4")
    return store


@pytest.fixture
def get(client: FlaskClient, store: ObjectStore) -> Callable[..., TestResponse]:
    def get(path: str | None = None, method: str = "GET", **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(path or link(), method=method, headers=named, buffered=True)

    return get


Get = Callable[..., TestResponse]


def test_the_whole_file_with_what_a_player_needs(get: Get) -> None:
    answer = get()
    assert (answer.status_code, answer.data) == (200, DATA)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == "inline; filename=video.mp4"
    assert answer.headers["Last-Modified"]
    assert answer.headers["ETag"].startswith('"')


@pytest.mark.parametrize("wanted", ["whole", "part", "head"])
def test_a_file_of_others_can_do_nothing_in_a_browser(get: Get, wanted: str) -> None:
    answer = {
        "whole": lambda: get(),
        "part": lambda: get(Range="bytes=0-9"),
        "head": lambda: get(method="HEAD"),
    }[wanted]()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "public" not in answer.headers["Cache-Control"], (
        "the address is a secret: no cache on the way keeps it"
    )


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("0-0", 0, 1), ("0-", 0, None), ("100-199", 100, 200), ("-7", -7, None), ("10000-99999", 10000, None)],
)
def test_a_part_of_the_file(get: Get, wanted: str, start: int, end: int | None) -> None:
    answer = get(Range=f"bytes={wanted}")
    assert (answer.status_code, answer.data) == (206, DATA[start:end])
    first = range(len(DATA))[start]
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.data) - 1}/{len(DATA)}"


@pytest.mark.parametrize("wanted", ["bytes=99999-", f"bytes={len(DATA)}-"])
def test_a_part_that_is_not_there(get: Get, wanted: str) -> None:
    answer = get(Range=wanted)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,4-5", "pages=1-2", "bytes=x", "bytes=5-2", "nonsense", "bytes="]
)
def test_what_is_no_single_range_of_bytes_gets_the_whole(get: Get, wanted: str) -> None:
    answer = get(Range=wanted)
    assert (answer.status_code, answer.data) == (200, DATA)


def test_a_part_only_while_the_file_is_the_same(get: Get) -> None:
    etag = get().headers["ETag"]
    assert get(Range="bytes=0-9", If_Range=etag).status_code == 206
    changed = get(Range="bytes=0-9", If_Range='"another"')
    assert (changed.status_code, changed.data) == (200, DATA)
    assert get(Range="bytes=0-9", If_Range="Sat, 01 Jan 2000 00:00:00 GMT").status_code == 200


def test_a_file_that_is_known_is_not_sent_again(get: Get, store: ObjectStore) -> None:
    first = get()
    for headers in (
        {"If_None_Match": first.headers["ETag"]},
        {"If_Modified_Since": first.headers["Last-Modified"]},
    ):
        answer = get(**headers)
        assert (answer.status_code, answer.data) == (304, b"")
    store.put_bytes(KEY_OF_VIDEO, DATA + b"more", content_type="video/mp4")
    assert get(If_None_Match=first.headers["ETag"]).status_code == 200


def test_head_tells_the_length_and_sends_nothing(get: Get) -> None:
    answer = get(method="HEAD")
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", str(len(DATA)))
    part = get(method="HEAD", Range="bytes=0-9")
    assert (part.status_code, part.data, part.headers["Content-Length"]) == (206, b"", "10")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("video.mp4", "video/mp4"),
        ("poster.jpg", "image/jpeg"),
        ("captions.vtt", "text/vtt; charset=utf-8"),
        ("what", "application/octet-stream"),
    ],
)
def test_each_kind_of_file_has_its_type(get: Get, name: str, kind: str) -> None:
    assert get(link(name=name)).headers["Content-Type"] == kind


def test_a_name_of_any_letters_makes_a_header(get: Get) -> None:
    answer = get(link(name='Füchse\r\nX-Evil: 1; "a".mp4'))
    assert answer.status_code == 200
    assert "X-Evil" not in answer.headers
    assert answer.headers["Content-Disposition"].isascii()


BAD = {
    "expired": lambda: link(seconds=-1),
    "by another key": lambda: link(keys=("another-key-of-somebody",)),
    "cut": lambda: link()[:-1],
    "longer": lambda: link() + "A",
    "junk": lambda: "/media/junk",
    "nothing": lambda: "/media/",
    "a path": lambda: "/media/../../etc/passwd",
    "a file that is gone": lambda: link("story-1/r1/other.mp4"),
    "a folder": lambda: link("story-1/r1"),
    "a key that climbs": lambda: link("../../etc/passwd"),
    "an absolute key": lambda: link("/etc/passwd"),
    "a key with nul": lambda: link("story-1/\0"),
    "a key with a backslash": lambda: link("..\\..\\x"),
    "an empty key": lambda: link(""),
    "a key that is too long": lambda: link("a" * 600),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_what_opens_nothing_is_not_found(get: Get, bad: Callable[[], str]) -> None:
    answer = get(bad())
    assert answer.status_code == 404
    assert "/etc" not in answer.text


def test_nothing_can_be_written(get: Get) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert get(method=method).status_code == 405


def test_every_answer_gives_its_place_back(get: Get, client: FlaskClient) -> None:
    answers = [
        {},
        {"Range": "bytes=0-9"},
        {"Range": "bytes=99999-"},
        {"If-None-Match": "*"},
        {"If-Range": "x"},
    ]
    for headers in answers * 4:
        client.get(link(), headers=headers, buffered=True)
    assert get().status_code == 200


def test_a_place_is_taken_until_the_answer_is_closed(get: Get, client: FlaskClient) -> None:
    open_answers = [client.get(link()) for _ in range(2)]
    busy = get()
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "2")
    assert get(method="HEAD").status_code == 200
    open_answers[0].close()
    assert get().status_code == 200
    open_answers[1].close()


def test_a_file_that_is_gone_takes_no_place(get: Get) -> None:
    for _ in range(3):
        assert get(link("story-1/r1/gone.mp4")).status_code == 404
    assert get().status_code == 200


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("s3")
    (data / "shelf").mkdir()
    with s3_server(data) as url:
        yield url


def s3_location(endpoint: str) -> str:
    return (
        f"s3://shelf?endpoint={endpoint}&access_key_id={S3_KEY}&secret_access_key={SECRET}&region=us-east-1"
    )


def test_an_object_store_serves_its_files_itself(make: MakeWorld, sqlite_url: str, endpoint: str) -> None:
    relay = make(sqlite_url, VIDEO_STORE=s3_location(endpoint)).relay
    relay.video_store().put_bytes(KEY_OF_VIDEO, DATA, content_type="video/mp4")
    answer = create_app(relay).test_client().get(link())
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    assert SECRET not in str(answer.headers)
    wanted = urllib.request.Request(answer.headers["Location"], headers={"Range": "bytes=5-9"})
    with urllib.request.urlopen(wanted, timeout=10) as part:
        assert (part.status, part.read()) == (206, DATA[5:10])


@pytest.mark.parametrize("seconds", [60, 24 * 3600])
def test_an_object_store_serves_them_for_as_long_as_the_link_is_good(
    make: MakeWorld, sqlite_url: str, endpoint: str, seconds: int
) -> None:
    urls = MediaUrls("", (KEY,), lambda: 1_800_000_000.0)
    relay = replace(make(sqlite_url, VIDEO_STORE=s3_location(endpoint)).relay, media_urls=urls)
    answer = create_app(relay).test_client().get(urls.url(KEY_OF_VIDEO, "video.mp4", seconds))
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["X-Amz-Expires"] == [str(seconds)]


def test_a_store_that_can_not_sign_is_told(
    make: MakeWorld, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", nobody)  # where it would ask for a login
    relay = make(sqlite_url, VIDEO_STORE=f"s3://shelf?endpoint={nobody}&region=us-east-1").relay
    answer = create_app(relay).test_client().get(link())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in answer.text


def test_a_key_that_no_store_could_have_is_not_found_in_s3_either(
    make: MakeWorld, sqlite_url: str, endpoint: str
) -> None:
    client = create_app(make(sqlite_url, VIDEO_STORE=s3_location(endpoint)).relay).test_client()
    assert client.get(link("../x")).status_code == 404
