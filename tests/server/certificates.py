"""Certificates as a company's own authority makes them for a server."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kvstack.server.certificate import CertificateFiles


class Company:
    """An authority that makes certificates into a folder. authority: its certificate's file."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "company")])
        self._certificate = (
            self._begun(self._name, self._key.public_key(), now, timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        self.authority = folder / "company.pem"
        self.authority.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def made(self, names: Sequence[str], *, begins: datetime | None = None, days: float = 10) -> CertificateFiles:
        """Write a certificate with its chain, and its key, over those before."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        issued = self._key.public_key()
        certificate = (
            self._begun(subject, key.public_key(), begins or self._now, timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issued), critical=False)
            .sign(self._key, SHA256())
        )
        files = CertificateFiles(self._folder / "server.pem", self._folder / "server.key")
        chain = certificate.public_bytes(Encoding.PEM) + self._certificate.public_bytes(Encoding.PEM)
        files.certificate.write_bytes(chain)
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        files.key.chmod(0o600)
        return files

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, life: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins - timedelta(minutes=1))
            .not_valid_after(begins + life)
        )
