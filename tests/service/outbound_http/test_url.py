"""URLs are read by curl's parser, and hostile ones refused before anything is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outbound_http import BadUrl
from service.outbound_http.url import MAX_LENGTH, parse_url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "//host/x",
        "host:80",
        "file:///etc/passwd",
        "ftp://host/x",
        "gopher://host:70/_x",
        "dict://host/x",
        "ws://host/x",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http://",
        "http://a b/",
        "http://a\r\nHost: b/",
        "http://host/\nx",
        "http://host/\x00",
        "http://host:99999/",
        "http://host:x/",
        "http://[::1/",
        "http://a%00b/",
        "http://\udcff/",
        "http://host/" + "x" * MAX_LENGTH,
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(BadUrl) as refused:
        parse_url(text, untrusted=False)
    assert not refused.value.sent


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0x7f.1",
        "%31%32%37.0.0.1",
        "①②⑦.0.0.1",
        "127。0。0。1",
    ],
)
def test_reads_every_spelling_of_an_address_as_that_address(host: str) -> None:
    assert parse_url(f"http://{host}/", untrusted=True).host == "127.0.0.1"


@pytest.mark.parametrize(
    "text", ["http://u@host/", "http://u:p@host/", "http://good.example\\@127.0.0.1/", "http://@host/"]
)
def test_an_untrusted_url_may_not_carry_a_user(text: str) -> None:
    with pytest.raises(BadUrl) as refused:
        parse_url(text, untrusted=True)
    assert "p@" not in str(refused.value)


def test_encodes_what_a_request_line_cannot_hold() -> None:
    url = parse_url("  https://Bücher.example/mein film ä.mp4?a=%2Bb&c=d/e=#part\n", untrusted=True)
    assert url.text == "https://xn--bcher-kva.example/mein%20film%20%C3%A4.mp4?a=%2Bb&c=d/e="
    assert (url.scheme, url.port) == ("https", 443)


def test_leaves_a_signed_url_as_it_is() -> None:
    signed = "https://cdn.example/a/b%20c.mp4?X-Amz-Signature=ab%2Fc%3D&X-Amz-Date=20250101T000000Z&e=1~2+3"
    assert parse_url(signed, untrusted=True).text == signed


def test_names_the_server_and_no_secret() -> None:
    url = parse_url("https://user:pass@host.example:8443/path?token=abc", untrusted=False)
    assert url.place == "host.example:8443"
    assert url.without_query == "https://host.example:8443/path"
    assert "abc" not in repr(url)
    assert "pass" not in repr(url)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"http://{text}", f"https://host/{text}", f"http://host?{text}"):
        try:
            url = parse_url(candidate, untrusted=True)
        except BadUrl:
            continue
        assert url.scheme in ("http", "https")
        assert url.text.isascii()
        assert url.host
