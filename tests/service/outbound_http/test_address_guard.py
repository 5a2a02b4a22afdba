"""The guard refuses every address that isn't a public host's, in whatever form it comes."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outbound_http import AddressGuard

GUARD = AddressGuard()
ANY = st.ip_addresses()
REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "100::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
OPEN = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "2606:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", REFUSED)
def test_refuses(address: str) -> None:
    assert GUARD.refusal(address)


@pytest.mark.parametrize("address", OPEN)
def test_lets_public_addresses_through(address: str) -> None:
    assert GUARD.refusal(address) is None


@given(ANY)
def test_lets_nothing_through_that_python_knows_not_to_be_global(address: IPv4Address | IPv6Address) -> None:
    inner = address
    if isinstance(address, IPv6Address) and address in ip_network("64:ff9b::/96"):
        inner = ip_address(int(address) & 0xFFFFFFFF)
    if GUARD.refusal(str(address)) is None:
        assert inner.is_global
        assert not inner.is_multicast


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_judges_a_carried_address_like_the_bare_one(inner: IPv4Address, prefix: str) -> None:
    carried = IPv6Address(int(IPv6Address(prefix)) | int(inner))
    assert bool(GUARD.refusal(str(carried))) == bool(GUARD.refusal(str(inner)))


@given(ANY)
def test_an_exception_opens_its_network_and_nothing_else(address: IPv4Address | IPv6Address) -> None:
    allowed = AddressGuard((ip_network("127.0.0.0/8"), ip_network("fd12::/16")))
    assert allowed.refusal("127.0.0.9") is None
    assert allowed.refusal("::ffff:127.0.0.9") is None
    assert allowed.refusal("fd12::5") is None
    inside = any(address in network for network in allowed.allow)
    assert (
        inside
        or allowed.refusal(str(address)) == GUARD.refusal(str(address))
        or any(address in ip_network(f"{carrier}127.0.0.0/104") for carrier in ("::ffff:", "64:ff9b::"))
    )
