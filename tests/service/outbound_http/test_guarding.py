"""Untrusted URLs: the address is judged where the connection is made, at every hop."""

import socket
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from service.outbound_http import AddressGuard, AddressRefused, BadUrl, HttpClient, NoAnswer, NotSent, Request

LOOPBACK = AddressGuard((ip_network("127.0.0.1/32"),))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
    ],
)
def test_loopback_is_not_reached_in_any_spelling(site: Any, host: str) -> None:
    with pytest.raises(AddressRefused, match=r"\[outbound\] allow") as refused:
        HttpClient(guard=AddressGuard()).send(Request("GET", f"http://{host}:{site.port}/?s3cret"))
    assert not refused.value.sent
    assert "s3cret" not in str(refused.value)
    assert site.asked == []


def test_an_exception_is_reached(site: Any) -> None:
    assert HttpClient(guard=LOOPBACK).send(Request("GET", site.on("/x"))).status == 200


def test_a_name_is_judged_by_the_address_that_it_has_at_connect(site: Any) -> None:
    client = HttpClient(guard=AddressGuard(), resolve=[f"video.example:{site.port}:127.0.0.1"])
    with pytest.raises(AddressRefused, match=r"video\.example:\d+ leads to 127\.0\.0\.1 \(loopback\)"):
        client.send(Request("GET", f"http://video.example:{site.port}/"))
    assert site.asked == []


def test_of_several_addresses_only_the_open_ones_are_tried(site: Any) -> None:
    client = HttpClient(guard=LOOPBACK, resolve=[f"video.example:{site.port}:127.0.0.2,10.0.0.1,127.0.0.1"])
    site.on("/x")
    assert client.send(Request("GET", f"http://video.example:{site.port}/x")).status == 200


def test_an_open_address_that_is_down_is_no_refusal(site: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = HttpClient(guard=LOOPBACK, resolve=[f"video.example:{port}:127.0.0.2,127.0.0.1"])
        with pytest.raises(NotSent):
            client.send(Request("GET", f"http://video.example:{port}/"))


@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/latest/meta-data", "http://[::1]:{port}/in", "http://127.0.0.2:{port}/in"],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inwards_is_refused(make_site: Callable[..., Any], target: str, status: int) -> None:
    inside, outside = make_site("0.0.0.0"), make_site()
    start = outside.on("/out", status=status, headers={"Location": target.format(port=inside.port)})
    with pytest.raises(AddressRefused) as refused:
        HttpClient(guard=LOOPBACK).send(Request("GET", start, redirects=5))
    assert refused.value.sent
    assert inside.asked == []


def test_a_name_that_changes_its_address_between_hops_is_judged_again(make_site: Callable[..., Any]) -> None:
    inside, outside = make_site("127.0.0.2"), make_site()
    names = [f"a.example:{outside.port}:127.0.0.1", f"a.example:{inside.port}:127.0.0.2"]
    outside.on("/out", status=302, headers={"Location": f"http://a.example:{inside.port}/in"})
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
        HttpClient(guard=LOOPBACK, resolve=names).send(
            Request("GET", f"http://a.example:{outside.port}/out", redirects=1)
        )
    assert inside.asked == []


def test_a_kept_connection_to_an_allowed_address_opens_no_other(make_site: Callable[..., Any]) -> None:
    inside, outside = make_site("127.0.0.2"), make_site()
    client = HttpClient(guard=LOOPBACK)
    client.send(Request("GET", outside.on("/x")))
    with pytest.raises(AddressRefused):
        client.send(Request("GET", inside.on("/x")))


def test_a_user_in_an_untrusted_url_is_refused(site: Any) -> None:
    with pytest.raises(BadUrl) as refused:
        HttpClient(guard=LOOPBACK).send(Request("GET", site.url.replace("//", "//user:s3cret@")))
    assert "s3cret" not in str(refused.value)


class TestProxies:
    @pytest.fixture
    def proxy(self, site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        site.on("http://video.invalid/x", b"by proxy")
        site.answers["http"] = site.answers["http://video.invalid/x"]
        monkeypatch.setenv("http_proxy", site.url)
        monkeypatch.setenv("all_proxy", site.url)
        return site

    def test_the_environments_proxy_holds_for_the_operators_addresses(
        self, proxy: Any, client: HttpClient
    ) -> None:
        assert client.send(Request("GET", "http://video.invalid/x")).body == b"by proxy"

    def test_what_a_proxy_got_may_have_had_its_effect(
        self, talk: Callable[..., Any], client: HttpClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        silent = talk(lambda _connection, server: server.over.wait(30))
        monkeypatch.setenv("http_proxy", silent.url)
        with pytest.raises(NoAnswer):
            client.send(Request("POST", "http://video.invalid/x", timeout=0.2))

    def test_what_a_proxy_refuses_to_tunnel_is_not_sent(
        self, talk: Callable[..., Any], client: HttpClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusing = talk(lambda to, _: to.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
        monkeypatch.setenv("https_proxy", refusing.url)
        with pytest.raises(NotSent, match="403"):
            client.send(Request("POST", "https://video.invalid/x", timeout=5))

    def test_but_not_for_untrusted_ones(self, proxy: Any) -> None:
        with pytest.raises(NotSent):
            HttpClient(guard=LOOPBACK).send(Request("GET", "http://video.invalid/x"))
        assert proxy.asked == []

    def test_and_not_for_this_machine(
        self, proxy: Any, make_site: Callable[..., Any], client: HttpClient
    ) -> None:
        assert client.send(Request("GET", make_site().on("/x", b"direct"))).body == b"direct"
        assert proxy.asked == []

    def test_nor_for_what_the_environment_excepts(
        self, proxy: Any, client: HttpClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("no_proxy", "video.invalid")
        with pytest.raises(NotSent):
            client.send(Request("GET", "http://video.invalid/x"))
