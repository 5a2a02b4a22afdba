import email.policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from service.outbound_http import FileBody, FormField, FormFile, HttpClient, JoinedBody, Request, multipart


def test_pieces_are_sent_as_one_body(site: Any, client: HttpClient, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 8_000)
    told: list[tuple[int, int]] = []
    body = JoinedBody((b"<", FileBody(large), b"", FileBody(large, 10, 5), b">"))
    client.send(Request("POST", site.on("/x"), body=body, progress=lambda *numbers: told.append(numbers)))
    sent = b"<" + large.read_bytes() + large.read_bytes()[10:15] + b">"
    assert site.asked[0].body == sent
    assert site.asked[0].headers["content-length"] == str(len(sent))
    assert told[-1] == (len(sent), len(sent))


def test_pieces_are_sent_again_from_their_start(site: Any, client: HttpClient, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    body = JoinedBody((b"<", FileBody(tmp_path / "file", 2, 3), b">"))
    url = site.on("/old", b"", 307, {"Location": site.on("/new")})
    client.send(Request("PUT", url, body=body, redirects=1))
    assert [asked.body for asked in site.asked] == [b"<234>", b"<234>"]


def test_a_missing_file_among_them_is_an_os_error_and_nothing_is_sent(
    site: Any, client: HttpClient, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        client.send(Request("POST", site.on("/x"), body=JoinedBody((b"<", FileBody(tmp_path / "none")))))
    assert site.asked == []


def test_a_form_is_read_as_it_was_written(site: Any, client: HttpClient, tmp_path: Path) -> None:
    film = tmp_path / "film"
    film.write_bytes(b"\0\r\n--boundary\r\n\xff")
    kind, body = multipart(
        [
            FormField("title", 'Zürich "q"\r\nX-Evil: 1'),
            FormFile("file", 'a".mp4\r\nX-Evil: 1', "video/mp4", FileBody(film)),
        ]
    )
    client.send(Request("POST", site.on("/x"), {"Content-Type": kind}, body=body))
    raw = b"Content-Type: " + kind.encode() + b"\r\n\r\n" + site.asked[0].body
    title, file = BytesParser(policy=email.policy.HTTP).parsebytes(raw).iter_parts()
    assert title["content-disposition"].params == {"name": "title"}
    assert title.get_payload(decode=True) == 'Zürich "q"\r\nX-Evil: 1'.encode()
    assert file["content-disposition"].params == {"name": "file", "filename": "a%22.mp4%0D%0AX-Evil: 1"}
    assert file.get_content_type() == "video/mp4"
    assert file.get_payload(decode=True) == film.read_bytes()
    assert "x-evil" not in file
