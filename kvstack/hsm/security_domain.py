"""A security domain: the one secret its HSM keys are wrapped under, in shares encrypted to its custodians.

The document holds no secret of its own: a share opens with its custodian's private key, and a quorum of shares gives
the secret. It carries a MAC under a key that follows from the secret: whoever restores it knows it was not changed.
"""

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.hsm.protocol import DomainUnfit
from kvstack.hsm.shamir import Share, secret, shares
from kvstack.terms.custodian import Custodian

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import OAEP
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

FORMAT: Final = "kvstack security domain 1"
FEWEST, MOST = 3, 10  # custodians
LEAST_QUORUM: Final = 2
LEAST_BITS: Final = 2048
SECRET_BYTES: Final = 32
LONGEST: Final = 256 * 1024  # bytes of a document


class Holder(msgspec.Struct, frozen=True):
    """A custodian in a document. number: of the share; share: encrypted to the custodian (RSA-OAEP, SHA-256)."""

    name: str
    fingerprint: str
    number: int
    share: bytes


class SecurityDomain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document. id: also CKA_ID of the wrapping root in every token of it, 32 hexadecimal digits; name: whose it
    is; mac: HMAC-SHA256 over all the rest."""

    format: str
    id: str
    name: str
    quorum: int
    created: datetime
    custodians: tuple[Holder, ...]
    mac: bytes = b""


class CustodianKey:
    """A custodian's private key, for the moment a domain is restored."""

    __slots__ = ("_private", "fingerprint")

    def __init__(self, private: "RSAPrivateKey") -> None:
        self._private = private
        self.fingerprint = _fingerprint(_encoded(private.public_key()))

    def __repr__(self) -> str:
        return f"CustodianKey({self.fingerprint[:16]}, ****)"

    def opened(self, ciphertext: bytes, domain_id: str) -> bytes:
        """Decrypt a share. Raises ValueError."""
        return self._private.decrypt(ciphertext, oaep(domain_id))


class CarriedShare:
    """A custodian's share that was opened elsewhere, for the moment a domain is restored. fingerprint: of his key."""

    __slots__ = ("_share", "fingerprint")

    def __init__(self, fingerprint: str, share: bytes) -> None:
        self._share = share
        self.fingerprint = fingerprint

    def __repr__(self) -> str:
        return f"CarriedShare({self.fingerprint[:16]}, ****)"

    def opened(self, ciphertext: bytes, domain_id: str) -> bytes:
        """Return the share: whoever opened it had the ciphertext."""
        return self._share


# Whatever opens one share of a domain.
ShareOpener = CustodianKey | CarriedShare


def custodian(pem: bytes, name: str = "") -> Custodian:
    """Read a custodian's certificate or public key, PEM. name: what to call it where the file does not say. Raises
    DomainUnfit for what is none, or is too weak."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if b"BEGIN CERTIFICATE" in pem:
            certificate = x509.load_pem_x509_certificate(pem)
            public, name = certificate.public_key(), certificate.subject.rfc4514_string() or name
        else:
            public = load_pem_public_key(pem)  # type: ignore[assignment]  # both give some public key
    except Exception:  # noqa: BLE001  # parsers raise many kinds; whatever it is, it is not a custodian's file
        raise DomainUnfit(
            "this is no custodian's certificate or public key",
            "PEM is needed: `openssl req -x509` makes a certificate.",
        ) from None
    if not isinstance(public, RSAPublicKey):
        raise DomainUnfit("a custodian's key has to be an RSA key", "`openssl genrsa 3072` makes one.")
    if public.key_size < LEAST_BITS:
        raise DomainUnfit(f"a custodian's key has at least {LEAST_BITS} bits, this one has {public.key_size}")
    encoded = _encoded(public)
    return Custodian(name, _fingerprint(encoded), encoded)


def custodian_key(pem: bytes, password: bytes | None = None) -> CustodianKey:
    """Read a custodian's private key, PEM. Raises DomainUnfit."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(pem, password)
    except TypeError:
        words = "is encrypted: it needs its password" if password is None else "is not encrypted: it needs no password"
        raise DomainUnfit(f"the custodian's private key {words}") from None
    except Exception:  # noqa: BLE001  # parsers raise many kinds, and their words may hold the file
        raise DomainUnfit(
            "this is no custodian's private key, or its password is wrong", "PEM is needed, of an RSA key."
        ) from None
    if not isinstance(private, RSAPrivateKey):
        raise DomainUnfit("a custodian's key has to be an RSA key")
    return CustodianKey(private)


def require_custodians(custodians: Sequence[Custodian], quorum: int) -> None:
    """Refuse too few or too many custodians, the same twice, and a quorum that is none. Raises DomainUnfit."""
    if not FEWEST <= len(custodians) <= MOST:
        raise DomainUnfit(f"a security domain has {FEWEST} to {MOST} custodians, not {len(custodians)}")
    if len({one.fingerprint for one in custodians}) != len(custodians):
        raise DomainUnfit("two custodians have the same key", "Each has to have one of his own.")
    most = len(custodians)
    if not LEAST_QUORUM <= quorum <= most:
        raise DomainUnfit(f"a quorum is {LEAST_QUORUM} to {most} of {most} custodians, not {quorum}")


