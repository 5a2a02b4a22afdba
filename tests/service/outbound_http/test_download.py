"""A file comes whole, hashed, on disk and within its limits, or it is said why not."""

import hashlib
import os
import threading
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from service.outbound_http import (
    AddressGuard,
    AddressRefused,
    DiskFull,
    DownloadLimits,
    HttpClient,
    HttpStatus,
    Incomplete,
    Interrupted,
    NoAnswer,
    NotSent,
    PartFile,
    TooLarge,
    TooManyRedirects,
    TooSlow,
)
from service.outbound_http.part_file import disk_errors

DATA = os.urandom(3 * 2**20 + 7)
SHA = hashlib.sha256(DATA).hexdigest()
LIMITS = DownloadLimits()


def sent(data: bytes, head: str = "HTTP/1.1 200 OK\r\n") -> Callable[[Any, Any], None]:
    def script(connection: Any, _talk: Any) -> None:
        connection.sendall(head.encode() + b"\r\n" + data)

    return script


def endless(head: str) -> Callable[[Any, Any], None]:
    def script(connection: Any, talk: Any) -> None:
        connection.sendall(head.encode() + b"\r\n")
        while not talk.over.is_set():
            connection.sendall(bytes(65536))

    return script


def endless_headers(connection: Any, talk: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not talk.over.is_set():
        connection.sendall(b"X-Some: thing\r\n" * 1000)


def test_a_whole_file(site: Any, client: HttpClient, part: PartFile) -> None:
    url = site.on("/v.mp4", DATA, headers={"Content-Type": "video/mp4", "ETag": '"a"'})
    told: list[tuple[int, int | None]] = []
    found = client.download(
        url + "?sig=s3cret", part, LIMITS, {"X-More": "1"}, lambda *numbers: told.append(numbers)
    )
    assert found.path.read_bytes() == DATA
    assert (found.sha256, found.bytes, found.content_type, found.etag) == (SHA, len(DATA), "video/mp4", '"a"')
    assert (found.resumed_from, found.url) == (0, url)
    assert told[-1] == (len(DATA), len(DATA))
    assert site.asked[0].headers["x-more"] == "1"
    assert not {"accept-encoding", "range", "if-range"} & set(site.asked[0].headers)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("size", [0, 1, 65536, 2**20, 2**20 + 1])
def test_any_size(site: Any, client: HttpClient, part: PartFile, size: int) -> None:
    found = client.download(site.on("/v", DATA[:size]), part, LIMITS)
    assert (found.bytes, found.sha256) == (size, hashlib.sha256(DATA[:size]).hexdigest())


def test_a_chunked_body_has_no_length(talk: Callable[..., Any], client: HttpClient, part: PartFile) -> None:
    body = (
        b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (DATA[:9], DATA[9:70_000])) + b"0\r\n\r\n"
    )
    server = talk(sent(body, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"))
    assert client.download(server.url, part, LIMITS).path.read_bytes() == DATA[:70_000]


def test_a_body_until_the_connection_ends(
    talk: Callable[..., Any], client: HttpClient, part: PartFile
) -> None:
    assert client.download(talk(sent(DATA)).url, part, LIMITS).sha256 == SHA


def test_a_chunked_body_that_is_cut_is_not_whole(
    talk: Callable[..., Any], client: HttpClient, part: PartFile
) -> None:
    server = talk(sent(b"5\r\nabcde\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"))
    with pytest.raises(NoAnswer):
        client.download(server.url, part, LIMITS)


def test_a_body_below_its_length_is_incomplete(
    talk: Callable[..., Any], client: HttpClient, part: PartFile
) -> None:
    server = talk(sent(DATA[:1000], "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n"))
    with pytest.raises(Incomplete):
        client.download(server.url, part, LIMITS)
    assert part.path.read_bytes() == DATA[:1000]


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 416, 429, 500, 503])
def test_another_status(site: Any, client: HttpClient, part: PartFile, status: int) -> None:
    body = b"" if status in (204, 304) else b"<b>No</b>\x1b[31m such thing: /v?sig=s3cret" + b"x" * 100_000
    url = site.on("/v", body, status, {"Retry-After": "3.5"})
    with pytest.raises(HttpStatus, match=f"answered {status}") as refused:
        client.download(url + "?sig=s3cret", part, LIMITS)
    assert (refused.value.status, refused.value.retry_after) == (status, 3.5)
    assert len(refused.value.excerpt) <= 300
    assert refused.value.excerpt.isprintable()
    assert "s3cret" not in str(refused.value) + refused.value.excerpt
    assert part.path.read_bytes() == b""


