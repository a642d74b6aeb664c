"""A security domain on its way to a Managed HSM: shares that custodians opened, encrypted to its transfer key.

So no custodian's private key has to be where the tokens are, and nobody in between learns a share.
"""

import binascii
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.hsm.protocol import DomainUnfit
from kvstack.hsm.security_domain import (
    LONGEST,
    MOST,
    CarriedShare,
    CustodianKey,
    from_document,
    oaep,
    require_quorum,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

FORMAT: Final = "kvstack security domain transfer 1"
LIFE: Final = timedelta(hours=24)  # of a transfer key
_BITS: Final = 3072


class _Carried(msgspec.Struct, frozen=True):
    """One share. fingerprint: of its custodian's key; share: encrypted to the transfer key (RSA-OAEP, SHA-256)."""

    fingerprint: str
    share: bytes


class _Transfer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document. domain: the security domain's own, to the letter."""

    format: str
    domain: bytes
    shares: tuple[_Carried, ...]


class _Given(msgspec.Struct, frozen=True):
    """A transfer key as a Managed HSM tells it."""

    x5c: tuple[str, ...] = ()
    transfer_key: "_Given | None" = None


class TransferKey(msgspec.Struct, frozen=True):
    """A new one. private: PKCS #8, DER; certificate: of its public half, DER, signed by itself."""

    private: bytes
    certificate: bytes

    def __repr__(self) -> str:
        return "TransferKey(****)"


def transfer_key(name: str, now: datetime) -> TransferKey:
    """Make a transfer key. name: of the Managed HSM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = generate_private_key(65537, _BITS)
    whose = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"transfer key of {name}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + LIFE)
        .sign(private, SHA256())
    )
    encoded = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return TransferKey(encoded, certificate.public_bytes(Encoding.DER))


def transfer_certificate(content: bytes) -> bytes:
    """Return the certificate of a transfer key, DER. content: the answer of `GET /securitydomain/upload`, the JSON Web
    Key in it, or the certificate, PEM. Raises DomainUnfit."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        if b"BEGIN CERTIFICATE" in content:
            return x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
        given = msgspec.json.decode(content, type=_Given)
        x5c = (given.transfer_key or given).x5c
        return binascii.a2b_base64(x5c[0], strict_mode=True)
    except (ValueError, RecursionError, IndexError):
        raise _no_key() from None


def to_transfer(document: bytes, keys: Sequence[CustodianKey], certificate: bytes) -> bytes:
    """Return what is uploaded. document: the security domain's; keys: of a quorum of its custodians; certificate: of
    the transfer key, DER. Raises DomainUnfit."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    domain = from_document(document)
    holders = {one.fingerprint: one for one in domain.custodians}
    usable = {key.fingerprint: key for key in keys if key.fingerprint in holders}
    require_quorum(domain, len(usable))
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError:
        raise _no_key() from None
    if not isinstance(public, RSAPublicKey):
        raise _no_key()
    try:
        shares = tuple(
            _Carried(name, public.encrypt(key.opened(holders[name].share, domain.id), oaep(domain.id)))
            for name, key in usable.items()
        )
    except ValueError:
        raise DomainUnfit(
            "a share does not open with its custodian's key: the security domain was changed",
            "Take another copy of it.",
        ) from None
    return msgspec.json.encode(_Transfer(format=FORMAT, domain=document, shares=shares))


def from_transfer(transfer: bytes, private: bytes) -> tuple[bytes, tuple[CarriedShare, ...]]:
    """Return the security domain's document, and the shares that came with it. private: the transfer key. Raises
    DomainUnfit, one error for every share that does not open."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    if len(transfer) > 4 * LONGEST:
        raise _no_transfer()
    try:
        read = msgspec.json.decode(transfer, type=_Transfer)
    except (ValueError, RecursionError):
        raise _no_transfer() from None
    if read.format != FORMAT or len(read.shares) > MOST:
        raise _no_transfer()
    domain = from_document(read.domain)
    key: RSAPrivateKey = load_der_private_key(private, None)  # type: ignore[assignment]  # it is one we made
    try:
        shares = tuple(CarriedShare(one.fingerprint, key.decrypt(one.share, oaep(domain.id))) for one in read.shares)
    except ValueError:
        raise DomainUnfit(
            "the shares were encrypted to another transfer key, or changed",
            "Ask for the transfer key again: one is good for 24 hours, and for one upload.",
        ) from None
    return read.domain, shares


def _no_key() -> DomainUnfit:
    return DomainUnfit("this is no transfer key of a Managed HSM", "`GET /securitydomain/upload` gives one.")


def _no_transfer() -> DomainUnfit:
    return DomainUnfit(
        "this is no security domain that was prepared for an upload",
        "`kvstack hsm security-domain prepare` makes one, out of the security domain and its custodians' keys.",
    )
