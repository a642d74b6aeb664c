"""The value of a certificate's secret: the certificate with its chain and, where it may leave, its private key."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    pkcs12,
)

from kvstack.terms.certificate import PEM, ContentType
from kvstack.terms.secret import SecretValue
from kvstack.vault.certificates.reading import bundle
from kvstack.vault.errors import Forbidden


def exported(
    name: str, content_type: ContentType, der: bytes, chain: Sequence[bytes], private: bytes | None
) -> SecretValue:
    """Return a PFX (without a password, as Key Vault's) or PEM. private: PKCS#8 DER, None where the key stays in the
    vault."""
    own = x509.load_der_x509_certificate(der)
    above = [x509.load_der_x509_certificate(one) for one in chain]
    key = load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True) if private is not None else None
    if content_type == PEM:
        parts = [one.public_bytes(Encoding.PEM) for one in (own, *above)]
        if key is not None:
            parts.insert(0, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return SecretValue(b"".join(parts))
    label = name.encode()
    made = pkcs12.serialize_key_and_certificates(label, key, own, above or None, NoEncryption())  # type: ignore[arg-type]  # RSA and EC keys only
    return SecretValue(made)


def protected(name: str, secret: SecretValue, password: SecretValue) -> SecretValue:
    """Return a certificate's secret as a PFX under a password (PBES2: AES-256, SHA-256). Java and Windows do not read a
    key that lies in a PFX without one. Raises Forbidden where the secret holds no key."""
    held = bundle(secret.reveal(), None)
    if held.key is None:
        raise Forbidden(
            f"the key of the certificate `{name}` stays in the vault: it is not exportable",
            "`kvstack certificate download` writes the certificate without it.",
            inner="KeyNotExportable",
        )
    with held.key as plain:
        key = load_der_private_key(plain.reveal(), None, unsafe_skip_rsa_key_validation=True)
    own, *above = held.certificates
    made = pkcs12.serialize_key_and_certificates(
        name.encode(),
        key,  # type: ignore[arg-type]  # RSA and EC keys only
        own,
        above or None,
        BestAvailableEncryption(password.reveal()),
    )
    return SecretValue(made)
