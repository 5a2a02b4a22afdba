"""A broken download goes on where it ended, if what is there is the start of what the server has."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.outbound_http import DownloadLimits, HttpClient, HttpStatus, Incomplete, PartFile
from service.outbound_http.download import OVERLAP

DATA = os.urandom(2**20 + 5)
OTHER = os.urandom(2**20 + 5)
LIMITS = DownloadLimits()
ETAG = {"ETag": '"one"'}


class Server:
    """Serves `data` with ranges; the next answer's body is cut after `cut` bytes."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.data = DATA
        self.headers = dict(ETAG)
        self.cut: int | None = None
        self.ranges = True
        self.if_range = True
        site.answers["/v"] = self.answer

    @property
    def url(self) -> str:
        return f"{self.site.url}/v"

    def answer(self, handler: Any, asked: Any) -> None:
        start = self.start(asked.headers)
        if start is not None and start >= len(self.data):
            fields = {"Content-Range": f"bytes */{len(self.data)}", "Content-Length": "0"}
            handler.answer(416, fields)
            return
        body = self.data[start or 0 :]
        fields = {**self.headers, "Content-Length": str(len(body))}
        if start is not None:
            fields["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        cut, self.cut = self.cut, None
        handler.answer(200 if start is None else 206, fields, body[:cut])
        handler.close_connection = cut is not None

    def start(self, headers: Any) -> int | None:
        condition = headers.get("if-range")
        if not self.ranges or "range" not in headers:
            return None
        if self.if_range and condition not in self.headers.values():
            return None
        return int(headers["range"].removeprefix("bytes=").removesuffix("-"))


@pytest.fixture
def server(site: Any) -> Server:
    return Server(site)


def break_off(server: Server, part: PartFile, at: int = 300_000) -> None:
    """Leaves a part of `at` bytes, as a process that is gone left it."""
    server.cut = at
    with pytest.raises(Incomplete):
        HttpClient().download(server.url + "?sig=first", part, LIMITS)
    assert part.path.stat().st_size == at


def go_on(server: Server, part: PartFile) -> Any:
    found = HttpClient().download(server.url + "?sig=second", PartFile(part.path), LIMITS)
    assert found.path.read_bytes() == server.data
    assert found.sha256 == hashlib.sha256(server.data).hexdigest()
    assert found.bytes == len(server.data)
    return found


@pytest.mark.parametrize("at", [1, OVERLAP - 1, OVERLAP, OVERLAP + 1, 300_000, len(DATA) - 1])
def test_goes_on(server: Server, part: PartFile, at: int) -> None:
    break_off(server, part, at)
    assert go_on(server, part).resumed_from == at
    asked = server.site.asked[1].headers
    assert (asked["range"], asked["if-range"]) == (f"bytes={max(0, at - OVERLAP)}-", '"one"')


def test_goes_on_more_than_once(server: Server, part: PartFile) -> None:
    break_off(server, part, 300_000)
    server.cut = OVERLAP + 1000
    with pytest.raises(Incomplete):
        HttpClient().download(server.url, part, LIMITS)
    assert go_on(server, part).resumed_from == 301_000


def test_a_whole_part_is_only_looked_at(server: Server, part: PartFile) -> None:
    go_on(server, part)
    found = go_on(server, part)
    assert found.resumed_from == len(DATA)
    assert server.site.asked[1].headers["range"] == f"bytes={len(DATA) - OVERLAP}-"


def test_goes_on_by_date(server: Server, part: PartFile) -> None:
    server.headers = {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT", "ETag": 'W/"weak"'}
    break_off(server, part)
    assert go_on(server, part).resumed_from == 300_000
    assert server.site.asked[1].headers["if-range"] == "Wed, 01 Jan 2025 00:00:00 GMT"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": 'W/"weak"'},
        {"ETag": "unquoted"},
        {"ETag": '"a" "b"'},
        {"Last-Modified": "yesterday"},
        {"Last-Modified": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
    ids=str,
)
def test_without_a_strong_validator_it_starts_again(
    server: Server, part: PartFile, headers: dict[str, str]
) -> None:
    server.headers = headers
    break_off(server, part)
    assert go_on(server, part).resumed_from == 0
    assert "range" not in server.site.asked[1].headers


def test_a_changed_file_starts_again_in_the_same_answer(server: Server, part: PartFile) -> None:
    break_off(server, part)
    server.data, server.headers = OTHER, {"ETag": '"two"'}
    assert go_on(server, part).resumed_from == 0
    assert len(server.site.asked) == 2


def test_a_server_without_ranges_starts_again(server: Server, part: PartFile) -> None:
    break_off(server, part)
    server.ranges = False
    assert go_on(server, part).resumed_from == 0


@pytest.mark.parametrize(
    ("data", "etag"),
    [
        (OTHER, '"one"'),
        (DATA, '"two"'),
        (DATA + b"more", '"one"'),
        (DATA[:400_000], '"one"'),
        (DATA[:9], '"one"'),
    ],
    ids=["other bytes", "other tag", "longer", "shorter", "shorter than the part"],
)
def test_a_server_that_ignores_if_range_is_not_believed(
    server: Server, part: PartFile, data: bytes, etag: str
) -> None:
    break_off(server, part)
    server.data, server.headers, server.if_range = data, {"ETag": etag}, False
    assert go_on(server, part).resumed_from == 0
    assert "range" not in server.site.asked[2].headers


@pytest.mark.parametrize(
    "content_range",
    [
        "",
        "bytes 0-9/10",
        "bytes 234464-*/1048581",
        "bytes 234464-1048580/*",
        "bytes 234465-1048580/1048581",
        "junk",
    ],
)
def test_a_wrong_range_starts_again(server: Server, part: PartFile, content_range: str) -> None:
    break_off(server, part)
    whole = server.answer

    def answer(handler: Any, asked: Any) -> None:
        if "range" in asked.headers:
            body = DATA[300_000 - OVERLAP :]
            fields = {**ETAG, "Content-Length": str(len(body)), "Content-Range": content_range}
            handler.answer(206, fields, body)
        else:
            whole(handler, asked)

    server.site.answers["/v"] = answer
    assert go_on(server, part).resumed_from == 0


def test_a_whole_part_that_was_not_compared_to_its_end_is_not_believed(
    server: Server, part: PartFile
) -> None:
    go_on(server, part)
    start = len(DATA) - OVERLAP

    def answer(handler: Any, _asked: Any) -> None:
        place = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        fields = {**ETAG, "Transfer-Encoding": "chunked", "Content-Range": place}
        handler.answer(206, fields, b"a\r\n" + DATA[start : start + 10] + b"\r\n0\r\n\r\n")

    server.site.answers["/v"] = answer
    with pytest.raises(Incomplete):
        HttpClient().download(server.url, part, LIMITS)


def test_an_error_keeps_the_part(server: Server, part: PartFile) -> None:
    break_off(server, part)
    whole = server.site.answers["/v"]
    server.site.on("/v", b"later", 503)
    with pytest.raises(HttpStatus):
        HttpClient().download(server.url, part, LIMITS)
    server.site.answers["/v"] = whole
    assert go_on(server, part).resumed_from == 300_000


def test_another_path_starts_again(server: Server, part: PartFile) -> None:
    break_off(server, part)
    server.site.answers["/w"] = server.answer
    found = HttpClient().download(server.site.url + "/w", part, LIMITS)
    assert found.resumed_from == 0


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"[]",
        b'{"url": 1}',
        b"\xff",
        {"boot": "another"},
        {"total": 5},
        {"total": -1},
        {"url": "http://other/v"},
    ],
    ids=str,
)
def test_a_note_that_is_damaged_or_of_another_boot_starts_again(
    server: Server, part: PartFile, note: bytes | dict[str, Any]
) -> None:
    break_off(server, part)
    sidecar = part.path.with_name(part.path.name + ".json")
    if isinstance(note, dict):
        note = json.dumps({**json.loads(sidecar.read_bytes()), **note}).encode()
    sidecar.write_bytes(note)
    assert go_on(server, part).resumed_from == 0


