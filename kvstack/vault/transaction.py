"""What is done together in a store, or not at all; nested transactions are undone alone."""

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kvstack.vault import faults
from kvstack.vault.faults import StoreFault
from kvstack.vault.ledger import Ledger

if TYPE_CHECKING:
    from kvstack.terms.scope import Scope
    from kvstack.vault.records import Vault
    from kvstack.vault.store import Store


# Of an audit record: time in microseconds since 1970, the changed resource in lower case or None, body.
Pending = tuple[int, str | None, bytes]


class Transaction:
    """One outermost transaction and all that are nested in it.

    reading: whether nothing may be changed in it; later: audit records of a reading that a transaction of their own
    has to write before anybody is answered. journal: how to undo in memory what the transaction has done, newest
    last. pending: audit records to be written at commit: time, changed (the resource in lower case, None where
    nothing was), body. moment: the latest time an audit record gave, in microseconds since 1970. scrub: whether
    what was deleted has to be gone from the files, too. lost: whether SQLite has undone everything by itself.
    events: how many were put into the outbox; access_changed: what was given or taken, as (its scope, or the
    Managed HSM it is inside, or None for the top; what it is; its id). reader: the connection for what changes
    nothing.
    """

    __slots__ = (
        "_marks",
        "_savepoints",
        "access_changed",
        "events",
        "journal",
        "later",
        "ledger",
        "lost",
        "moment",
        "pending",
        "reader",
        "reading",
        "scrub",
        "store",
    )

    def __init__(
        self, store: "Store", connection: sqlite3.Connection, ledger: Ledger, *, reading: bool = False
    ) -> None:
        self.store = store
        self.reading = reading
        self.later: list[Pending] = []
        self.reader = connection
        self.ledger = ledger
        self.journal: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.pending: list[Pending] = []
        self.moment = 0
        self.scrub = False
        self.lost: StoreFault | None = None
        self.events = 0
        self.access_changed: list[tuple[Scope | Vault | None, str, str]] = []
        self._marks: list[tuple[int, int]] = [(0, 0)]
        self._savepoints = 0  # how many of the nested ones SQLite knows of

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection for changing something. Only now does SQLite learn of the nested transactions: most only
        read, and making savepoints for those would cost as much as what they do."""
        while self._savepoints < self.depth:
            self._savepoints += 1
            self.reader.execute(f"SAVEPOINT nested_{self._savepoints}")
        return self.reader

    @property
    def changed(self) -> bool:
        """Whether anything was put or deleted so far: if so the commit waits for the disk."""
        return bool(self.journal)

    @property
    def changed_here(self) -> bool:
        """Whether anything was put or deleted since the innermost transaction began."""
        return len(self.journal) > self._marks[-1][0]

    @property
    def depth(self) -> int:
        """How many transactions this one is nested in."""
        return len(self._marks) - 1

    def next_event(self) -> str:
        """Return the place of the next event among all: it grows with every one, in whatever process."""
        self.events += 1
        return f"{self.ledger.root.number + 1:012}-{self.events:08}"

    def nest(self) -> None:
        """Begin a nested transaction."""
        self.require_begun()
        self._marks.append((len(self.journal), len(self.pending)))

    def keep(self) -> None:
        """End the innermost nested transaction; its changes stay in the one around it."""
        self._marks.pop()
        if self._savepoints == len(self._marks):
            self._savepoints -= 1
            self.reader.execute(f"RELEASE nested_{len(self._marks)}")

    def undo_nested(self, error: BaseException | None) -> None:
        """Undo the innermost nested transaction, and it alone. error: what it failed with."""
        journal, pending = self._marks.pop()
        self._undo(journal)
        del self.pending[pending:]
        # A full disk, for one, makes SQLite undo everything at once: there is no savepoint to go back to then.
        if not self.reader.in_transaction:
            self.lost = self.lost or self._why_lost(error)
            return
        if self._savepoints == len(self._marks):
            self._savepoints -= 1
            name = f"nested_{len(self._marks)}"
            self.reader.execute(f"ROLLBACK TO {name}")
            self.reader.execute(f"RELEASE {name}")

    def require(self) -> None:
        """Refuse to change anything in a reading, or where SQLite has undone everything."""
        if self.reading:
            raise RuntimeError("something was to be changed in a transaction that only reads")
        self.require_begun()

    def require_begun(self) -> None:
        """Refuse to go on where SQLite has undone everything: what came now would be committed by itself."""
        if not self.reader.in_transaction:
            self.lost = self.lost or self._why_lost(None)
            raise self.lost

    def _why_lost(self, error: BaseException | None) -> StoreFault:
        match error:
            case StoreFault():
                return error
            case sqlite3.Error():
                return faults.of_database(error, self.store.path)
            case _:
                why = "the transaction was undone after an error"
                return StoreFault(f"{self.store.path}: {why}", "Nothing was changed; try again.")

    def undo(self) -> None:
        """Undo everything."""
        self._undo(0)
        self.ledger.discard()
        self.pending.clear()
        if self.reader.in_transaction:
            self.reader.execute("ROLLBACK")

    def _undo(self, mark: int) -> None:
        while len(self.journal) > mark:
            restore, arguments = self.journal.pop()
            restore(*arguments)
