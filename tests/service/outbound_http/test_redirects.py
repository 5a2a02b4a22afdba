"""Redirects: followed as far as allowed, each hop checked, keys left behind at the origin."""

from collections.abc import Callable
from typing import Any

import pytest

from service.outbound_http import BadUrl, HttpClient, NoAnswer, Request, TooManyRedirects

KEYS = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Cookie": "s3cret", "Accept": "a/b"}


def redirect(site: Any, path: str, to: str, status: int = 302, body: bytes = b"moved") -> str:
    return site.on(path, body, status, {"Location": to})


def test_without_leave_a_redirect_is_an_answer(site: Any, client: HttpClient) -> None:
    response = client.send(Request("GET", redirect(site, "/a", "/b")))
    assert (response.status, response.body, response.headers["location"]) == (302, b"moved", "/b")
    assert site.paths() == ["/a"]


@pytest.mark.parametrize("to", ["/b?c=d", "b?c=d", "//{host}/b?c=d", "{url}/b?c=d#e"])
def test_follows_relative_and_absolute_targets(site: Any, client: HttpClient, to: str) -> None:
    site.on("/b", b"here")
    start = redirect(site, "/a", to.format(host=site.url.removeprefix("http://"), url=site.url))
    response = client.send(Request("GET", start, redirects=1))
    assert (response.body, response.url) == (b"here", site.url + "/b?c=d")


def test_a_target_with_characters_that_no_url_has(site: Any, client: HttpClient) -> None:
    site.on("/b%20%C3%A4", b"here")
    target = "/b ä".encode().decode("latin-1")  # as the bytes come over the wire
    assert client.send(Request("GET", redirect(site, "/a", target), redirects=1)).body == b"here"


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (303, "HEAD", "HEAD"),
    ],
)
def test_the_method_after_a_redirect(
    site: Any, client: HttpClient, status: int, method: str, then: str
) -> None:
    site.on("/b")
    body = None if method == "HEAD" else b"body"
    client.send(Request(method, redirect(site, "/a", "/b", status, b""), body=body, redirects=3))
    assert [(asked.method, asked.body) for asked in site.asked][1] == (
        then,
        body if then == method and body else b"",
    )


def test_more_redirects_than_allowed(site: Any, client: HttpClient) -> None:
    with pytest.raises(TooManyRedirects) as refused:
        client.send(Request("GET", redirect(site, "/a", "/a?s3cret"), redirects=3))
    assert len(site.asked) == 4
    assert refused.value.sent
    assert "s3cret" not in str(refused.value)


def test_keys_stay_at_the_origin(make_site: Callable[..., Any], client: HttpClient) -> None:
    here, there = make_site(), make_site()
    there.on("/b")
    client.send(Request("GET", redirect(here, "/a", there.url + "/b"), KEYS, redirects=1))
    assert "s3cret" in here.asked[0].headers["x-api-key"]
    assert "s3cret" not in str(there.asked[0])
    assert there.asked[0].headers["accept"] == "a/b"


def test_keys_stay_on_when_the_origin_stays(site: Any, client: HttpClient) -> None:
    site.on("/b")
    client.send(Request("GET", redirect(site, "/a", "/b"), KEYS, redirects=1))
    assert site.asked[1].headers["x-api-key"] == "s3cret"


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://host/x", "gopher://host/_x", "http://:80/", "http://a b/"]
)
def test_a_redirect_to_elsewhere_than_the_web(site: Any, client: HttpClient, to: str) -> None:
    with pytest.raises(BadUrl, match=r"^127\.0\.0\.1:\d+ redirects to") as refused:
        client.send(Request("POST", redirect(site, "/a", to), redirects=5))
    assert refused.value.sent


def test_after_a_redirect_nothing_is_not_sent(site: Any, client: HttpClient) -> None:
    start = redirect(site, "/a", "http://127.0.0.1:1/b", 307)
    with pytest.raises(NoAnswer, match="after a redirect") as failed:
        client.send(Request("POST", start, redirects=1, body=b"x"))
    assert failed.value.sent


def test_the_body_of_a_redirect_is_not_read_without_end(
    talk: Callable[..., Any], site: Any, client: HttpClient
) -> None:
    def script(connection: Any, server: Any) -> None:
        head = f"HTTP/1.1 302 Found\r\nLocation: {site.url}/b\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        while not server.over.is_set():
            connection.sendall(bytes(65536))

    site.on("/b", b"here")
    assert client.send(Request("GET", talk(script).url, redirects=1, timeout=20)).body == b"here"


def test_one_timeout_holds_for_all_hops(site: Any, talk: Callable[..., Any], client: HttpClient) -> None:
    silent = talk(lambda _connection, server: server.over.wait(30))
    with pytest.raises(NoAnswer, match="timed out"):
        client.send(Request("GET", redirect(site, "/a", silent.url), redirects=1, timeout=0.3))
