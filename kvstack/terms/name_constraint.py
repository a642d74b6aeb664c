"""Whether a name is within what an authority may issue for. RFC 5280, 4.2.1.10; what is not named in a kind is free."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from kvstack.terms import subject as subject_rules
from kvstack.terms.certificate import CertificateAuthority, CertificatePolicy, constraint_kind, looks_like_host

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def names(policy: CertificatePolicy) -> Iterator[tuple[str, str]]:
    """Yield (attribute, name) for every name of a policy that an authority may constrain."""
    for attribute in ("dns_names", "emails", "ip_addresses"):
        for name in sorted(getattr(policy, attribute)):
            yield attribute, name
    common_name = subject_rules.common_name(policy.subject)
    # A client that finds no other names takes the common name for the host's.
    if policy.authority is None and common_name is not None and looks_like_host(common_name):
        yield "subject", common_name.lower()


def problems(policy: CertificatePolicy, authority: CertificateAuthority) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for the names of a policy that an authority's rules leave out."""
    for attribute, name in names(policy):
        kind = {"emails": "email", "ip_addresses": "range"}.get(attribute, "dns")
        excluded = [one for one in authority.excluded if constraint_kind(one) == kind]
        permitted = sorted(one for one in authority.permitted if constraint_kind(one) == kind)
        if any(_matches(kind, name, one) for one in excluded):
            yield attribute, f"its authority may not issue for `{name}`: it is excluded"
        elif permitted and not any(_matches(kind, name, one) for one in permitted):
            yield attribute, f"its authority may not issue for `{name}`, only for {', '.join(permitted)}"


def host_matches(name: str, constraint: str) -> bool:
    """Tell whether a host's name is within a constraint: it itself, or anything below."""
    host, within = name.lower(), constraint.lower().removeprefix(".")
    return not within or host == within or host.endswith(f".{within}")


def email_matches(email: str, constraint: str) -> bool:
    """Tell whether an address is within a constraint: the address, a host, or (with a dot) all below a domain."""
    host = email.lower().rpartition("@")[2]
    within = constraint.lower()
    if "@" in within:
        return email.lower() == within
    return host.endswith(within) if within.startswith(".") else host == within


def address_matches(address: str, within: Network) -> bool:
    """Tell whether an address is within a range."""
    found: Address = ip_address(address)
    return found.version == within.version and found in within


def _matches(kind: str, name: str, constraint: str) -> bool:
    match kind:
        case "email":
            return email_matches(name, constraint.removeprefix("@"))
        case "range":
            return address_matches(name, ip_network(constraint))
        case _:
            return host_matches(name, constraint)
