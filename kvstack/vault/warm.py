"""What was read a moment ago, ready for use as long as nothing in the store has changed since."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from kvstack.vault.transaction import Transaction

F = TypeVar("F")


class Warm(Generic[F]):
    """A bounded memory of what was read, checked and decoded. Used under the store's lock only.

    Reading, checking and unsealing a version costs half of what a signature on P-256 does. Whoever asks has been
    authorised; whether the version may be used now is asked anew each time. Nothing in here is plaintext.

    It is forgotten when the ledger's number moves, and when any other connection has written to the file, whether or
    not it knew the key: a row that somebody edited is read again, and refused, as if nothing had been remembered.
    """

    def __init__(self, bound: int = 256) -> None:
        self._bound = bound
        self._state = (-1, -1)
        self._found: dict[Hashable, F] = {}

    def get(self, tx: Transaction, *what: str | int | None) -> F | None:
        """Return what was kept, None where it was not read since the last change to anything in the store. what: the
        vault's id and the folded name of a thing, for one."""
        if tx.changed or _state(tx) != self._state:
            self._found.clear()
            return None
        return self._found.get(what)

    def keep(self, tx: Transaction, found: F, *what: str | int | None) -> None:
        """Remember something as the store has it."""
        if tx.changed:
            return  # what is not committed may be undone
        if _state(tx) != self._state or len(self._found) >= self._bound:
            self._found.clear()
            self._state = _state(tx)
        self._found[what] = found


def _state(tx: Transaction) -> tuple[int, int]:
    return tx.store.epoch, tx.ledger.root.number
