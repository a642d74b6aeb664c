"""The oldest records moved out of the store: first into a file, on the disk; then out of the store, in one step."""

from datetime import datetime
from pathlib import Path

import msgspec

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit import AuditLog
from kvstack.vault.audit_begin import AUDIT_BEGINS, AuditBegin, audit_begin
from kvstack.vault.audit_checkpoints import (
    SignedCheckpoint,
    last_checkpoint_before,
    stored_checkpoint,
    stored_checkpoints,
)
from kvstack.vault.audit_destinations import Destination
from kvstack.vault.audit_forwarding import require_forwarded
from kvstack.vault.audit_segments import Segment, write_segment
from kvstack.vault.audit_verification import Known, Verifier
from kvstack.vault.transaction import Transaction

_STRADDLING = (
    "SELECT writer, sequence, mac FROM audit JOIN (SELECT writer AS grown, max(position) AS newest FROM audit "
    "WHERE position <= ? GROUP BY writer) ON position = newest "
    "WHERE writer IN (SELECT writer FROM audit WHERE position > ?)"
)


class Archived(msgspec.Struct, frozen=True):
    """What was archived. first, last: positions of the records; moment: of the checkpoint that ends them."""

    first: int
    last: int
    moment: datetime

    @property
    def records(self) -> int:
        """How many there are."""
        return self.last - self.first + 1


def written_segment(log: AuditLog, until: datetime, file: str, waiting: tuple[Destination, ...] = ()) -> Segment:
    """Write the records up to the newest checkpoint before a moment, or take the file an interrupted call has written.
    waiting: has to have taken them all. Raises KvstackError where there is nothing to archive, or the file is
    another."""
    with log.store.transaction() as tx:
        begin, end = audit_begin(tx), last_checkpoint_before(tx, until)
    if Path(file).exists():
        return _written_before(log, begin, Segment.opened(file))
    if end is None or end.checkpoint.number <= begin.checkpoint:
        raise KvstackError(
            f"there is no checkpoint before {until:%Y-%m-%d %H:%M:%S} UTC to archive up to",
            "Whole checkpoints are archived; `kvstack audit verify` says when the newest was made.",
        )
    last = end.checkpoint
    with log.store.transaction() as tx:
        require_forwarded(tx, waiting, last.position)
    try:
        write_segment(
            file,
            begin,
            log.rows(after=begin.position, up_to=last.position),
            stored_checkpoints(log.store, begin.checkpoint, last.number),
        )
    except FileExistsError:
        raise KvstackError(f"there is a file {file} already", "It is not overwritten; name another one.") from None
    return Segment.opened(file)


def _written_before(log: AuditLog, begin: AuditBegin, segment: Segment) -> Segment:
    end = segment.end.checkpoint
    with log.store.transaction() as tx:
        there = stored_checkpoint(tx, end.number)
    if segment.begin != begin or there is None or there.hash != segment.end.hash:
        raise KvstackError(
            f"there is a file {segment.file} already",
            "It holds other records; it is not overwritten, name another one.",
        )
    return segment


def require_whole(log: AuditLog, segment: Segment, known: Known) -> None:
    """Refuse to take records out of the store that the file does not hold as they were written. Raises KvstackError."""
    verifier = Verifier(log.mac, segment.begin, known, segment.head_before)
    problem = verifier.check(segment.rows(), segment.checkpoints())
    if problem is not None:
        raise KvstackError(
            f"record {problem.position} {problem.what}: nothing was archived",
            f"`kvstack audit verify` shows more. {segment.file} was written, and the store still holds all records.",
        )


def forget_archived(tx: Transaction, segment: Segment) -> Archived:
    """Take the records of a segment out of the store, and note where its audit begins now."""
    begin, end = audit_begin(tx), segment.end
    last = end.checkpoint.position
    if begin != segment.begin or _stored_hash(tx, end) != end.hash:
        raise KvstackError("the audit was archived by another process meanwhile", "Run it again, with another file.")
    straddling = tx.connection.execute(_STRADDLING, (last, last))
    row = AuditBegin(
        position=last,
        mac=end.checkpoint.mac,
        heads={writer: (sequence, mac) for writer, sequence, mac in straddling},
        checkpoint=end.checkpoint.number,
        checkpoint_hash=end.hash,
    )
    AUDIT_BEGINS.put(tx, row)
    tx.ledger.note(tx, audit_begin=last)
    tx.connection.execute("DELETE FROM audit WHERE position <= ?", (last,))
    tx.connection.execute("DELETE FROM audit_checkpoints WHERE number < ?", (end.checkpoint.number,))
    return Archived(begin.position + 1, last, end.checkpoint.moment)


def _stored_hash(tx: Transaction, end: SignedCheckpoint) -> bytes:
    there = stored_checkpoint(tx, end.checkpoint.number)
    return there.hash if there is not None else b""
