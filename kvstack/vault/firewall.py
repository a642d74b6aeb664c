"""Whom a vault's network rules let in."""

from collections.abc import Iterator
from functools import lru_cache

from kvstack.terms import limits
from kvstack.vault.records import NetworkRules


def lets_in(rules: NetworkRules, address: str) -> bool:
    """Tell whether a call from this address reaches the vault. What is no address is not let in."""
    if rules.default_action == "allow":
        return True
    return _listed(rules.ip_rules, address)


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
def _listed(rules: tuple[str, ...], address: str) -> bool:
    import ipaddress

    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(caller in ipaddress.ip_network(rule, strict=False) for rule in rules)
