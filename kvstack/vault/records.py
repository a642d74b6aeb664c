"""What the vault keeps and shows of each thing: vaults, keys, secrets and their versions.

A row of the store is at the same time what a caller gets, so that a plan reads one row a thing; only a version's sealed
bytes stay behind (`versions.py`). `folded` is a name as the vault compares it, `name` as it was first written.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.key import KeySpecification, Operation
from kvstack.terms.recovery import RecoveryLevel, recovery_level
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.table import Row

Collection = Literal["keys", "secrets"]
Sku = Literal["standard", "premium"]
Lock = Literal["delete"]


class Deletion(msgspec.Struct, frozen=True):
    """That a thing is soft-deleted: since when, by whom, and when time purges it."""

    deleted: datetime
    scheduled_purge: datetime
    by: str = ""


class NetworkRules(msgspec.Struct, frozen=True):
    """Whom a vault's firewall lets in. ip_rules: addresses or CIDR ranges."""

    default_action: Literal["allow", "deny"] = "allow"
    ip_rules: tuple[str, ...] = ()
    bypass: Literal["trusted_services", "none"] = "trusted_services"


class Vault(Row, frozen=True, kw_only=True):
    """A vault. id: drawn at creation, so that a namesake made after a purge is another vault."""

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

    @property
    def recovery_level(self) -> RecoveryLevel:
        """What deletion means here, in Azure's words."""
        return recovery_level(self.soft_delete_retention_days, self.purge_protection)


class Key(Row, frozen=True, kw_only=True):
    """A key with its newest version's attributes. created: of the first one; by_rotation: how the newest was made."""

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
    deletion: Deletion | None = None


class Secret(Row, frozen=True, kw_only=True):
    """A secret with its newest version's attributes, never its value. fingerprint: of the newest value."""

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
    deletion: Deletion | None = None


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
    value: SecretValue | None = None
