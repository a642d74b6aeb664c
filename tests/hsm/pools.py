"""Pools as a test wants them: tokens beside a store's own one, custodians with their keys, a domain."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.domain_root import establish
from kvstack.hsm.pool_token import make_pool_token
from kvstack.hsm.security_domain import CustodianKey, SecurityDomain, custodian, custodian_key
from kvstack.terms.custodian import Custodian

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PEOPLE = ("alice", "bob", "carol", "dave")


@cache
def private_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the key of somebody, the same each time."""
    assert name
    return rsa.generate_private_key(65537, bits)


def public_pem(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(name: str, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password is not None else NoEncryption()
    return private_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def custodians(*names: str) -> list[Custodian]:
    return [custodian(public_pem(name), name) for name in names]


def keys(*names: str) -> list[CustodianKey]:
    return [custodian_key(private_pem(name)) for name in names]


def pool_tokens(folder: Path, own: HsmConfiguration, count: int) -> list[HsmConfiguration]:
    """Make tokens beside a store's own one."""
    folder.mkdir(mode=0o700, exist_ok=True)
    return [make_pool_token(folder, own, f"prod-{number}") for number in range(1, count + 1)]


def with_domain(tokens: list[HsmConfiguration], quorum: int = 2) -> tuple[SecurityDomain, list[HsmConfiguration]]:
    """Give tokens a security domain of alice, bob and carol."""
    domain = establish(tokens, custodians("alice", "bob", "carol"), quorum=quorum, name="prod", now=NOW)
    return domain, [msgspec.structs.replace(token, root=domain.id) for token in tokens]