def test_bytes_that_were_changed_on_disk_start_again(server: Server, part: PartFile) -> None:
    break_off(server, part)
    with part.path.open("r+b") as file:
        file.seek(299_999)
        file.write(bytes([DATA[299_999] ^ 1]))
    assert go_on(server, part).resumed_from == 0


def test_the_note_holds_no_secret(server: Server, part: PartFile) -> None:
    break_off(server, part)
    assert "sig" not in part.path.with_name(part.path.name + ".json").read_text()


KILLED = """
import sys
from pathlib import Path
from service.outbound_http import DownloadLimits, HttpClient, PartFile

part = PartFile(Path(sys.argv[2]))

def progress(size, total):
    if part.path.stat().st_size == 300_000:
        print("there", flush=True)

HttpClient().download(sys.argv[1], part, DownloadLimits(), progress=progress)
"""


def test_goes_on_after_a_kill(server: Server, part: PartFile, talk: Any) -> None:
    def script(connection: Any, told: Any) -> None:
        head = f'HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\nETag: "one"\r\n\r\n'
        connection.sendall(head.encode() + DATA[:300_000])
        told.over.wait(60)

    held = talk(script)
    server.site.on("/v", status=302, headers={"Location": held.url + "/v"})
    command = [sys.executable, "-c", KILLED, server.url, str(part.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout
        assert process.stdout.readline() == b"there\n"
        process.send_signal(signal.SIGKILL)
    server.site.answers["/v"] = server.answer
    assert go_on(server, part).resumed_from == 300_000
