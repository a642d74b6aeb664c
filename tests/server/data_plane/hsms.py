"""A server with two Managed HSMs that are not activated yet, and what their custodians have."""

import base64
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from azure.keyvault.securitydomain.models import CertificateInfo, SecurityDomainJsonWebKey
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kvstack.terms.local_role import local_roles
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.server.served import APP, Served

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("alice", "bob", "carol")
ROLES = {role.name: role.id for role in local_roles().values()}
TREASURY, ELSEWHERE = "treasury", "elsewhere"
CONTAINER = "https://backups.blob.core.windows.net/hsm"


class Custodian(NamedTuple):
    """One who keeps a share. jwk: of his certificate, as it is sent; private: PEM."""

    jwk: dict[str, Any]
    private: bytes


def number(value: int) -> str:
    """A number as JSON Web Keys have it."""
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).decode().rstrip("=")


@cache
def custodian(name: str) -> Custodian:
    """Return a custodian, the same one each time."""
    private = rsa.generate_private_key(65537, 2048)
    whose = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW.replace(year=NOW.year + 10))
        .sign(private, SHA256())
    )
    public = private.public_key().public_numbers()
    jwk = {
        "kid": name,
        "kty": "RSA",
        "key_ops": ["verify", "encrypt", "wrapKey"],
        "n": number(public.n),
        "e": number(public.e),
        "x5c": [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()],
        "x5t#S256": base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).decode().rstrip("="),
        "alg": "RSA-OAEP-256",
    }
    return Custodian(jwk, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def with_managed_hsms(folder: Path) -> Path:
    """Make the Managed HSMs in a folder's store, whose administrator is the app; it may see them as resources, too."""
    unlocked = unlock(folder)
    try:
        service = VaultService(unlocked)
        for name in (TREASURY, ELSEWHERE):
            service.create_managed_hsm(service.operator, name, administrators=[APP])
        service.create_role_assignment(
            service.operator, service.top, role="Reader", principal_id=APP, principal_type="service_principal"
        )
    finally:
        unlocked.close()
    return folder


def url(served: Served, hsm: str = TREASURY) -> str:
    """A Managed HSM's address."""
    return f"https://{hsm}.managedhsm.localhost:{served.port}"


def host(served: Served, hsm: str = TREASURY) -> str:
    """A Managed HSM's host."""
    return f"{hsm}.managedhsm.localhost:{served.port}"


def hsm_token(served: Served, client: str = APP) -> str:
    """Return a token for Managed HSMs, asked for without any client."""
    scope = f"https://managedhsm.localhost:{served.port}/.default"
    answer = served.sign_in(client_id=client, client_secret=served.secret(client), scope=scope)
    assert answer.status == 200, answer
    return str(answer.json["access_token"])


def client(kind: Any, served: Served, hsm: str = TREASURY, who: str = APP, **more: Any) -> Any:
    """Return a client of Azure's for a Managed HSM. kind: its class."""
    return kind(url(served, hsm), served.credential(who), **served.transport, **more)


def wanted(*names: str, quorum: int = 2) -> CertificateInfo:
    """Return for whom a security domain is to be drawn."""
    return CertificateInfo(
        certificates=[SecurityDomainJsonWebKey(custodian(name).jwk) for name in names], required=quorum
    )
