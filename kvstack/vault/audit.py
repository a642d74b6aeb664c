"""Who did what, when, and how it ended: records that cannot be changed, taken out, or cut off unnoticed.

Records stand in one order, without gaps. Each carries a MAC over the one its process wrote before it (its chain), its
position, and itself. The newest one stands in the ledger's root whenever something changes, so that cutting the end
off goes unnoticed only back to the last change.
"""

import hmac
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from kvstack.vault.faults import TamperedAudit
from kvstack.vault.ledger import genuine
from kvstack.vault.store import Store
from kvstack.vault.time_step import microseconds
from kvstack.vault.transaction import Transaction

_SCHEMA = (
    "CREATE TABLE audit (position INTEGER PRIMARY KEY, writer TEXT NOT NULL, sequence INTEGER NOT NULL, "
    "time INTEGER NOT NULL, changed TEXT, body BLOB NOT NULL, mac BLOB NOT NULL) STRICT",
    # Who changed a thing is asked for many things at once; who read it is looked for by reading through.
    "CREATE INDEX audit_changes ON audit (changed, position) WHERE changed IS NOT NULL",
)
_SELECT = "SELECT position, writer, sequence, time, changed, body, mac FROM audit"
_INSERT = "INSERT INTO audit (position, writer, sequence, time, changed, body, mac) VALUES (?, ?, ?, ?, ?, ?, ?)"
_PAGE = 1000


class AuditRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation. operation: Azure's name of it (`SecretSet`); resource: its path; caller: a principal's id; result:
    `Success` or why not; details: names only, never values."""

    time: datetime
    operation: str
    resource: str
    caller: str
    caller_name: str = ""
    result: str = "Success"
    status: int = 200
    description: str = ""
    correlation_id: str = ""
    details: dict[str, str] = {}


class AuditProblem(msgspec.Struct, frozen=True):
    """The first record that is not as it was written. operation, resource: what it says it is, where it can be read."""

    position: int
    what: str
    operation: str = ""
    resource: str = ""


class AuditReport(msgspec.Struct, frozen=True):
    """What verification found. records: how many were checked; writers: how many processes wrote them."""

    records: int
    writers: int
    problem: AuditProblem | None = None


class _Pending(NamedTuple):
    """A record to be written at commit. changed: the resource in lower case where something was changed."""

    time: int
    changed: str | None
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AuditRecord).decode


class AuditLog:
    """The audit of one store. random: draws the id of this process's chain."""

    def __init__(self, store: Store, key: bytes, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._store = store
        self._key = key
        self._random = random
        self._writer = ""
        self._sequence = 0
        self._mac = b""  # of the newest record of this chain
        self._position = 0  # of the newest record of all
        self._newest = b""  # its MAC
        self._own_position = 0
        self._epoch = -1
        self._ahead: tuple[int, int, bytes] = (0, 0, b"")
        store.participants.append(self)

    def append(self, tx: Transaction, record: AuditRecord) -> None:
        """Write a record with the transaction, after what it did: whether it changed anything is noted with it. A
        nested transaction that is undone takes its records with it."""
        time = microseconds(record.time)
        tx.moment = max(tx.moment, time)
        changed = record.resource.lower() if tx.changed_here else None
        tx.pending.append(_Pending(time, changed, _encode(record)))

    # The end of a transaction

    def before_commit(self, tx: Transaction) -> None:
        """Chain and write what was appended. Raises TamperedAudit."""
        if not tx.pending and not tx.journal:
            return
        if self._epoch != self._store.epoch:
            self._refresh(tx)
        position, sequence, mac = self._position, self._sequence, self._mac
        rows = []
        for time, changed, body in tx.pending:
            position += 1
            sequence += 1
            mac = self._chained(mac, position, sequence, time, changed, body, self._writer)
            rows.append((position, self._writer, sequence, time, changed, body, mac))
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
        if tx.pending:
            self._position, self._sequence, self._mac = self._ahead
            self._newest, self._own_position = self._mac, self._position

    def _refresh(self, tx: Transaction) -> None:
        """Learn where the audit ends; refuse to go on where its end is missing."""
        if "audit" not in self._store.tables:
            for statement in _SCHEMA:
                tx.connection.execute(statement)
            self._store.tables.add("audit")
        if not self._writer:
            self._writer = self._random(8).hex()
        newest = tx.connection.execute("SELECT position, mac FROM audit ORDER BY position DESC LIMIT 1").fetchone()
        position, mac = newest or (0, b"")
        root = tx.ledger.root
        for known, expected in ((root.audit_position, root.audit_mac), (self._own_position, self._mac)):
            if known and self._mac_at(tx, known) != expected:
                raise TamperedAudit(f"has lost its record {known}")
        self._position, self._newest, self._epoch = position, mac, self._store.epoch

    @staticmethod
    def _mac_at(tx: Transaction, position: int) -> bytes | None:
        found = tx.connection.execute("SELECT mac FROM audit WHERE position = ?", (position,)).fetchone()
        return found[0] if found else None

    def _chained(
        self, before: bytes, position: int, sequence: int, time: int, changed: str | None, body: bytes, writer: str
    ) -> bytes:
        return hmac.digest(self._key, _encode((before, position, writer, sequence, time, changed, body)), "sha256")

    # Reading

    def records(
        self,
        *,
        since: datetime | None = None,
        subject: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[AuditRecord]:
        """Yield records, oldest first unless told otherwise. subject: a resource's path, with all below it; limit:
        how many at most."""
        start = microseconds(since) if since is not None else -(2**62)
        below = subject.lower().rstrip("/") if subject is not None else None
        left = limit
        for row in self._rows(start, newest_first=newest_first):
            if left is not None and left <= 0:
                return
            record = self._read(row)
            if below is not None and not _is_at_or_below(record.resource.lower(), below):
                continue
            yield record
            if left is not None:
                left -= 1

    def last_changes(self, subjects: Iterable[str]) -> dict[str, AuditRecord]:
        """Return the newest successful record that changed each of these resources, by the path as given."""
        sql = f"{_SELECT} WHERE changed = ? ORDER BY position DESC LIMIT 1"
        found = {}
        with self._store.transaction() as tx:
            if "audit" in self._store.tables:
                for subject in subjects:
                    row = tx.connection.execute(sql, (subject.lower(),)).fetchone()
                    if row is not None:
                        found[subject] = self._read(row)
        return found

    def _rows(
        self, since: int = -(2**62), *, newest_first: bool = False
    ) -> Iterator[tuple[int, str, int, int, str | None, bytes, bytes]]:
        """Yield the stored rows in constant memory, a page at a time, so that others can write in between."""
        order, beyond, last = ("DESC", "<", 2**62) if newest_first else ("ASC", ">", -(2**62))
        sql = f"{_SELECT} WHERE position {beyond} ? AND time >= ? ORDER BY position {order} LIMIT {_PAGE}"
        while True:
            with self._store.transaction() as tx:
                page = tx.connection.execute(sql, (last, since)).fetchall() if "audit" in self._store.tables else []
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    @staticmethod
    def _read(row: tuple[int, str, int, int, str | None, bytes, bytes]) -> AuditRecord:
        try:
            return _decode(row[5])
        except (msgspec.MsgspecError, TypeError):
            raise TamperedAudit(f"has a record, {row[0]}, that was edited") from None

    def verify(self) -> AuditReport:
        """Check every record: each MAC, each chain, the order, and that the end known to the ledger is there. What was
        written after the last change can be cut off unnoticed."""
        with self._store.transaction() as tx:
            end, end_mac = tx.ledger.root.audit_position, tx.ledger.root.audit_mac
        heads: dict[str, tuple[int, bytes]] = {}
        position = 0
        for row in self._rows():
            what = self._wrong(row, position + 1, heads)
            if what is None and row[0] == end and row[6] != end_mac:
                what = "is not the one the vault wrote there"
            if what is not None:
                return AuditReport(position, len(heads), _problem(row, what))
            position = row[0]
        if position < end:
            problem = AuditProblem(position + 1, f"is missing: the audit ends before the record {end} the vault wrote")
            return AuditReport(position, len(heads), problem)
        return AuditReport(position, len(heads))

    def _wrong(
        self,
        row: tuple[int, str, int, int, str | None, bytes, bytes],
        expected: int,
        heads: dict[str, tuple[int, bytes]],
    ) -> str | None:
        position, writer, sequence, time, changed, body, mac = row
        if position != expected:
            return f"follows a gap: record {expected} is missing"
        before, before_mac = heads.get(writer, (0, b""))
        if not genuine(self._chained(before_mac, position, sequence, time, changed, body, writer), mac):
            return "was edited, or does not belong here"
        if sequence != before + 1:
            return f"follows a gap in the records of its process: {before + 1} is missing"
        heads[writer] = (sequence, mac)
        return None


def _is_at_or_below(resource: str, path: str) -> bool:
    return resource == path or resource.startswith(path + "/")


def _problem(row: tuple[int, str, int, int, str | None, bytes, bytes], what: str) -> AuditProblem:
    try:
        record = _decode(row[5])
    except (msgspec.MsgspecError, TypeError):
        return AuditProblem(row[0], what)
    return AuditProblem(row[0], what, record.operation, record.resource)
