"""Request fields are checked before they are sent, answers' fields are read without trust."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outbound_http import BadHeader, Headers
from service.outbound_http.headers import header_lines, retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: c"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00b"),
        ("X-A", "ü€"),
        ("X A", "a"),
        ("X-A:", "a"),
        ("", "a"),
        ("X-A\r\nB", "a"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("Host", "other"),
    ],
)
def test_refuses(name: str, value: str) -> None:
    with pytest.raises(BadHeader) as refused:
        header_lines({name: value})
    assert not refused.value.sent
    assert value not in str(refused.value) or len(value) < 3


def test_lines_for_curl() -> None:
    assert header_lines({"X-A": " ü ", "X-Empty": ""}) == [b"X-A: \xfc", b"X-Empty;"]


@given(st.text(), st.text())
def test_no_line_ever_has_a_break(name: str, value: str) -> None:
    try:
        (line,) = header_lines({name: value})
    except BadHeader:
        return
    assert not set(b"\r\n\x00") & set(line)


def test_answers_fields_are_found_in_any_case_and_cannot_be_changed() -> None:
    headers = Headers({"Content-Type": "a", "X": "secret"})
    assert headers["content-TYPE"] == "a"
    assert "CONTENT-type" in headers
    assert headers.get("y") is None
    assert "secret" not in repr(headers)
    with pytest.raises(TypeError):
        headers["X"] = "b"  # type: ignore[index]  # that is the point


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("-3", 0.0),
        ("+3", 3.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Friday, 02-Jan-26 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("nan", None),
        ("inf", None),
        ("9" * 400, None),
        ("Fri, 99 Jan 2026 99:00:00 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after(Headers({"Retry-After": text}), NOW) == seconds


def test_no_retry_after() -> None:
    assert retry_after(Headers(), NOW) is None


@given(st.text())
def test_retry_after_survives_any_text(text: str) -> None:
    seconds = retry_after(Headers({"Retry-After": text}), NOW)
    assert seconds is None or seconds >= 0
