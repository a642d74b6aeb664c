"""Which network addresses events may go to: those of the public internet, and what the operator allows.

Somebody who may declare a subscription must not reach through the vault what only the vault's machine can reach. A name
is resolved once, each address is looked at, and the connection is made to an address that was looked at: a name that
means something else a moment later (DNS rebinding) changes nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Place: TypeAlias = tuple[socket.AddressFamily, str]
# Says what a name means now, for a port. Raises OSError for one that means nothing.
Resolver: TypeAlias = Callable[[str, int], Sequence[Place]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
# What IANA keeps for special purposes and not every Python knows to be so; clouds have their metadata in the first.
_RESERVED = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "198.18.0.0/15", "240.0.0.0/4", "2001::/23", "100::/64"),
    )
)
# Azure's own metadata and platform service has an address that looks public.
_PLATFORM = frozenset({ipaddress.ip_address("168.63.129.16")})


class NotPublic(OSError):
    """A host is in this machine or a private network, and the operator does not allow it."""


def system_resolver(host: str, port: int) -> list[Place]:
    """Return what a name means to this machine."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(place[0])) for family, _, _, _, place in found]


def checked_addresses(host: str, port: int, *, allowed: bool, resolver: Resolver = system_resolver) -> list[Place]:
    """Return the addresses of a host that may be connected to; the resolver is asked once. allowed: the operator's word
    for it. Raises NotPublic where one of them may not, and OSError for a name that means nothing."""
    addresses = resolver(host, port)
    if not allowed:
        for _, text in addresses:
            if why := why_not_public(text):
                raise NotPublic(f"{host} is {text}, {why}")
    return list(dict.fromkeys(addresses))


def why_not_public(text: str) -> str:
    """Return why an address is none of the public internet, empty where it is one."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    for inner in _carried(address):
        if why := why_not_public(str(inner)):
            return why
    if address.is_loopback or address.is_unspecified:
        return "an address of this machine"
    if address in _PLATFORM:
        return "the cloud platform's own address"
    if address.is_link_local:
        return "a link-local address, where clouds have their metadata"
    if address.is_multicast:
        return "a multicast address"
    if _local_ipv6(address) or not address.is_global or any(address in network for network in _RESERVED):
        return "a private or reserved address"
    return ""


def _local_ipv6(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and (address.is_site_local or address in _NAT64_LOCAL)


def _carried(address: Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or not int(address) >> 32:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]
