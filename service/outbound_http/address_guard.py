"""Decides which addresses an untrusted URL may lead to.

Sources: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890 and its updates); of
IPv6, only global unicast 2000::/3 is open at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_REFUSED: dict[Network, str] = {
    ip_network(network): kind
    for network, kind in {
        "0.0.0.0/8": "this host",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "carrier-grade NAT",
        "127.0.0.0/8": "loopback",
        "168.63.129.16/32": "cloud metadata",  # Azure's host service, the only one with a public address
        "169.254.0.0/16": "link-local",  # most clouds keep their metadata here
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "reserved",
        "192.0.2.0/24": "documentation",
        "192.88.99.0/24": "6to4 relay",
        "192.168.0.0/16": "private",
        "198.18.0.0/15": "benchmark",
        "198.51.100.0/24": "documentation",
        "203.0.113.0/24": "documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
        "::/128": "unspecified",
        "::1/128": "loopback",
        "fc00::/7": "private",
        "fe80::/10": "link-local",
        "fec0::/10": "site-local",
        "ff00::/8": "multicast",
        "2001::/23": "reserved",  # with Teredo, whose tunnels lead anywhere
        "2001:db8::/32": "documentation",
        "2002::/16": "6to4",
        "3fff::/20": "documentation",
    }.items()
}
_GLOBAL = IPv6Network("2000::/3")
_CARRIERS = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))  # IPv4-mapped; NAT64 (RFC 6052)


@dataclass(frozen=True)
class AddressGuard:
    """Refuses what isn't a public address; `allow` names the networks that are excepted."""

    allow: Sequence[Network] = ()

    def refusal(self, address: str) -> str | None:
        """Returns what kind of address keeps it from being reached, None for one that may be."""
        outer = ip_address(address.partition("%")[0])
        inner = _carried(outer)
        if any(outer in network or inner in network for network in self.allow):
            return None
        return _kind(inner)


def _carried(address: Address) -> Address:
    if isinstance(address, IPv6Address) and any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _kind(address: Address) -> str | None:
    for network, kind in _REFUSED.items():
        if address in network:
            return kind
    return "reserved" if isinstance(address, IPv6Address) and address not in _GLOBAL else None
