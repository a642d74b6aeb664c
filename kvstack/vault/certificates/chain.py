"""A chain of certificates from outside: put in order, and checked link by link."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from kvstack.vault import errors
from kvstack.vault.certificates.reading import same_key, validity
from kvstack.vault.errors import BadParameter

LONGEST = 16


def ordered(found: Sequence[x509.Certificate], public: object, now: datetime) -> tuple[x509.Certificate, ...]:
    """Return the certificate for this key, and those above it, nearest first. found: in any order, the same one twice
    or not. Raises BadParameter where one does not belong to it, is expired, or may not issue what is below it."""
    distinct = list(dict.fromkeys(found))
    if len(distinct) > LONGEST:
        raise BadParameter(f"a chain has at most {LONGEST} certificates, this one has {len(distinct)}")
    own = [one for one in distinct if same_key(one, public)]
    # An authority may be certified twice, by itself and by another: the one for the key is the one it was asked for.
    if not own:
        raise BadParameter(
            "none of the certificates is for this key", "The certificate has to be made from this very request."
        )
    leaf = max(own, key=lambda one: one.not_valid_after_utc)
    chain = [leaf]
    rest = [one for one in distinct if one not in own]
    while (above := _issuer(chain[-1], rest)) is not None:
        chain.append(above)
        rest.remove(above)
    if rest:
        raise BadParameter(
            f"`{rest[0].subject.rfc4514_string()}` is not above `{leaf.subject.rfc4514_string()}`",
            "A chain holds the certificate and those that issued it, and nothing else.",
        )
    for depth, one in enumerate(chain):
        _require_valid(one, now)
        if depth:
            _require_authority(one, depth - 1)
    return tuple(chain)


def _issuer(below: x509.Certificate, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    if below.issuer == below.subject and _issued(below, below):
        return None
    return next((one for one in candidates if _issued(below, one)), None)


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    """Tell whether one certificate was signed by the other's key under its name."""
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _require_valid(one: x509.Certificate, now: datetime) -> None:
    begins, ends = validity(one)
    if now >= ends:
        raise BadParameter(f"`{one.subject.rfc4514_string()}` has expired, on {errors.day(ends)}")
    if begins > ends:
        raise BadParameter(f"`{one.subject.rfc4514_string()}` ends before it begins")


def _require_authority(one: x509.Certificate, below: int) -> None:
    """Refuse an issuer that may not issue. below: how many authorities stand between it and the leaf."""
    name = one.subject.rfc4514_string()
    try:
        constraints = one.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise BadParameter(f"`{name}` is no certificate authority, and yet it issued another one") from None
    if not constraints.ca:
        raise BadParameter(f"`{name}` is no certificate authority, and yet it issued another one")
    if constraints.path_length is not None and below > constraints.path_length:
        raise BadParameter(f"`{name}` allows {constraints.path_length} authorities below it, and the chain has {below}")