@pytest.mark.parametrize("length", [1001, 10**15, 10**40])
def test_a_length_above_the_limit_is_refused_before_the_body(
    talk: Callable[..., Any], client: HttpClient, part: PartFile, length: int
) -> None:
    def script(connection: Any, server: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        server.over.wait(30)

    with pytest.raises(TooLarge, match="the limit is 1000"):
        client.download(talk(script).url, part, DownloadLimits(max_bytes=1000))
    assert not part.path.exists()


@pytest.mark.parametrize("head", ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\nContent-Length: x\r\n"])
def test_a_body_above_the_limit_is_cut_off(
    talk: Callable[..., Any], client: HttpClient, part: PartFile, head: str
) -> None:
    with pytest.raises((TooLarge, NoAnswer)):
        client.download(talk(endless(head)).url, part, DownloadLimits(max_bytes=5 * 2**20))
    assert not part.path.exists() or part.path.stat().st_size <= 5 * 2**20


def test_the_limit_itself_is_allowed(site: Any, client: HttpClient, part: PartFile) -> None:
    url = site.on("/v", DATA)
    assert client.download(url, part, DownloadLimits(max_bytes=len(DATA))).sha256 == SHA
    with pytest.raises(TooLarge):
        client.download(url, part, DownloadLimits(max_bytes=len(DATA) - 1))


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nabc"])
def test_a_silent_server_is_too_slow(
    talk: Callable[..., Any], client: HttpClient, part: PartFile, first: bytes
) -> None:
    def script(connection: Any, server: Any) -> None:
        connection.sendall(first)
        server.over.wait(30)

    with pytest.raises(TooSlow, match=r"127\.0\.0\.1:\d+ sent \d bytes in 0\.3 s"):
        client.download(talk(script).url, part, DownloadLimits(window=0.3))
    assert part.path.read_bytes() == first[-3:]


def test_a_dripping_server_is_too_slow(talk: Callable[..., Any], client: HttpClient, part: PartFile) -> None:
    def script(connection: Any, server: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        while not server.over.wait(0.02):
            connection.sendall(b"x")

    with pytest.raises(TooSlow):
        client.download(talk(script).url, part, DownloadLimits(window=0.3))


def test_endless_headers_end(talk: Callable[..., Any], client: HttpClient, part: PartFile) -> None:
    with pytest.raises(NoAnswer):
        client.download(talk(endless_headers).url, part, LIMITS)


def test_redirects_are_followed_to_a_limit(site: Any, client: HttpClient, part: PartFile) -> None:
    site.on("/v", DATA)
    for hop in range(6):
        site.on(f"/{hop}", b"moved", 302, {"Location": "/v" if hop == 5 else f"/{hop + 1}"})
    found = client.download(site.url + "/1?s3cret", part, LIMITS)
    assert (found.sha256, found.url) == (SHA, site.url + "/v")
    with pytest.raises(TooManyRedirects):
        client.download(site.url + "/0", part, LIMITS)


def test_an_untrusted_url_is_guarded_at_every_hop(make_site: Callable[..., Any], part: PartFile) -> None:
    inside, outside = make_site("127.0.0.2"), make_site()
    start = outside.on("/out", status=302, headers={"Location": inside.on("/in", DATA)})
    client = HttpClient(guard=AddressGuard((ip_network("127.0.0.1/32"),)))
    with pytest.raises(AddressRefused):
        client.download(start, part, LIMITS)
    assert inside.asked == []


def test_a_refused_connection(client: HttpClient, part: PartFile) -> None:
    with pytest.raises(NotSent):
        client.download("http://127.0.0.1:1/v", part, LIMITS)


def test_a_reason_to_stop_keeps_the_part(talk: Callable[..., Any], part: PartFile) -> None:
    there = threading.Event()

    def script(connection: Any, server: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nabc")
        server.over.wait(30)

    def progress(size: int, total: int | None) -> None:
        if (size, total) == (3, 5000):
            there.set()

    client = HttpClient(stop=lambda: "lease lost" if there.is_set() else None)
    with pytest.raises(Interrupted, match="lease lost"):
        client.download(talk(script).url, part, LIMITS, progress=progress)
    assert part.path.read_bytes() == b"abc"


def test_what_progress_raises_comes_out(site: Any, client: HttpClient, part: PartFile) -> None:
    def progress(_size: int, _total: int | None) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        client.download(site.on("/v", DATA), part, LIMITS, progress=progress)


def test_no_thread_outlives_a_download(site: Any, client: HttpClient, part: PartFile) -> None:
    before = {thread.name for thread in threading.enumerate() if thread.name.startswith("sha256")}
    client.download(site.on("/v", DATA), part, LIMITS)
    with pytest.raises(TooLarge):
        client.download(site.on("/w", DATA), part, DownloadLimits(max_bytes=2**20))
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("sha256")} == before


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(DiskFull, match="no space left for v"):  # noqa: SIM117
        with disk_errors(tmp_path / "v"):
            full.write(b"x")


def test_another_fault_of_the_disk_is_an_os_error(tmp_path: Path, client: HttpClient) -> None:
    with pytest.raises(FileNotFoundError):
        client.download("http://127.0.0.1:1/", PartFile(tmp_path / "none" / "v"), LIMITS)
