"""Calls and their answers, against real servers."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.outbound_http import FileBody, HttpClient, JoinedBody, NotJson, Request, TooLarge


@pytest.mark.parametrize("status", [200, 201, 204, 301, 304, 400, 401, 404, 409, 429, 500, 503])
def test_any_status_is_an_answer(site: Any, client: HttpClient, status: int) -> None:
    body = b"" if status in (204, 304) else b"said"
    url = site.on("/x", body, status, {"Retry-After": "7", "X-Twice": "a, b"})
    response = client.send(Request("GET", url))
    assert (response.status, response.body, response.url) == (status, body, url)
    assert response.retry_after(datetime.now(UTC)) == 7
    assert response.headers["x-twice"] == "a, b"


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT", "PATCH"])
def test_what_arrives(site: Any, client: HttpClient, method: str) -> None:
    body = None if method == "GET" else b"\x00{}\xff"
    url = site.on("/x")
    client.send(Request(method, url + "?a=b%20c", {"Authorization": "Bearer t", "X-Empty": ""}, body))
    (asked,) = site.asked
    assert (asked.method, asked.path, asked.body) == (method, "/x?a=b%20c", body or b"")
    assert asked.headers["authorization"] == "Bearer t"
    assert asked.headers["x-empty"] == ""
    assert asked.headers["user-agent"].startswith("storyrelay/")
    assert "content-type" not in asked.headers
    assert "expect" not in asked.headers


def test_a_post_without_a_body_says_so(site: Any, client: HttpClient) -> None:
    client.send(Request("POST", site.on("/x")))
    assert site.asked[0].headers["content-length"] == "0"


def test_head_has_no_body(site: Any, client: HttpClient) -> None:
    response = client.send(Request("HEAD", site.on("/x", headers={"Content-Length": "123456789"})))
    assert (response.headers["content-length"], response.body) == ("123456789", b"")


@pytest.mark.parametrize(
    ("offset", "length", "sent"),
    [(0, None, b"0123456789"), (3, 4, b"3456"), (8, 9, b"89"), (12, None, b""), (0, 0, b"")],
)
def test_a_stretch_of_a_file_is_streamed(
    site: Any, client: HttpClient, tmp_path: Path, offset: int, length: int | None, sent: bytes
) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"0123456789")
    told: list[tuple[int, int]] = []
    body = FileBody(path, offset, length)
    client.send(Request("POST", site.on("/x"), body=body, progress=lambda *numbers: told.append(numbers)))
    assert site.asked[0].body == sent
    assert told[-1] == (len(sent), len(sent))


def test_a_large_file_arrives_whole(site: Any, client: HttpClient, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(bytes(range(256)) * 20_000)
    client.send(Request("PUT", site.on("/x"), body=FileBody(path)))
    assert site.asked[0].body == path.read_bytes()
    assert "expect" not in site.asked[0].headers


def test_a_missing_file_is_an_os_error_and_nothing_is_sent(
    site: Any, client: HttpClient, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        client.send(Request("POST", site.on("/x"), body=FileBody(tmp_path / "none")))
    assert site.asked == []


def test_a_compressed_answer_is_decoded(site: Any, client: HttpClient) -> None:
    url = site.on("/x", gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    assert client.send(Request("GET", url)).json() == {"a": 1}


def test_a_compression_bomb_is_cut_off(site: Any, client: HttpClient) -> None:
    bomb = gzip.compress(bytes(50 * 2**20))
    url = site.on("/x", bomb, headers={"Content-Encoding": "gzip"})
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge) as refused:
        client.send(Request("GET", url, max_answer_bytes=100_000))
    assert refused.value.sent


@pytest.mark.parametrize(("limit", "fits"), [(4, True), (3, False)])
def test_the_limit_of_an_answer_is_exact(site: Any, client: HttpClient, limit: int, fits: bool) -> None:
    request = Request("GET", site.on("/x", b"four"), max_answer_bytes=limit)
    if fits:
        assert client.send(request).body == b"four"
    else:
        with pytest.raises(TooLarge):
            client.send(request)


def test_json(site: Any, client: HttpClient) -> None:
    url = site.on("/x", b'\xef\xbb\xbf{"a": [1, "\\u00e4"]}')
    assert client.send(Request("GET", url)).json() == {"a": [1, "ä"]}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b"\xff\xfe", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"1" * 10_000]
)
def test_not_json(site: Any, client: HttpClient, body: bytes) -> None:
    url = site.on("/x", body, 502, {"Content-Type": "text/html;\tx=" + "y" * 500})
    with pytest.raises(NotJson, match=r"^127\.0\.0\.1:\d+ answered 502 with text/html") as refused:
        client.send(Request("GET", url + "?key=s3cret")).json()
    assert "s3cret" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_no_secret_in_a_repr(site: Any, client: HttpClient) -> None:
    url = site.on("/x", b"b0dy-s3cret", headers={"Set-Cookie": "cookie-s3cret"})
    request = Request("POST", url + "?s3cret", {"Authorization": "s3cret"}, b"s3cret")
    assert "s3cret" not in repr(request) + repr(client.send(request))


def test_interim_answers_are_passed_over_and_trailers_ignored(
    talk: Callable[..., Any], client: HttpClient
) -> None:
    def script(connection: Any, _talk: Any) -> None:
        connection.sendall(
            b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n"
        )

    response = client.send(Request("GET", talk(script).url))
    assert (response.status, response.body) == (200, b"abc")
    assert response.headers["x-a"] == "1, 2"
    assert "link" not in response.headers
    assert "x-late" not in response.headers


def test_who_watches_a_client_is_told_of_the_files_that_it_sends(site: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    (tmp_path / "body").write_bytes(bytes(300_000))
    file = FileBody(tmp_path / "body")
    with HttpClient(sent=lambda sent, total: told.append((sent, total))) as client:
        client.send(Request("POST", site.on("/x"), body=b"no file"))
        assert told == []
        own: list[int] = []
        body = JoinedBody((b"before", file))
        client.send(Request("PUT", site.on("/x"), body=body, progress=lambda sent, _total: own.append(sent)))
    assert told[-1] == (300_006, 300_006)
    assert own[-1] == 300_006


def test_a_progress_that_raises_ends_the_call_with_what_it_raised(
    site: Any, client: HttpClient, tmp_path: Path
) -> None:
    def progress(_sent: int, _total: int) -> None:
        raise LookupError("mine")

    (tmp_path / "body").write_bytes(bytes(1000))
    with pytest.raises(LookupError, match="mine"):
        client.send(Request("PUT", site.on("/x"), body=FileBody(tmp_path / "body"), progress=progress))
    assert client.send(Request("GET", site.url + "/x")).status == 200
