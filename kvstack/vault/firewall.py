"""Whom a vault's network rules let in."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kvstack.terms import limits
from kvstack.vault.caller import Caller
from kvstack.vault.records import NetworkRules

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_MAPPED: Final = 96  # bits before the IPv4 address in an IPv6 address that holds one


def lets_in(rules: NetworkRules, caller: Caller) -> bool:
    """Tell whether a call reaches the vault. Within this machine there is no network; what is no address is not let
    in."""
    if caller.address is None or rules.default_action == "allow":
        return True
    if caller.trusted and rules.bypass == "trusted_services":
        return True
    return listed(rules.ip_rules, caller.address)


def problems(rules: NetworkRules) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for rules no vault would take."""
    import ipaddress

    if len(rules.ip_rules) > limits.IP_RULES:
        yield "network.ip_rules", f"{len(rules.ip_rules)} rules: a vault takes {limits.IP_RULES}"
    for rule in rules.ip_rules:
        try:
            ipaddress.ip_network(rule, strict=False)
        except ValueError:
            yield "network.ip_rules", f"`{rule}` is neither an address nor a range such as 203.0.113.0/24"


@lru_cache(maxsize=4096)
def listed(rules: tuple[str, ...], address: str) -> bool:
    """Tell whether an address is one of these, or in one of these ranges; what is no address is not."""
    import ipaddress

    try:
        calling = _plain(ipaddress.ip_address(address))
    except ValueError:
        return False
    return any(calling in _plain_range(ipaddress.ip_network(rule, strict=False)) for rule in rules)


def _plain(address: "IPv4Address | IPv6Address") -> "IPv4Address | IPv6Address":
    """Return the IPv4 address that a listener on both families sees as `::ffff:203.0.113.7`; any other as it is."""
    return address if address.version == 4 else (address.ipv4_mapped or address)


def _plain_range(network: "IPv4Network | IPv6Network") -> "IPv4Network | IPv6Network":
    from ipaddress import IPv4Network

    if network.version == 6 and network.prefixlen >= _MAPPED and network.network_address.ipv4_mapped is not None:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - _MAPPED))
    return network
