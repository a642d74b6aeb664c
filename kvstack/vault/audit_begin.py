"""Where the audit in the store begins: after the last record that was archived, at the checkpoint that ended it."""

import msgspec

from kvstack.vault.faults import TamperedAudit
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction


class AuditBegin(Row, frozen=True, kw_only=True):
    """Where a run of records begins. position, mac: of the record before its first; heads: of the chains that go on
    from before: sequence and MAC; checkpoint, checkpoint_hash: the one at that record."""

    id: str = "audit"
    position: int = 0
    mac: bytes = b""
    heads: dict[str, tuple[int, bytes]] = msgspec.field(default_factory=dict)
    checkpoint: int = 0
    checkpoint_hash: bytes = b""


AUDIT_BEGINS = Table("audit_begins", AuditBegin, ("id",))
FROM_THE_START = AuditBegin()


def audit_begin(tx: Transaction) -> AuditBegin:
    """Return where the audit in the store begins. Raises TamperedRow, TamperedAudit."""
    known = tx.ledger.root.audit_begin
    if not known:
        return FROM_THE_START
    row = AUDIT_BEGINS.get(tx, "audit")
    if row is None or row.position != known:
        raise TamperedAudit(f"does not begin after record {known}, as the vault wrote it")
    return row
