"""Assertions as clients make them, and as nobody should: keys, certificates, and tokens put together by hand."""

import base64
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Certified(NamedTuple):
    """A private key with its self-signed certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def public_pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def pem(self) -> bytes:
        """Key and certificate, as azure-identity's CertificateCredential takes them."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + self.public_pem

    def named(self, hash_: hashes.HashAlgorithm) -> str:
        """The certificate's digest as a header names it."""
        return text(self.certificate.fingerprint(hash_))


def certified(*, begins: timedelta = timedelta(days=-1), ends: timedelta = timedelta(days=30)) -> Certified:
    """Return a new key with a certificate."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now + begins, now + ends
    )
    return Certified(key, builder.sign(key, hashes.SHA256()))


def text(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def assertion(client: str, audience: str, by: Certified, *, header: Any = None, sign: Any = None, **claims: Any) -> str:
    """Return an assertion of a client, right where nothing else is said. A claim that is None is left out."""
    now = time.time()
    said = {
        "iss": client,
        "sub": client,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    } | claims
    named = {"typ": "JWT", "alg": "PS256", "x5t#S256": by.named(hashes.SHA256())} if header is None else header
    content = ".".join(
        text(json.dumps({k: v for k, v in part.items() if v is not None}).encode()) for part in (named, said)
    )
    signing = sign or signing_by(by.key, named.get("alg", ""))
    return f"{content}.{text(signing(content.encode()))}"


def signing_by(key: rsa.RSAPrivateKey, algorithm: str) -> Any:
    """Return what signs as an algorithm's name says."""
    if algorithm == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return lambda data: key.sign(data, pss, hashes.SHA256())
    return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def server_certificate(name: str) -> tuple[bytes, bytes]:
    """Return key and certificate of a server of this name in one PEM, and the certificate alone."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(days=1),
        now + timedelta(days=9),
    )
    certificate = (
        builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certified(key, certificate)
    return made.pem, made.public_pem
