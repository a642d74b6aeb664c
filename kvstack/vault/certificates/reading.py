"""Certificates and keys that come from outside: parsed as a whole at once, so that nothing half readable gets in."""

import re
import warnings
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, load_pem_private_key, pkcs12

from kvstack.hsm.plain_key import PlainKey, of_private
from kvstack.hsm.protocol import InputUnfit
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter

MOST_BYTES = 256 * 1024
_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.+?-----END \1-----", re.DOTALL)
_NOT_READ = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

T = TypeVar("T")

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Bundle(msgspec.Struct, frozen=True):
    """What a file holds: certificates in any order, and the private key, if there is one. pem: how it is written."""

    certificates: tuple[x509.Certificate, ...]
    key: PlainKey | None
    pem: bool


def bundle(content: bytes, password: SecretValue | None) -> Bundle:
    """Return what a PFX (PKCS#12) or PEM file holds. Raises BadParameter, with one error for a wrong password."""
    if len(content) > MOST_BYTES:
        raise BadParameter(f"a certificate's file has at most {MOST_BYTES} bytes, this one has {len(content)}")
    found = _of_pem(content, password) if b"-----BEGIN " in content else _of_pfx(content, password)
    if not found.certificates:
        raise BadParameter("there is no certificate in the file", "It has to be a PFX (PKCS#12) or PEM file.")
    return found


def certificates(content: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file, or the one of a DER file. Raises BadParameter."""
    if len(content) > MOST_BYTES:
        raise BadParameter(f"a chain has at most {MOST_BYTES} bytes, this one has {len(content)}")
    if b"-----BEGIN " not in content:
        return (certificate(content),)
    found = tuple(
        _pem_certificate(block) for label, block in _blocks(content) if label in (b"CERTIFICATE", b"X509 CERTIFICATE")
    )
    if not found:
        raise BadParameter("there is no certificate in the file", "It has to be PEM or DER.")
    return found


def certificate(der: bytes) -> x509.Certificate:
    """Return a certificate. Raises BadParameter."""
    return _whole(lambda: x509.load_der_x509_certificate(der))


def public_key(found: x509.Certificate) -> PublicKey:
    """Return the key a certificate is for. Raises BadParameter for a kind no vault takes."""
    key = found.public_key()
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        raise BadParameter("the certificate is for a key of a kind no vault takes; RSA and EC keys are")
    return key


def same_key(one: x509.Certificate, public: object) -> bool:
    """Tell whether a certificate is for this key."""
    return one.public_key() == public


def validity(found: x509.Certificate) -> tuple[datetime, datetime]:
    """Return from when until when a certificate holds."""
    return found.not_valid_before_utc, found.not_valid_after_utc


def pem(ders: Iterable[bytes]) -> bytes:
    """Return certificates as PEM, one after the other."""
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders)


def request_pem(der: bytes) -> bytes:
    """Return a request as PEM."""
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)


def revocation_list_pem(der: bytes) -> bytes:
    """Return a revocation list as PEM."""
    return x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)


def _of_pfx(content: bytes, password: SecretValue | None) -> Bundle:
    secret = password.reveal() if password is not None else None
    try:
        found = _quietly(lambda: pkcs12.load_pkcs12(content, secret))
    except _NOT_READ:
        if secret == b"":
            return _of_pfx(content, None)
        raise BadParameter(
            "the file cannot be read: it is no PFX (PKCS#12) or PEM file, or the password is wrong",
            "Name the password's source with `--password-env` or `--password-file`.",
        ) from None
    held = [one.certificate for one in (found.cert, *found.additional_certs) if one is not None]
    key = _taken(found.key) if found.key is not None else None
    return Bundle(tuple(_checked(one) for one in held), key, pem=False)


def _of_pem(content: bytes, password: SecretValue | None) -> Bundle:
    held: list[x509.Certificate] = []
    keys: list[PlainKey] = []
    for label, block in _blocks(content):
        match label:
            case b"CERTIFICATE" | b"X509 CERTIFICATE":
                held.append(_pem_certificate(block))
            case b"PRIVATE KEY" | b"ENCRYPTED PRIVATE KEY" | b"RSA PRIVATE KEY" | b"EC PRIVATE KEY":
                keys.append(_pem_key(block, password))
            case b"EC PARAMETERS":  # openssl writes the curve a second time before its key
                continue
            case _:
                raise BadParameter(f"the file holds a {label.decode()}, which is not taken")
    if len(keys) > 1:
        raise BadParameter(f"the file holds {len(keys)} private keys, and a certificate has one")
    return Bundle(tuple(held), keys[0] if keys else None, pem=True)


def _pem_key(block: bytes, password: SecretValue | None) -> PlainKey:
    encrypted = b"ENCRYPTED" in block
    secret = password.reveal() if encrypted and password is not None else None
    try:
        private = _quietly(lambda: load_pem_private_key(block, secret))
    except _NOT_READ:
        raise BadParameter(
            "the private key cannot be read, or the password is wrong"
            if encrypted
            else "the private key in the file is damaged",
            "Name the password's source with `--password-env` or `--password-file`." if encrypted else "",
        ) from None
    return _taken(private)


def _taken(private: object) -> PlainKey:
    try:
        plain = of_private(private)
    except InputUnfit as error:
        raise BadParameter(error.diagnostics[0].summary) from None
    if plain.specification.family not in ("RSA", "EC"):
        raise BadParameter(f"a certificate's key is of type RSA or EC, not {plain.specification.type}")
    return plain


def plain_key(pkcs8: bytes) -> PlainKey:
    """Return a key the vault kept, in clear."""
    return of_private(load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True))


def _pem_certificate(block: bytes) -> x509.Certificate:
    return _whole(lambda: x509.load_pem_x509_certificate(block))


def _blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    return [(found[1], found[0]) for found in _PEM_BLOCK.finditer(content)]


def _whole(load: Callable[[], x509.Certificate]) -> x509.Certificate:
    try:
        return _checked(_quietly(load))
    except _NOT_READ:
        raise BadParameter("a certificate in the file is damaged") from None


def _checked(found: x509.Certificate) -> x509.Certificate:
    """Return a certificate all of whose parts can be read: they are parsed only when they are asked for."""
    try:
        _quietly(lambda: _look_through(found))
    except _NOT_READ:
        raise BadParameter("a certificate in the file is damaged") from None
    return found


def _look_through(found: x509.Certificate) -> None:
    _ = (found.subject.rfc4514_string(), found.issuer.rfc4514_string(), found.public_key(), found.version)
    _ = (found.not_valid_before_utc, found.not_valid_after_utc, list(found.extensions), found.signature_algorithm_oid)
    if found.serial_number <= 0:
        raise ValueError("the serial number is not positive")


def _quietly(read: Callable[[], T]) -> T:
    """Read without warnings: what is odd about a file from outside is said by its errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read()
