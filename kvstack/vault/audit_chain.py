"""The chain of one process's records in the audit, and where the audit of all processes ends."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kvstack.vault.audit_begin import audit_begin
from kvstack.vault.audit_record import chained
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.mac import Mac
from kvstack.vault.store import Store
from kvstack.vault.transaction import Pending, Transaction

_SCHEMA = (
    "CREATE TABLE audit (position INTEGER PRIMARY KEY, writer TEXT NOT NULL, sequence INTEGER NOT NULL, "
    "time INTEGER NOT NULL, changed TEXT, body BLOB NOT NULL, mac BLOB NOT NULL) STRICT",
    # Who changed a thing is asked for many things at once; who read it is looked for by reading through.
    "CREATE INDEX audit_changes ON audit (changed, position) WHERE changed IS NOT NULL",
)
_INSERT = "INSERT INTO audit (position, writer, sequence, time, changed, body, mac) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Head(NamedTuple):
    """Where the audit ends, and how far this chain has come in it. position, newest: of the newest record of all, and
    its MAC; own, sequence, mac: the position of the chain's newest record, how many it has, and that record's MAC."""

    position: int = 0
    sequence: int = 0
    mac: bytes = b""
    newest: bytes = b""
    own: int = 0


class AuditChain:
    """The records this process writes. mac: authenticates them; random: draws the chain's id."""

    def __init__(self, store: Store, mac: Mac, random: Callable[[int], bytes]) -> None:
        self.head = Head()
        self._store = store
        self._mac = mac
        self._random = random
        self._writer = ""
        self._begin = 0
        self._epoch = -1

    @property
    def known(self) -> bool:
        """Whether the end of the audit is known as it is now: nobody else has written since."""
        return self._epoch == self._store.epoch

    def begin_anew(self) -> None:
        """Look again where the audit begins and ends before anything is written."""
        self._epoch = -1

    def written(self, tx: Transaction, records: Sequence[Pending]) -> Head:
        """Chain and write records. Returns how far the chain comes with them, once they are committed."""
        position, sequence, mac, _, _ = self.head
        made, writer = self._mac, self._writer
        rows = []
        for time, changed, body in records:
            position += 1
            sequence += 1
            mac = made(chained(mac, position, writer, sequence, time, changed, body))
            rows.append((position, writer, sequence, time, changed, body, mac))
        if not rows:
            return self.head
        if len(rows) == 1:
            tx.connection.execute(_INSERT, rows[0])
        else:
            tx.connection.executemany(_INSERT, rows)
        return Head(position, sequence, mac, mac, position)

    def refresh(self, tx: Transaction) -> None:
        """Learn where the audit ends; refuse to go on where its end is missing. Raises TamperedAudit."""
        if "audit" not in self._store.tables:
            for statement in _SCHEMA:
                tx.connection.execute(statement)
            self._store.tables.add("audit")
            tx.journal.append((self.begin_anew, ()))  # undone, it is not there
        begin = audit_begin(tx)
        _, sequence, own_mac, _, own = self.head
        if not self._writer or begin.position != self._begin:
            # No chain goes on over what was archived: what is left can be verified without it.
            self._writer, self._begin = self._random(8).hex(), begin.position
            sequence, own_mac, own = 0, b"", begin.position
        newest = tx.connection.execute("SELECT position, mac FROM audit ORDER BY position DESC LIMIT 1").fetchone()
        position, mac = newest or (begin.position, begin.mac)
        root = tx.ledger.root
        for known, expected in ((root.audit_position, root.audit_mac), (own, own_mac)):
            if known > begin.position and _mac_at(tx, known) != expected:
                raise TamperedAudit(f"has lost its record {known}")
        self.head, self._epoch = Head(position, sequence, own_mac, mac, own), self._store.epoch


def _mac_at(tx: Transaction, position: int) -> bytes | None:
    found = tx.connection.execute("SELECT mac FROM audit WHERE position = ?", (position,)).fetchone()
    return found[0] if found else None
