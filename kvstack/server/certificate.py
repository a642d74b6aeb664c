"""Which certificate a server answers with: the one it makes itself, or one that is given, checked before it is used."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kvstack.hsm.private_file import readable_by_others
from kvstack.server.names import COLLECTIVE, LOGIN
from kvstack.server.trust import TrustFiles, ready_trust
from kvstack.terms.diagnostic import Diagnostic, InvalidInput, KvstackError

if TYPE_CHECKING:
    from cryptography import x509


class CertificateFiles(msgspec.Struct, frozen=True):
    """A certificate with its chain, and its key, both PEM."""

    certificate: Path
    key: Path


def given_files(certificate: Path | None, key: Path | None) -> CertificateFiles | None:
    """Return the files two options name, None where neither does. Raises KvstackError for one without the other."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise KvstackError(
            "`--certificate FILE` and `--key FILE` go together", "Leave both out for a certificate of the server's own."
        )
    return CertificateFiles(certificate, key)


class Certified(msgspec.Struct, frozen=True):
    """What is served from now on. pem: of the certificate; unnamed: names of the server it does not have; until: when
    it ends."""

    files: CertificateFiles
    pem: bytes
    until: datetime
    unnamed: tuple[str, ...] = ()


class OwnCertificate:
    """The certificate of the server's own authority: made where it is missing, has ended or will soon."""

    def __init__(self, files: TrustFiles, domain: str, names: Sequence[str]) -> None:
        self._files = files
        self._domain = domain
        self._names = names

    def ready(self, now: datetime) -> Certified:
        """Return what is served. Raises KvstackError where it cannot be made."""
        from cryptography import x509

        try:
            ready_trust(self._files, self._domain, self._names, now)
            pem = self._files.certificate.read_bytes()
        except OSError as error:
            raise KvstackError(
                f"the server's files in {self._files.folder} cannot be written: {error.strerror}"
            ) from None
        until = x509.load_pem_x509_certificate(pem).not_valid_after_utc
        return Certified(CertificateFiles(self._files.certificate, self._files.key), pem, until)


class GivenCertificate:
    """A certificate from elsewhere. names: those the server answers to."""

    def __init__(self, files: CertificateFiles, domain: str, names: Sequence[str]) -> None:
        self._files = files
        self._domain = domain
        self._names = names

    def ready(self, now: datetime) -> Certified:
        """Return what is served. Raises KvstackError, with everything that is wrong, where it cannot be."""
        chain = _chain(self._files.certificate)
        problems = [*_key_problems(self._files, chain[0]), *_time_problems(self._files.certificate, chain[0], now)]
        problems += _chain_problems(self._files.certificate, chain)
        missing = tuple(name for name in self._names if name != "localhost" and not _has(chain[0], name))
        problems += _name_problems(self._files.certificate, chain[0], self._domain)
        if problems:
            raise InvalidInput(tuple(problems))
        return Certified(
            self._files, self._files.certificate.read_bytes(), chain[0].not_valid_after_utc, unnamed=missing
        )


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KvstackError(f"`{option} {path}` cannot be read: {error.strerror}") from None


def _chain(path: Path) -> "list[x509.Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(_read("--certificate", path))
    except ValueError:
        raise KvstackError(
            f"{path} holds no certificate in PEM",
            "The server's certificate comes first, those of the authorities above it after it.",
        ) from None


def _key_problems(files: CertificateFiles, certificate: "x509.Certificate") -> list[Diagnostic]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read("--key", files.key)
    found = []
    if readable_by_others(files.key):
        found.append(_problem(f"the key {files.key} can be read by everybody", f"`chmod 600 {files.key}`."))
    try:
        key = load_pem_private_key(content, None)
    except TypeError:
        return [*found, _problem(f"the key {files.key} has a password", "Give it without one, private to its user.")]
    except (ValueError, UnsupportedAlgorithm):
        return [*found, _problem(f"{files.key} holds no key in PEM", "PKCS #8, or the older forms of RSA and EC.")]
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        found.append(_problem(f"the key {files.key} is of a kind TLS cannot use here: RSA, EC or Ed25519"))
    elif key.public_key() != certificate.public_key():
        found.append(
            _problem(
                f"the key {files.key} does not fit the certificate {files.certificate}",
                "The server's certificate comes first in its file, those of the authorities after it.",
            )
        )
    return found


def _time_problems(path: Path, certificate: "x509.Certificate", now: datetime) -> list[Diagnostic]:
    if now >= certificate.not_valid_after_utc:
        return [_problem(f"the certificate {path} ended on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")]
    if now < certificate.not_valid_before_utc:
        begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return [_problem(f"the certificate {path} does not begin before {begins}", "Is the clock right?")]
    return []


def _chain_problems(path: Path, chain: "Sequence[x509.Certificate]") -> list[Diagnostic]:
    from cryptography.exceptions import InvalidSignature

    for below, above in itertools.pairwise(chain):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            return [
                _problem(
                    f"{path}: `{above.subject.rfc4514_string()}` did not issue `{below.subject.rfc4514_string()}`,"
                    " which stands before it",
                    "Each certificate is followed by the one of the authority that issued it.",
                )
            ]
    return []


def _name_problems(path: Path, certificate: "x509.Certificate", domain: str) -> list[Diagnostic]:
    """Tell what no client could do without: a sign-in, and one vault at least."""
    found = []
    if not _has(certificate, f"{LOGIN}.{domain}"):
        found.append(f"{LOGIN}.{domain}")
    if not any(name.endswith(f".{kind}.{domain}") for kind in COLLECTIVE for name in _names(certificate)):
        found.append(f"*.vault.{domain}")
    if not found:
        return []
    words = " and ".join(f"`{name}`" for name in found)
    return [
        _problem(
            f"the certificate {path} is not for {words}",
            "Have one made for these names, or say which domain it is for: `--domain NAME`.",
        )
    ]


def _names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in found.get_values_for_type(x509.DNSName))


def _has(certificate: "x509.Certificate", name: str) -> bool:
    """Tell whether a certificate is for a name: by itself, or by a wildcard for its first label."""
    return name in (names := _names(certificate)) or f"*.{name.partition('.')[2]}" in names


def _problem(summary: str, detail: str = "") -> Diagnostic:
    return Diagnostic(summary=summary, detail=detail)
