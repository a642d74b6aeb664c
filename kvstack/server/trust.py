"""The certificate a server answers with, from an authority of its own, both made at the first start.

The authority may speak for the server's domain and this machine only (RFC 5280, name constraints): whoever steals its
key can impersonate no other site to those who trust it.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.hsm.private_file import private_folder, readable_by_others, write_private
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_AUTHORITY_LIFE: Final = timedelta(days=3650)
_LIFE: Final = timedelta(days=397)  # what browsers accept at most is 398
_RENEWED_BEFORE: Final = timedelta(days=60)
_ALREADY: Final = timedelta(hours=1)  # a client's clock may be behind
_THIS_MACHINE: Final = ipaddress.IPv4Address("127.0.0.1")


class TrustFiles(msgspec.Struct, frozen=True):
    """Where they lie: all private to their owner, though only the two keys are secret."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate, PEM: what clients have to trust."""
        return self.folder / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """The authority's key, PKCS #8 PEM."""
        return self.folder / "ca.key"

    @property
    def certificate(self) -> Path:
        """The server's certificate with the authority's behind it, PEM."""
        return self.folder / "tls.pem"

    @property
    def key(self) -> Path:
        """The server's key, PKCS #8 PEM."""
        return self.folder / "tls.key"


def trust_files(root: Path) -> TrustFiles:
    """Return where a vault's server has them. root: the folder `.kvstack`."""
    return TrustFiles(root / "server")


def read_authority(files: TrustFiles) -> bytes:
    """Return the authority's certificate, PEM. Raises KvstackError where there is none yet."""
    try:
        return files.authority.read_bytes()
    except FileNotFoundError:
        raise KvstackError(
            "there is no certificate authority yet", "The first `kvstack serve` makes it: start the server."
        ) from None


def ready_folder(files: TrustFiles) -> None:
    """Make the folder, where only its owner can enter. Raises OSError."""
    private_folder(files.folder)
    files.folder.chmod(0o700)


def ready_trust(files: TrustFiles, domain: str, names: Sequence[str], now: datetime) -> None:
    """Make what is missing, has ended or will soon, or is for other names. Raises KvstackError where a key can be read
    by others, or a file is none of these."""
    ready_folder(files)
    for path in (files.authority_key, files.key):
        if path.exists() and readable_by_others(path):
            raise KvstackError(f"the key {path} can be read by everybody", f"Remove {files.folder} and start again.")
    authority = _authority(files, domain, now)
    if not _serves(files, authority[0], names, now):
        _make_certificate(files, authority, names, now)


def _authority(files: TrustFiles, domain: str, now: datetime) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if files.authority.exists() and files.authority_key.exists():
        try:
            certificate = x509.load_pem_x509_certificate(files.authority.read_bytes())
            key = load_pem_private_key(files.authority_key.read_bytes(), None)
            constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except (ValueError, TypeError, x509.ExtensionNotFound) as error:
            raise _no_trust(files) from error
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise _no_trust(files)
        permitted = [one.value for one in constraints.permitted_subtrees or () if isinstance(one, x509.DNSName)]
        if domain in permitted and certificate.not_valid_after_utc - now > _RENEWED_BEFORE:
            return certificate, key
    return _make_authority(files, domain, now)


def _make_authority(
    files: TrustFiles, domain: str, now: datetime
) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"kvstack of {domain}"[:64])])
    permitted: list[x509.GeneralName] = [x509.DNSName(one) for one in dict.fromkeys((domain, "localhost"))]
    permitted += [
        x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
        x509.IPAddress(ipaddress.ip_network("::1/128")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _ALREADY)
        .not_valid_after(now + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, SHA256())
    )
    # The key first: a certificate without it would be trusted for nothing.
    write_private(files.authority_key, _pem(key), replace=True)
    write_private(files.authority, certificate.public_bytes(Encoding.PEM), replace=True)
    return certificate, key


def _make_certificate(
    files: TrustFiles,
    authority: "tuple[x509.Certificate, EllipticCurvePrivateKey]",
    names: Sequence[str],
    now: datetime,
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID

    above, signing = authority
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [*(x509.DNSName(name) for name in names), x509.IPAddress(_THIS_MACHINE)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kvstack server")]))
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _ALREADY)
        .not_valid_after(min(now + _LIFE, above.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .sign(signing, SHA256())
    )
    write_private(files.key, _pem(key), replace=True)
    chain = certificate.public_bytes(Encoding.PEM) + above.public_bytes(Encoding.PEM)
    write_private(files.certificate, chain, replace=True)


def _serves(files: TrustFiles, authority: "x509.Certificate", names: Sequence[str], now: datetime) -> bool:
    """Tell whether the certificate there is does for these names, for a while."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(authority)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    # A kill between the writing of the two leaves a key that is another certificate's.
    return (
        key.public_key() == certificate.public_key()
        and set(found.get_values_for_type(x509.DNSName)) == set(names)
        and set(found.get_values_for_type(x509.IPAddress)) == {_THIS_MACHINE}
        and certificate.not_valid_after_utc - now > _RENEWED_BEFORE
    )


def _usage(*, signs_certificates: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _no_trust(files: TrustFiles) -> KvstackError:
    return KvstackError(
        f"the certificate authority in {files.folder} cannot be read",
        f"Remove {files.authority} and {files.authority_key}: another one is made, and clients have to trust that one.",
    )
