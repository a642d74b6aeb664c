"""What the vault keeps and shows of each thing: vaults, keys, secrets and their versions.

A row of the store is at the same time what a caller gets, so that a plan reads one row a thing; only a version's sealed
bytes stay behind (`versions.py`). `folded` is a name as the vault compares it, `name` as it was first written.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.access_policy import AccessModel
from kvstack.terms.certificate import CertificatePolicy
from kvstack.terms.duration import Duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification, Operation
from kvstack.terms.recovery import RecoveryLevel, recovery_level
from kvstack.terms.release_policy import ReleasePolicy
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.approval_rows import ApprovalRule
from kvstack.vault.certificates.rows import Certificate
from kvstack.vault.deletion import Deletion
from kvstack.vault.rotation_attempt import Underway
from kvstack.vault.table import Row

__all__ = [
    "ApprovalRule",
    "Certificate",
    "CertificateVersion",
    "Collection",
    "Deletion",
    "Key",
    "KeyVersion",
    "Lock",
    "NetworkRules",
    "PendingCertificate",
    "Pool",
    "Secret",
    "SecretVersion",
    "Sku",
    "Vault",
]

Collection = Literal["keys", "secrets", "certificates"]
Sku = Literal["standard", "premium"]
Lock = Literal["delete"]


class NetworkRules(msgspec.Struct, frozen=True):
    """Whom a vault's firewall lets in. ip_rules: addresses or CIDR ranges."""

    default_action: Literal["allow", "deny"] = "allow"
    ip_rules: tuple[str, ...] = ()
    bypass: Literal["trusted_services", "none"] = "trusted_services"


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a vault a Managed HSM. tokens: the configurations of its tokens, files relative to `.kvstack`;
    administrators: ids of those who were its first; activated: since when its security domain is with its custodians;
    domain: the security domain's id; quorum: how many custodians restore it; backed_up: when it last was, in full;
    written: how often the configurations of its tokens were written anew; keys_as_resources: whether keys in it can be
    looked at and made by resource manager, too."""

    tokens: tuple[str, ...]
    administrators: tuple[str, ...] = ()
    activated: datetime | None = None
    domain: str = ""
    quorum: int = 0
    backed_up: datetime | None = None
    written: int = 0
    keys_as_resources: bool = False


class Vault(Row, frozen=True, kw_only=True):
    """A vault. id: drawn at creation, so that a namesake made after a purge is another vault; pool: what it has beside
    this where it is a Managed HSM; approval: which of its changes wait for an approval; access_model: what gives rights
    to its data: roles, or policies of its own."""

    folded: str
    id: str
    name: str
    resource_group: str
    location: str
    sku: Sku
    soft_delete_retention_days: int
    purge_protection: bool
    network: NetworkRules
    lock: Lock | None = None
    tags: dict[str, str]
    created: datetime
    updated: datetime
    deletion: Deletion | None = None
    pool: Pool | None = None
    approval: ApprovalRule | None = None
    access_model: AccessModel = "rbac"

    @property
    def recovery_level(self) -> RecoveryLevel:
        """What deletion means here, in Azure's words."""
        return recovery_level(self.soft_delete_retention_days, self.purge_protection)

    @property
    def pool_id(self) -> str:
        """A Managed HSM's id as its keys' provider bears it."""
        return self.id.replace("-", "")

    @property
    def kind(self) -> str:
        """What it is, as people say it."""
        return "vault" if self.pool is None else "Managed HSM"


class Key(Row, frozen=True, kw_only=True):
    """A key with its newest version's attributes. created: of the first one; by_rotation: how the newest was made;
    managed: it is a certificate's, and comes and goes with it; exportable: it may leave the vault, wrapped for whom its
    release policy names; previous_since: when the oldest version that the scheduler has still to disable was followed
    by another one; told: which of its ends people were told of."""

    vault_id: str
    folded: str
    vault: str
    name: str
    version: str
    specification: KeySpecification
    operations: frozenset[Operation]
    enabled: bool
    not_before: datetime | None = None
    expires: datetime | None = None
    tags: dict[str, str]
    rotation: RotationPolicy | None = None
    created: datetime
    updated: datetime
    version_created: datetime
    by_rotation: bool = False
    versions: int
    managed: bool = False
    deletion: Deletion | None = None
    exportable: bool = False
    release_policy: ReleasePolicy | None = None
    previous_since: datetime | None = None
    told: tuple[str, ...] = ()

    @property
    def keep_previous(self) -> Duration | None:
        """How long a version stays enabled once it was followed by another one; None for ever."""
        return self.rotation.keep_previous if self.rotation is not None else None


class Secret(Row, frozen=True, kw_only=True):
    """A secret with its newest version's attributes, never its value. fingerprint: of the newest value; managed: it is
    a certificate's, and comes and goes with it; previous_since, told: as a key's; generator: how the vault makes other
    values by itself, None where it cannot; underway: a rotation by its rotator that is not done yet."""

    vault_id: str
    folded: str
    vault: str
    name: str
    version: str
    content_type: str
    enabled: bool
    not_before: datetime | None = None
    expires: datetime | None = None
    tags: dict[str, str]
    fingerprint: str
    rotation: RotationPolicy | None = None
    created: datetime
    updated: datetime
    version_created: datetime
    by_rotation: bool = False
    versions: int
    managed: bool = False
    deletion: Deletion | None = None
    previous_since: datetime | None = None
    told: tuple[str, ...] = ()
    generator: Generator | None = None
    underway: Underway | None = None

    @property
    def keep_previous(self) -> Duration | None:
        """How long a version stays enabled once it was followed by another one; None for ever."""
        return self.rotation.keep_previous if self.rotation is not None else None


class KeyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a key: what anybody who may read the key may know of it. provider: where it lives."""

    vault: str
    name: str
    version: str
    specification: KeySpecification
    operations: frozenset[Operation]
    public: PublicKey
    provider: str
    enabled: bool
    not_before: datetime | None
    expires: datetime | None
    tags: Mapping[str, str]
    created: datetime
    updated: datetime
    by_rotation: bool
    recovery_level: RecoveryLevel
    managed: bool = False
    exportable: bool = False
    release_policy: ReleasePolicy | None = None


class SecretVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a secret. value: masked, and None where only metadata was asked for."""

    vault: str
    name: str
    version: str
    content_type: str
    enabled: bool
    not_before: datetime | None
    expires: datetime | None
    tags: Mapping[str, str]
    fingerprint: str
    created: datetime
    updated: datetime
    by_rotation: bool
    recovery_level: RecoveryLevel
    managed: bool = False
    value: SecretValue | None = None


class CertificateVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a certificate. der: the certificate; chain: those above it, nearest first, DER; authority: the
    vault and name of the authority that issued it, where one of this store did. Its key and its secret have the same
    name and version."""

    vault: str
    name: str
    version: str
    der: bytes
    chain: tuple[bytes, ...]
    policy: CertificatePolicy
    enabled: bool
    not_before: datetime
    expires: datetime
    tags: Mapping[str, str]
    created: datetime
    updated: datetime
    by_rotation: bool
    recovery_level: RecoveryLevel
    authority: tuple[str, str] | None = None

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate, as Key Vault names it: for finding it, not for trusting it."""
        return thumbprint(self.der)


class PendingCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A request that somebody else has to sign. csr: DER."""

    vault: str
    name: str
    id: str
    policy: CertificatePolicy
    csr: bytes
    created: datetime


def thumbprint(der: bytes) -> str:
    """Return the SHA-1 of a certificate in hexadecimal."""
    import hashlib

    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
