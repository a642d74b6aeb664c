"""What a request is counted by before it is done: the vault it is for, and the kind of the key it is on."""

import msgspec

from kvstack.terms.key import KeySpecification
from kvstack.terms.name import folded
from kvstack.vault.items import KEYS, ItemOperations


class Counted(msgspec.Struct, frozen=True):
    """Whom a request counts for. id: the vault's; key: what kind of key it is on, by its newest version."""

    id: str
    managed_hsm: bool
    key: KeySpecification | None = None


class ThrottledOperations(ItemOperations):
    """What has to be known of a request before it may be done. It tells nobody anything."""

    def counted_for(self, vault: str, key: str = "") -> Counted | None:
        """Return whom a request counts for, None where there is no such vault. key: its name, empty for none."""
        with self._store.reading() as tx:
            home = self._current_registry(tx).vault(vault)
            if home is None:
                return None
            row = KEYS.get(tx, home.id, folded(key)) if key else None
            return Counted(home.id, home.pool is not None, row.specification if row is not None else None)
