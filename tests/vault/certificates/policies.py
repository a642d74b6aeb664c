"""Policies that tests share, and certificates of somebody else."""

from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from kvstack.terms.certificate import CertificateAuthority, CertificateKey, CertificatePolicy

EC = CertificateKey("EC")
AUTHORITY = "trust/certificates/root"
ROOT = CertificatePolicy(
    subject="CN=Root, O=Example",
    key=EC,
    validity_months=60,
    authority=CertificateAuthority(path_length=1, permitted=frozenset({"example.com", "192.0.2.0/24", "@example.com"})),
)


def leaf(host: str = "pay.example.com", **more: Any) -> CertificatePolicy:
    """Return a policy for a host, issued by the authority unless it says otherwise."""
    said = {
        "subject": f"CN={host}",
        "dns_names": frozenset({host}),
        "issuer": AUTHORITY,
        "key": EC,
        **more,
    }
    return CertificatePolicy(**said)


class Outside:
    """A certificate authority that is not in any vault."""

    def __init__(self, name: str, now: datetime, *, above: "Outside | None" = None, days: int = 365, ca: bool = True):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name.from_rfc4514_string(f"CN={name}")
        self.now = now
        self.above = above
        signed_by = above if above is not None else self
        self.certificate = self._signed(self.name, self.key.public_key(), signed_by, days, ca)

    def sign(self, csr: bytes, *, days: int = 90) -> x509.Certificate:
        request = x509.load_der_x509_csr(csr)
        return self._signed(request.subject, request.public_key(), self, days, False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def _signed(self, subject: x509.Name, public: Any, by: "Outside", days: int, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .sign(by.key, hashes.SHA256())
        )


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
