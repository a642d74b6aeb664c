"""Versions of keys and secrets used a moment ago, ready for use as long as nothing in the store has changed since."""

from typing import Generic, TypeVar

from kvstack.vault.transaction import Transaction

F = TypeVar("F")


class WarmVersions(Generic[F]):
    """A bounded memory of what was read, checked and decoded. Used under the store's lock only.

    Reading, checking and unsealing a version costs half of what a signature on P-256 does. Whoever asks has been
    authorised; whether the version may be used now is asked anew each time. Nothing in here is plaintext.

    It is forgotten when the ledger's number moves, and when any other connection has written to the file, whether or
    not it knew the key: a row that somebody edited is read again, and refused, as if nothing had been remembered.
    """

    def __init__(self, bound: int = 256) -> None:
        self._bound = bound
        self._state = (-1, -1)
        self._found: dict[tuple[str, str, str | None], F] = {}

    def get(self, tx: Transaction, vault_id: str, name: str, version: str | None) -> F | None:
        """Return what was kept, None where it was not used since the last change to anything in the store."""
        if tx.changed or _state(tx) != self._state:
            self._found.clear()
            return None
        return self._found.get((vault_id, name, version))

    def keep(self, tx: Transaction, vault_id: str, name: str, version: str | None, found: F) -> None:
        """Remember a version as the store has it. name: folded; version: as it was asked for, None for the newest."""
        if tx.changed:
            return  # what is not committed may be undone
        if _state(tx) != self._state or len(self._found) >= self._bound:
            self._found.clear()
            self._state = _state(tx)
        self._found[vault_id, name, version] = found


def _state(tx: Transaction) -> tuple[int, int]:
    return tx.store.epoch, tx.ledger.root.number
