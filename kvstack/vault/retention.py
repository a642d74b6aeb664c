"""What deletion means in a vault, for whoever has just done something there and tells of it."""

import msgspec

from kvstack.terms.recovery import RecoveryLevel
from kvstack.vault.engine import Engine


class Retention(msgspec.Struct, frozen=True):
    """A vault's soft delete. days: what is deleted is kept."""

    level: RecoveryLevel
    days: int


class RetentionOperations(Engine):
    """What is known of a vault to whom it has just answered. Neither is audited: both go with another operation."""

    def retention(self, vault: str) -> Retention | None:
        """Return a vault's soft delete, as the last operation saw it; None where there is no such vault."""
        there = self._registry.vault(vault) if self._registry is not None else None
        return Retention(there.recovery_level, there.soft_delete_retention_days) if there is not None else None

    def is_managed_hsm(self, vault: str) -> bool | None:
        """Tell whether a name is a Managed HSM's; None where nothing has it. What the last operation saw is enough: a
        name goes from one kind to the other only by a purge, and access is decided by the operation itself."""
        there = self._registry.vault(vault) if self._registry is not None else None
        if there is None:
            with self._store.transaction() as tx:
                there = self._current_registry(tx).vault(vault)
        return there.pool is not None if there is not None else None
