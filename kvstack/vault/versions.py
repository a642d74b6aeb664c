"""What the store keeps of one version of a key or secret, its sealed bytes included; nothing here leaves the vault."""

from datetime import datetime

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.key import KeySpecification, Operation
from kvstack.vault.table import Row, Table


class KeyVersionRow(Row, frozen=True, kw_only=True):
    """One version of a key. number: counts from 1; sealed: what its provider wants kept, under the vault's data key."""

    vault_id: str
    folded: str
    version: str
    number: int
    specification: KeySpecification
    operations: frozenset[Operation]
    public: PublicKey
    provider: str
    sealed: bytes
    enabled: bool
    not_before: datetime | None
    expires: datetime | None
    tags: dict[str, str]
    created: datetime
    updated: datetime
    by_rotation: bool

    def __repr__(self) -> str:
        return f"KeyVersionRow({self.folded}, {self.version}, ****)"


class SecretVersionRow(Row, frozen=True, kw_only=True):
    """One version of a secret. number: counts from 1; sealed: the value, under the vault's data key."""

    vault_id: str
    folded: str
    version: str
    number: int
    content_type: str
    fingerprint: str
    sealed: bytes
    enabled: bool
    not_before: datetime | None
    expires: datetime | None
    tags: dict[str, str]
    created: datetime
    updated: datetime
    by_rotation: bool

    def __repr__(self) -> str:
        return f"SecretVersionRow({self.folded}, {self.version}, ****)"


KEY_VERSIONS = Table("key_versions", KeyVersionRow, ("vault_id", "folded", "version"))
SECRET_VERSIONS = Table("secret_versions", SecretVersionRow, ("vault_id", "folded", "version"))