def made(
    whole: bytearray,
    custodians: Sequence[Custodian],
    *,
    quorum: int,
    id: str,  # noqa: A002  # the record's own word
    name: str,
    now: datetime,
    random: Callable[[int], bytes],
) -> SecurityDomain:
    """Split a secret among custodians. whole: 32 bytes, the caller's to wipe. Raises DomainUnfit."""
    require_custodians(custodians, quorum)
    split = shares(whole, quorum, len(custodians), random)
    holders = tuple(
        Holder(one.name, one.fingerprint, share.number, _encrypted(one, share.value, id))
        for one, share in zip(custodians, split, strict=True)
    )
    domain = SecurityDomain(format=FORMAT, id=id, name=name, quorum=quorum, created=now, custodians=holders)
    return msgspec.structs.replace(domain, mac=_mac(whole, domain))


def restored(domain: SecurityDomain, keys: Sequence[ShareOpener]) -> bytearray:
    """Return the secret, which the caller wipes. keys: of at least a quorum of its custodians; others are no error.
    Raises DomainUnfit for too few, and one error for everything that was changed."""
    holders = {holder.fingerprint: holder for holder in domain.custodians}
    usable = {key.fingerprint: key for key in keys if key.fingerprint in holders}
    require_quorum(domain, len(usable))
    whole = bytearray()
    try:
        whole = secret(
            [
                Share(holders[fingerprint].number, key.opened(holders[fingerprint].share, domain.id))
                for fingerprint, key in usable.items()
            ]
        )
        genuine = len(whole) == SECRET_BYTES and hmac.compare_digest(_mac(whole, domain), domain.mac)
    except ValueError:
        genuine = False
    if not genuine:
        whole[:] = bytes(len(whole))
        raise _changed()
    return whole


def require_quorum(domain: SecurityDomain, count: int) -> None:
    """Refuse too few of a domain's custodians. Raises DomainUnfit."""
    if count < domain.quorum:
        raise DomainUnfit(
            f"the security domain of `{domain.name}` needs the keys of {domain.quorum} of its custodians, "
            f"{count} of those given are theirs",
            f"They are {', '.join(f'{one.name} ({one.fingerprint[:16]})' for one in domain.custodians)}.",
        )


def to_document(domain: SecurityDomain) -> bytes:
    """Return the domain as the file its owner keeps: JSON."""
    return msgspec.json.format(msgspec.json.encode(domain), indent=2) + b"\n"


def from_document(document: bytes) -> SecurityDomain:
    """Read a file. Whether its shares are genuine is known once a quorum restores it. Raises DomainUnfit."""
    if len(document) > LONGEST:
        raise _no_document()
    try:
        domain = msgspec.json.decode(document, type=SecurityDomain)
        # One spelling only: what was changed and means the same was changed all the same.
        known = domain.format == FORMAT and to_document(domain) == document
        bytes.fromhex(domain.id)
    except (ValueError, RecursionError):
        raise _no_document() from None
    if not known or len(domain.id) != 32 or not FEWEST <= len(domain.custodians) <= MOST:
        raise _no_document()
    return domain


def derived(whole: bytearray, purpose: str) -> bytearray:
    """Return 32 bytes that follow from a domain's secret, for one purpose (HKDF-SHA256, RFC 5869); the caller wipes
    them."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    key = bytearray(SECRET_BYTES)
    HKDF(SHA256(), SECRET_BYTES, b"kvstack security domain", purpose.encode()).derive_into(whole, key)
    return key


def _mac(whole: bytearray, domain: SecurityDomain) -> bytes:
    key = derived(whole, "document")
    try:
        return hmac.digest(key, msgspec.msgpack.encode(msgspec.structs.replace(domain, mac=b"")), "sha256")
    finally:
        key[:] = bytes(len(key))


def _encrypted(one: Custodian, share: bytes, domain_id: str) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    public = load_der_public_key(one.public)
    if not isinstance(public, RSAPublicKey):
        raise DomainUnfit("a custodian's key has to be an RSA key")
    return public.encrypt(share, oaep(domain_id))


def oaep(domain_id: str) -> "OAEP":
    """Return how shares of a domain are encrypted."""
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.hashes import SHA256

    # The label binds a share to its domain.
    return OAEP(MGF1(SHA256()), SHA256(), bytes.fromhex(domain_id))


def _encoded(public: "RSAPublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _fingerprint(encoded: bytes) -> str:
    import hashlib

    return hashlib.sha256(encoded).hexdigest()


def _changed() -> DomainUnfit:
    return DomainUnfit(
        "the security domain does not open: it was changed, or its shares do not belong together",
        "Take another copy of the file. Nothing was restored.",
    )


def _no_document() -> DomainUnfit:
    return DomainUnfit(
        "this is no security domain, or it was changed",
        "`kvstack hsm security-domain download` makes them; the file is to be kept as it is, to the letter.",
    )
