"""What an authority may issue: how long a path, and for which names, by its own certificate and all above it."""

from collections.abc import Iterable, Sequence
from typing import Any

from cryptography import x509

from kvstack.terms.certificate import CertificatePolicy
from kvstack.terms.name_constraint import address_matches, email_matches, host_matches, names
from kvstack.vault.errors import BadParameter


def path_length(policy: CertificatePolicy, above: Sequence[x509.Certificate]) -> int | None:
    """Return how many authorities may stand below a new one, None for any number. above: the authority that issues it,
    and those above that, nearest first. Raises BadParameter where there may be no new one."""
    if policy.authority is None:
        return None
    wanted = policy.authority.path_length
    left: int | None = None
    for distance, one in enumerate(above):
        allowed = _basic_constraints(one)
        if allowed is not None and allowed.path_length is not None:
            here = allowed.path_length - distance - 1
            left = here if left is None else min(left, here)
    if left is None:
        return wanted
    name = above[0].subject.rfc4514_string()
    if left < 0:
        raise BadParameter(
            f"no authority may stand below `{name}`: its path length, or that of one above it, is used up"
        )
    if wanted is not None and wanted > left:
        raise BadParameter(f"authority.path_length: below `{name}` it is at most {left}, not {wanted}")
    return left if wanted is None else wanted


def require_names_allowed(policy: CertificatePolicy, above: Iterable[x509.Certificate]) -> None:
    """Refuse names that an authority's name constraints leave out. RFC 5280, 4.2.1.10. Raises BadParameter."""
    for one in above:
        try:
            constraints = one.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            continue
        authority = one.subject.rfc4514_string()
        for attribute, name in names(policy):
            _require_allowed(attribute, name, constraints, authority)


def _require_allowed(attribute: str, name: Any, constraints: x509.NameConstraints, authority: str) -> None:
    matches = _MATCHES[attribute]
    kind = _KINDS[attribute]
    excluded = [one.value for one in constraints.excluded_subtrees or () if isinstance(one, kind)]
    permitted = [one.value for one in constraints.permitted_subtrees or () if isinstance(one, kind)]
    if any(matches(name, one) for one in excluded):
        raise BadParameter(f"{attribute}: the authority `{authority}` may not issue for `{name}`: it is excluded")
    if permitted and not any(matches(name, one) for one in permitted):
        listed = ", ".join(str(one) for one in permitted)
        raise BadParameter(f"{attribute}: the authority `{authority}` may not issue for `{name}`, only for {listed}")


_MATCHES: dict[str, Any] = {
    "dns_names": host_matches,
    "subject": host_matches,
    "emails": email_matches,
    "ip_addresses": address_matches,
}
_KINDS: dict[str, type[x509.GeneralName]] = {
    "dns_names": x509.DNSName,
    "subject": x509.DNSName,
    "emails": x509.RFC822Name,
    "ip_addresses": x509.IPAddress,
}


def _basic_constraints(one: x509.Certificate) -> x509.BasicConstraints | None:
    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None
