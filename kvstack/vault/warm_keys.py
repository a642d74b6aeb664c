"""Keys used a moment ago, ready for use as long as nothing in the store has changed since."""

from kvstack.hsm.protocol import KeyReference
from kvstack.vault.records import Key
from kvstack.vault.transaction import Transaction
from kvstack.vault.versions import KeyVersionRow


class WarmKeys:
    """A bounded memory of key versions. Used under the store's lock only.

    Reading, checking and unsealing a version costs half of what a signature on P-256 does. Whoever asks has been
    authorised; whether the key may be used now is asked anew each time.
    """

    def __init__(self, bound: int = 256) -> None:
        self._bound = bound
        self._state = -1
        self._found: dict[tuple[str, str, str | None], tuple[Key, KeyVersionRow, KeyReference]] = {}

    def get(
        self, tx: Transaction, vault_id: str, name: str, version: str | None
    ) -> tuple[Key, KeyVersionRow, KeyReference] | None:
        """Return a version, None where it was not used since the last change to anything in the store."""
        if tx.changed or tx.ledger.root.number != self._state:
            self._found.clear()
            return None
        return self._found.get((vault_id, name, version))

    def keep(self, tx: Transaction, version: str | None, item: Key, row: KeyVersionRow, key: KeyReference) -> None:
        """Remember a version as the store has it. version: as it was asked for, None for the newest."""
        if tx.changed:
            return  # what is not committed may be undone
        if tx.ledger.root.number != self._state or len(self._found) >= self._bound:
            self._found.clear()
            self._state = tx.ledger.root.number
        self._found[item.vault_id, item.folded, version] = (item, row, key)
