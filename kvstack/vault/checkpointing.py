"""When a checkpoint is made, and what happens where it cannot be: work goes on, and that is audited."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_checkpoints import (
    CheckpointSigner,
    SignedCheckpoint,
    digest,
    keep,
    stored_checkpoint,
    unsigned,
)
from kvstack.vault.audit_record import AuditRecord
from kvstack.vault.caller import SYSTEM
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.time_step import microseconds
from kvstack.vault.transaction import Transaction

if TYPE_CHECKING:
    from kvstack.vault.audit import AuditLog

_TRIES = 20  # as many processes may be faster, one after the other


class Checkpointing:
    """Makes the checkpoints of one audit. top: the resource its own records are about.

    The signature is made between two transactions: the store is free for others meanwhile, who may be faster.
    """

    def __init__(self, signer: CheckpointSigner, now: Callable[[], datetime], top: str) -> None:
        self.signer = signer
        self._now = now
        self._top = top
        self._busy = threading.Lock()

    def settle(self, log: "AuditLog", *, own: int | None = None) -> None:
        """Make a checkpoint that is due. own: that holds this record, all there is where None. Raises nothing: the next
        try makes it."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            try:
                with log.store.transaction() as tx:
                    log.tried(self._now())
                    position = own if own is not None else log.end(tx)[0]
                self._up_to(log, position)
            except KvstackError as error:
                self._note_failure(log, error)
        finally:
            self._busy.release()

    def newest(self, log: "AuditLog") -> SignedCheckpoint:
        """Return a checkpoint that holds all there is now, made where there is none. Raises KvstackError."""
        with self._busy:
            with log.store.transaction() as tx:
                position, _ = log.end(tx)
            return self._up_to(log, position)

    def _up_to(self, log: "AuditLog", position: int) -> SignedCheckpoint:
        """Return a checkpoint that holds a record, made where there is none. Raises KvstackError."""
        for _ in range(_TRIES):
            with log.store.transaction() as tx:
                root = tx.ledger.root
                made = stored_checkpoint(tx, root.checkpoint) if root.checkpoint_position >= position else None
                if made is None and root.checkpoint_position >= position > 0:
                    raise TamperedAudit(f"has lost its checkpoint {root.checkpoint}")
            made = made or self._made(log)
            if made is not None:
                return made
        raise KvstackError("other processes sign checkpoints all the time", "Try again.")

    def _made(self, log: "AuditLog") -> SignedCheckpoint | None:
        """Sign where the audit stands. Returns None where another process was faster. Raises HsmError, StoreFault."""
        signer = self.signer.prepare()
        now = self._now()
        with log.store.transaction() as tx:
            position, mac = log.end(tx)
            if tx.ledger.root.checkpoint_position >= position > 0:
                return None
            made = unsigned(tx, position, mac, store=self.signer.store, signer=signer, now=now)
        signed = SignedCheckpoint(made, self.signer.sign(digest(made)))
        with log.store.transaction() as tx:
            return signed if keep(tx, signed) else None

    def made_signer(self, log: "AuditLog", tx: Transaction, key_id: str) -> None:
        """Audit that the store has a new signing key."""
        log.append(tx, self._record("AuditSignerMake", details={"key": key_id}))

    def edited(self, log: "AuditLog", tx: Transaction, file: str) -> None:
        """Audit that what a process recorded was edited before it was taken in."""
        words = f"{file} was edited: not all that its process recorded is in the audit"
        log.append(tx, self._record("AuditTakeIn", result="TamperedAudit", status=500, description=words))

    def _note_failure(self, log: "AuditLog", error: KvstackError) -> None:
        """Audit that none can be signed, once until one is: it is told by `audit verify`, too."""
        words = error.diagnostics[0].summary
        try:
            with log.store.transaction() as tx:
                if not tx.ledger.root.unsigned_since:
                    tx.ledger.note(tx, unsigned_since=microseconds(self._now()))
                    failed = type(error).__name__
                    log.append(tx, self._record("AuditCheckpoint", result=failed, status=500, description=words))
        except KvstackError:
            # The store itself cannot be written: whoever uses it is told so at his next operation.
            return

    def _record(
        self,
        operation: str,
        *,
        result: str = "Success",
        status: int = 200,
        description: str = "",
        details: dict[str, str] | None = None,
    ) -> AuditRecord:
        return AuditRecord(
            time=self._now(),
            operation=operation,
            resource=self._top,
            caller=SYSTEM.id,
            caller_name=SYSTEM.name,
            result=result,
            status=status,
            description=description,
            details=details or {},
        )
