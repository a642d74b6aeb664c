"""Who did what, when, and how it ended: records that cannot be changed, taken out, or cut off unnoticed.

Records stand in one order, without gaps. Each carries a MAC over the one its process wrote before it (its chain), its
position, and itself. The newest one stands in the ledger's root whenever something changes, and whenever a checkpoint
is signed; so cutting the end off goes unnoticed only back to the last change or checkpoint.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from kvstack.vault.audit_begin import AuditBegin, audit_begin
from kvstack.vault.audit_checkpoints import EVERY_MICROSECONDS, EVERY_RECORDS
from kvstack.vault.audit_record import AuditRecord, StoredRecord, chained, encode, read_record
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.mac import prepared
from kvstack.vault.store import Store
from kvstack.vault.time_step import microseconds
from kvstack.vault.transaction import Transaction

if TYPE_CHECKING:
    from kvstack.vault.audit_anchor import Anchor
    from kvstack.vault.audit_segments import Segment
    from kvstack.vault.audit_verification import AuditReport
    from kvstack.vault.checkpointing import Checkpointing

__all__ = ["AuditLog", "AuditRecord"]

_SCHEMA = (
    "CREATE TABLE audit (position INTEGER PRIMARY KEY, writer TEXT NOT NULL, sequence INTEGER NOT NULL, "
    "time INTEGER NOT NULL, changed TEXT, body BLOB NOT NULL, mac BLOB NOT NULL) STRICT",
    # Who changed a thing is asked for many things at once; who read it is looked for by reading through.
    "CREATE INDEX audit_changes ON audit (changed, position) WHERE changed IS NOT NULL",
)
_SELECT = "SELECT position, writer, sequence, time, changed, body, mac FROM audit"
_INSERT = "INSERT INTO audit (position, writer, sequence, time, changed, body, mac) VALUES (?, ?, ?, ?, ?, ?, ?)"
_PAGE = 5000
_ALWAYS = 2**62


class AuditLog:
    """The audit of one store. random: draws the id of this process's chain; checkpointing: signs where it stands, None
    where nothing does."""

    def __init__(
        self,
        store: Store,
        key: bytes,
        *,
        random: Callable[[int], bytes] = os.urandom,
        checkpointing: "Checkpointing | None" = None,
    ) -> None:
        self.store = store
        self.mac = prepared(key)
        self._checkpointing = checkpointing
        self._random = random
        self._writer = ""
        self._sequence = 0
        self._mac = b""  # of the newest record of this chain
        self._position = 0  # of the newest record of all
        self._newest = b""  # its MAC
        self._own_position = 0
        self._epoch = -1
        self._begin = 0
        self._ahead: tuple[int, int, bytes] = (0, 0, b"")
        self._own_stop = 0  # its record that is to be signed when it stops
        self._due = False
        # This process's first record, or the last try to make a checkpoint; and the newest record then.
        self._waiting_since = 0
        self._tried = 0
        store.participants.append(self)

    def append(self, tx: Transaction, record: AuditRecord) -> None:
        """Write a record with the transaction, after what it did: whether it changed anything is noted with it. A
        nested transaction that is undone takes its records with it."""
        time = microseconds(record.time)
        tx.moment = max(tx.moment, time)
        changed = record.resource.lower() if tx.changed_here else None
        tx.pending.append((time, changed, encode(record)))

    # The end of a transaction

    def before_commit(self, tx: Transaction) -> None:
        """Chain and write what was appended. Raises TamperedAudit."""
        if not tx.pending and not tx.journal:
            return
        if self._epoch != self.store.epoch:
            self._refresh(tx)
        made, writer = self.mac, self._writer
        position, sequence, mac = self._position, self._sequence, self._mac
        rows = []
        for time, changed, body in tx.pending:
            position += 1
            sequence += 1
            mac = made(chained(mac, position, writer, sequence, time, changed, body))
            rows.append((position, writer, sequence, time, changed, body, mac))
        if len(rows) == 1:
            tx.connection.execute(_INSERT, rows[0])
        elif rows:
            tx.connection.executemany(_INSERT, rows)
        self._ahead = (position, sequence, mac)
        if tx.journal:
            tx.ledger.root.audit_position = position
            tx.ledger.root.audit_mac = mac if rows else self._newest

    def after_commit(self, tx: Transaction) -> None:
        """Go on from what was written."""
        if not tx.pending:
            return
        position, self._sequence, mac = self._ahead
        self._position = self._own_position = self._own_stop = position
        self._newest = self._mac = mac
        if not self._waiting_since:
            self._waiting_since = tx.moment
        if position - self._tried >= EVERY_RECORDS or tx.moment - self._waiting_since >= EVERY_MICROSECONDS:
            root = tx.ledger.root  # another process may have made one since
            self._tried = max(self._tried, root.checkpoint_position)
            self._waiting_since = max(self._waiting_since, root.checkpoint_time)
            self._due = position - self._tried >= EVERY_RECORDS or tx.moment - self._waiting_since >= EVERY_MICROSECONDS

    def settled(self) -> None:
        """Make the checkpoint that is due."""
        if self._due and self._checkpointing is not None:
            self._due = False
            self._checkpointing.settle(self)

    def stop(self) -> None:
        """Sign where the audit stands, where this process has written: it is about to end."""
        own, self._own_stop = self._own_stop, 0
        if own and self._checkpointing is not None:
            self._checkpointing.settle(self, own=own)

    def tried(self, time: datetime) -> None:
        """Wait again until the next checkpoint is due: one was tried now."""
        self._waiting_since, self._tried = microseconds(time), self._position

    def begin_anew(self) -> None:
        """Look again where the audit begins and ends before anything is written: records were taken out."""
        self._epoch = -1

    def end(self, tx: Transaction) -> tuple[int, bytes]:
        """Return the position and the MAC of the newest record. Raises TamperedAudit where the end is missing."""
        if self._epoch != self.store.epoch:
            self._refresh(tx)
        return self._position, self._newest

    def _refresh(self, tx: Transaction) -> None:
        """Learn where the audit ends; refuse to go on where its end is missing."""
        if "audit" not in self.store.tables:
            for statement in _SCHEMA:
                tx.connection.execute(statement)
            self.store.tables.add("audit")
        begin = audit_begin(tx)
        if not self._writer or begin.position != self._begin:
            # No chain goes on over what was archived: what is left can be verified without it.
            self._writer, self._sequence, self._mac = self._random(8).hex(), 0, b""
            self._begin, self._own_position = begin.position, 0
        newest = tx.connection.execute("SELECT position, mac FROM audit ORDER BY position DESC LIMIT 1").fetchone()
        position, mac = newest or (begin.position, begin.mac)
        root = tx.ledger.root
        for known, expected in ((root.audit_position, root.audit_mac), (self._own_position, self._mac)):
            if known > begin.position and self._mac_at(tx, known) != expected:
                raise TamperedAudit(f"has lost its record {known}")
        self._position, self._newest, self._epoch = position, mac, self.store.epoch

    @staticmethod
    def _mac_at(tx: Transaction, position: int) -> bytes | None:
        found = tx.connection.execute("SELECT mac FROM audit WHERE position = ?", (position,)).fetchone()
        return found[0] if found else None

    # Reading

    def records(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        subject: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[AuditRecord]:
        """Yield records, oldest first unless told otherwise. since, until: from when on, and before when; subject: a
        resource's path, with all below it; limit: how many at most."""
        below = subject.lower().rstrip("/") if subject is not None else None
        left = limit
        for row in self.rows(since=since, until=until, newest_first=newest_first):
            if left is not None and left <= 0:
                return
            record = read_record(row)
            if below is not None and not is_at_or_below(record.resource.lower(), below):
                continue
            yield record
            if left is not None:
                left -= 1

    def last_changes(self, subjects: Iterable[str]) -> dict[str, AuditRecord]:
        """Return the newest successful record that changed each of these resources, by the path as given."""
        sql = f"{_SELECT} WHERE changed = ? ORDER BY position DESC LIMIT 1"
        found = {}
        with self.store.transaction() as tx:
            if "audit" in self.store.tables:
                for subject in subjects:
                    row = tx.connection.execute(sql, (subject.lower(),)).fetchone()
                    if row is not None:
                        found[subject] = read_record(row)
        return found

    def rows(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int | None = None,
        up_to: int = _ALWAYS,
        newest_first: bool = False,
    ) -> Iterator[StoredRecord]:
        """Yield the stored records in constant memory, a page at a time, so that others can write in between. after,
        up_to: positions."""
        bounds = (_micros(since, -_ALWAYS), _micros(until, _ALWAYS))
        order, beyond, last = ("DESC", "<", up_to + 1) if newest_first else ("ASC", ">", after or -_ALWAYS)
        stop, limit = (">", after or -_ALWAYS) if newest_first else ("<=", up_to)
        sql = (
            f"{_SELECT} WHERE position {beyond} ? AND position {stop} ? AND time >= ? AND time < ? "
            f"ORDER BY position {order} LIMIT {_PAGE}"
        )
        while True:
            with self.store.transaction() as tx:
                there = "audit" in self.store.tables
                page = tx.connection.execute(sql, (last, limit, *bounds)).fetchall() if there else []
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def verify(self, *, anchor: "Anchor | None" = None, segments: "Sequence[Segment]" = ()) -> "AuditReport":
        """Check every record: each MAC, each chain, the order, the checkpoints, and that the end known to the ledger is
        there. anchor: a checkpoint that was kept elsewhere; segments: archived records, from which to begin.

        What was written after the last change or checkpoint can be cut off unnoticed; without an anchor all files can
        be put back as they were. Raises KvstackError for an anchor or segments of something else.
        """
        from kvstack.vault.audit_whole import verified

        public_keys = self._checkpointing.signer.public_keys() if self._checkpointing is not None else {}
        identity = self._checkpointing.signer.store if self._checkpointing is not None else ""
        return verified(self, anchor, segments, store=identity, public_keys=public_keys)

    def begin(self) -> AuditBegin:
        """Return where the audit in the store begins."""
        with self.store.transaction() as tx:
            return audit_begin(tx)

    def head_before(self, writer: str, position: int) -> tuple[int, bytes] | None:
        """Return the sequence and the MAC of the newest record a process wrote before a position."""
        sql = "SELECT sequence, mac FROM audit WHERE writer = ? AND position < ? ORDER BY position DESC LIMIT 1"
        with self.store.transaction() as tx:
            found: tuple[int, bytes] | None = tx.connection.execute(sql, (writer, position)).fetchone()
        return found


def is_at_or_below(resource: str, path: str) -> bool:
    """Tell whether a resource is at a path or below it; both in lower case."""
    return resource == path or resource.startswith(path + "/")


def _micros(time: datetime | None, otherwise: int) -> int:
    return microseconds(time) if time is not None else otherwise
