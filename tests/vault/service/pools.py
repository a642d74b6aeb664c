"""What tests of Managed HSMs act in: custodians with keys, and a store with an HSM and a clock to move."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kvstack.hsm.security_domain import CustodianKey, custodian, custodian_key
from kvstack.terms.custodian import Custodian
from kvstack.terms.key import KeySpecification
from kvstack.vault.caller import Caller
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.vault.service.world import StartClock, World

POOL = "treasury"
DIGEST = hashlib.sha256(b"message").digest()
EC_HSM = KeySpecification("EC-HSM", None, "P-256")
RSA_HSM = KeySpecification("RSA-HSM", 2048)
OCT_HSM = KeySpecification("oct-HSM", 256)


@cache
def custodian_pair(number: int) -> tuple[bytes, bytes]:
    """Return a custodian's public and private key, PEM."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def custodians(count: int = 3) -> tuple[Custodian, ...]:
    """Return custodians, the same ones each time."""
    return tuple(custodian(custodian_pair(number)[0], f"custodian-{number}") for number in range(count))


def keys_of(*numbers: int) -> tuple[CustodianKey, ...]:
    """Return the private keys of custodians."""
    return tuple(map(_key_of, numbers))


@cache
def _key_of(number: int) -> CustodianKey:
    return custodian_key(custodian_pair(number)[1])


class PoolWorld(World):
    """A store with an HSM."""

    @classmethod
    def made(cls, folder: Path) -> "PoolWorld":
        folder.mkdir(exist_ok=True)
        return cls(
            initialise(
                folder,
                hsm=True,
                prepare=initialise_access,
                simulated_clock=True,
                clock=StartClock(),
                recovery_key=custodian_pair(9)[0],
            )
        )

    def pool(self, *, tokens: int = 1, purge_protection: bool = False, retention: int = 90) -> bytes:
        """Make the Managed HSM, activate it, and make the operator a user of its keys. Returns the security domain."""
        self.service.create_managed_hsm(
            self.operator,
            POOL,
            tokens=tokens,
            purge_protection=purge_protection,
            soft_delete_retention_days=retention,
        )
        document = self.service.download_security_domain(self.operator, POOL, custodians(), 2)
        self.give(self.operator, "Managed HSM Crypto User", "Managed HSM Crypto Officer")
        return document

    def give(self, caller: Caller, *roles: str, scope: str = "/") -> None:
        """Give a principal roles inside the Managed HSM."""
        for role in roles:
            self.service.assign_local_role(
                self.operator, POOL, role=role, principal_id=caller.id, principal_type="user", scope=scope
            )

    def local(self, *roles: str, scope: str = "/") -> Caller:
        """Return a new principal who has roles inside the Managed HSM and nowhere else."""
        caller = self.person()
        self.give(caller, *roles, scope=scope)
        return caller

    def signed(self, name: str = "k", version: str | None = None) -> bytes:
        """Sign the digest by an EC key of the Managed HSM."""
        return self.service.sign(self.operator, POOL, name, algorithm="ES256", digest=DIGEST, version=version).value

    def verified(self, signature: bytes, name: str = "k", version: str | None = None) -> bool:
        """Tell whether a signature is the key's over the digest."""
        return self.service.verify(
            self.operator, POOL, name, algorithm="ES256", digest=DIGEST, signature=signature, version=version
        )

    def tokens(self) -> set[str]:
        """Return SoftHSM's own folders of tokens."""
        return {path.name for path in (self.unlocked.paths.hsm / "tokens").iterdir()}


def audited(world: World, operation: str) -> Sequence[str]:
    """Return the results of an operation, oldest first."""
    return [record.result for record in world.unlocked.audit.records() if record.operation == operation]
