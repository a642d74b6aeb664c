"""Who did what, when, and how it ended: records that cannot be changed, taken out, or cut off unnoticed.

Records stand in one order, without gaps. Each carries a MAC over the one its process wrote before it (its chain), its
position, and itself. The newest one stands in the ledger's root whenever something changes, and whenever a checkpoint
is signed; so cutting the end off goes unnoticed only back to the last change or checkpoint. What changes nothing is
recorded in a file of its process first (`AuditTail`), where it records much.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_begin import AuditBegin, audit_begin
from kvstack.vault.audit_chain import AuditChain, Head
from kvstack.vault.audit_checkpoints import EVERY_MICROSECONDS, EVERY_RECORDS
from kvstack.vault.audit_record import AuditRecord, StoredRecord, encode, read_record
from kvstack.vault.audit_tail import (
    TAKEN_IN,
    AuditTail,
    OtherTail,
    edited_files,
    forget_others,
    others,
    read_other,
    set_aside,
)
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.mac import prepared
from kvstack.vault.store import Store
from kvstack.vault.time_step import microseconds
from kvstack.vault.transaction import Pending, Transaction

if TYPE_CHECKING:
    from kvstack.vault.audit_anchor import Anchor
    from kvstack.vault.audit_segments import Segment
    from kvstack.vault.audit_verification import AuditReport
    from kvstack.vault.checkpointing import Checkpointing

__all__ = ["AuditLog", "AuditRecord"]

_SELECT = "SELECT position, writer, sequence, time, changed, body, mac FROM audit"
_PAGE = 5000
_ALWAYS = 2**62
# So many records of a process that changed nothing have commits of their own: most commands make a few and end.
_WORTH_A_FILE = 16


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
        self._key = key
        self._checkpointing = checkpointing
        self._chain = AuditChain(store, self.mac, random)
        self._ahead = Head()
        self._unsigned = 0  # its newest record that no checkpoint of its own holds
        self._due = False
        self._tail = AuditTail(store.path.parent, key, random)
        self._commits = 0  # of records that changed nothing
        self._in_file = False  # whether those of the transaction that ends went there
        self._afterwards: list[Callable[[], None]] = []
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
        """Write what was appended: what changed something chained, with the transaction. Raises TamperedAudit,
        StoreFault."""
        self._in_file = False
        if not tx.pending and not tx.journal:
            return
        if not self._chain.known and ("audit" in self.store.tables or not tx.reading):
            self._refresh(tx)
        if not tx.journal:
            if len(self._tail.waiting) < EVERY_RECORDS and self._tail.append(tx.pending):
                self._in_file = True
                return
            if tx.reading:
                tx.later, tx.pending = tx.pending, []
                return
            self._commits += 1
            if self._commits > _WORTH_A_FILE and not self._tail.begun:
                self._tail.begin(tx)
        if self._tail.waiting:
            self._take_in(tx)
        self._ahead = self._chain.written(tx, tx.pending)
        if tx.journal:
            tx.ledger.root.audit_position = self._ahead.position
            tx.ledger.root.audit_mac = self._ahead.newest

    def after_commit(self, tx: Transaction) -> None:
        """Go on from what was written."""
        afterwards, self._afterwards = self._afterwards, []
        for work in afterwards:
            work()
        if not tx.pending:
            return
        if not self._in_file:
            self._go_on_from(self._ahead)
        if not self._waiting_since:
            self._waiting_since = tx.moment
        position = self._chain.head.position + len(self._tail.waiting)
        if position - self._tried >= EVERY_RECORDS or tx.moment - self._waiting_since >= EVERY_MICROSECONDS:
            root = tx.ledger.root  # another process may have made one since
            self._tried = max(self._tried, root.checkpoint_position)
            self._waiting_since = max(self._waiting_since, root.checkpoint_time)
            self._due = position - self._tried >= EVERY_RECORDS or tx.moment - self._waiting_since >= EVERY_MICROSECONDS

    def _go_on_from(self, written: Head) -> None:
        self._chain.head, self._unsigned = written, written.own

    # What stands in files

    def _take_in(self, tx: Transaction, *, of_others: bool = False) -> None:
        """Write what waits in this process's file, and in those of others, with the transaction. Raises TamperedAudit,
        StoreFault."""
        if not self._chain.known:
            self._refresh(tx)
        tx.journal.append((self._go_back, (self._chain.head, self._unsigned, self._tail.waiting)))
        there = len(tx.journal)
        found = self._tail.take()
        if found:
            TAKEN_IN.put(tx, self._tail.taken)
        if of_others:
            files = others(self._tail.folder, self._tail.writer)
            for path in files:
                found += self._taken_from(tx, read_other(path, self._key, tx))
            forget_others(tx, files, self._tail)
        if found:
            self._go_on_from(self._chain.written(tx, found))
        elif len(tx.journal) == there and not self._afterwards:
            tx.journal.pop()  # nothing was there, and nothing has changed

    def _take_in_before_reading(self) -> None:
        if not self._tail.waiting and not others(self._tail.folder, self._tail.writer):
            return
        # Nothing is written to an audit whose end is missing; what is there can be read all the same.
        with contextlib.suppress(TamperedAudit), self.store.transaction() as tx:
            self._take_in(tx, of_others=True)

    def _taken_from(self, tx: Transaction, other: OtherTail | None) -> list[Pending]:
        if other is None:
            return []
        if other.records:
            TAKEN_IN.put(tx, other.taken)
        if not other.ended:
            return other.records  # where its file was edited: what it holds itself is taken in by itself
        if other.edited:
            if self._checkpointing is None:
                raise TamperedAudit(f"has records in {other.path} that were edited")
            self._checkpointing.edited(self, tx, other.path.name)
            self._afterwards.append(lambda: set_aside(other.path))
        else:
            self._afterwards.append(lambda: other.path.unlink(missing_ok=True))
        return other.records

    def _go_back(self, head: Head, unsigned: int, waiting: list[Pending]) -> None:
        """Undo what was taken in."""
        self._chain.head, self._unsigned, self._tail.waiting = head, unsigned, waiting
        self._afterwards.clear()

    def settled(self) -> None:
        """Make the checkpoint that is due."""
        if self._due and self._checkpointing is not None:
            self._due = False
            self._checkpointing.settle(self)

    def stop(self) -> None:
        """Sign where the audit stands, where this process has written: it is about to end."""
        if self._tail.waiting:
            # What cannot be taken in now stays in the file: the next process does it.
            with contextlib.suppress(KvstackError), self.store.transaction() as tx:
                self._take_in(tx, of_others=True)
        self._tail.close()
        own, self._unsigned = self._unsigned, 0
        if own and self._checkpointing is not None:
            self._checkpointing.settle(self, own=own)

    def tried(self, time: datetime) -> None:
        """Wait again until the next checkpoint is due: one was tried now."""
        self._waiting_since, self._tried = microseconds(time), self._chain.head.position

    def begin_anew(self) -> None:
        """Look again where the audit begins and ends before anything is written: records were taken out."""
        self._chain.begin_anew()

    def end(self, tx: Transaction) -> tuple[int, bytes]:
        """Return the position and the MAC of the newest record, of all processes. Raises TamperedAudit where the end is
        missing."""
        self._take_in(tx, of_others=True)
        return self._chain.head.position, self._chain.head.newest

    def _refresh(self, tx: Transaction) -> None:
        self._chain.refresh(tx)
        # Others may have taken in what waits in this process's file.
        if self._tail.waiting and (taken := TAKEN_IN.get(tx, self._tail.writer)) is not None:
            self._tail.take(taken.sequence)

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
        self._take_in_before_reading()
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

        self._take_in_before_reading()
        public_keys = self._checkpointing.signer.public_keys() if self._checkpointing is not None else {}
        identity = self._checkpointing.signer.store if self._checkpointing is not None else ""
        return verified(
            self, anchor, segments, store=identity, public_keys=public_keys, aside=edited_files(self._tail.folder)
        )

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
