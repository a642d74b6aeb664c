"""The audit as something the operator works with: anchors, archives, its newest part; what reads it is `AuditLog`."""

from datetime import datetime
from itertools import islice
from typing import Final

import msgspec

from kvstack.vault.alerts import AlertOperations
from kvstack.vault.audit_anchor import anchor_text
from kvstack.vault.audit_archiving import Archived, forget_archived, require_whole, written_segment
from kvstack.vault.audit_destinations import destinations
from kvstack.vault.audit_forwarding import require_forwarded
from kvstack.vault.audit_search import Numbered, Wanted, found
from kvstack.vault.audit_verification import Known
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import Forbidden

_LOOKED_AT: Final = 20_000  # records, for one page: whoever did little waits no longer than others


class Recent(msgspec.Struct, frozen=True):
    """Some of the audit, the newest first. whole: whether everybody's records are in it; before: the position the next
    page begins before, None where nothing is left."""

    records: tuple[Numbered, ...]
    whole: bool
    before: int | None


class AuditOperations(AlertOperations):
    """What is done with the audit. It is the operator's: no right of Azure's gives it to anybody else, who sees no more
    of it than what he did himself."""

    def recent_audit(self, caller: Caller, *, before: int | None = None, size: int = 50) -> Recent:
        """Return the newest records: to the operator all, to anybody else his own. before: the position a page begins
        before, None for the first. Raises TamperedAudit."""
        with self._attempt(caller, "AuditRead", self.top) as attempt, attempt.reading():
            whole = attempt.caller.id == self._settings.operator_id
        audit = self._audit
        rows = audit.rows(newest_first=True) if before is None else audit.rows(newest_first=True, up_to=before - 1)
        wanted, position, count = Wanted(principal="" if whole else caller.id), 0, 0
        records: list[Numbered] = []
        for row in islice(rows, _LOOKED_AT):
            position, count = row[0], count + 1
            records += found((row,), wanted)
            if len(records) == size:
                break
        more = (len(records) == size or count == _LOOKED_AT) and position > 1
        return Recent(tuple(records), whole, position if more else None)

    def audit_anchor(self, caller: Caller) -> bytes:
        """Return an anchor of all there is now, JSON, to be kept where the vault's files are not. Raises HsmError where
        nothing can be signed."""
        with self._attempt(caller, "AuditAnchor", self.top) as attempt:
            with attempt.transaction():
                self._require_operator(attempt)
            signed = self._checkpointing.newest(self._audit)
            return anchor_text(signed, self._checkpointing.signer.public_keys()[signed.checkpoint.signer])

    def archive_audit(self, caller: Caller, until: datetime, file: str) -> Archived:
        """Move the oldest records, up to the newest checkpoint before a moment, into a file. They are verified and on
        the disk before the store forgets them, and alerts have looked at them. Interrupted at any instant, it is called
        again with the same file."""
        with self._attempt(caller, "AuditArchive", self.top) as attempt:
            with attempt.look():
                self._require_operator(attempt)
            self.watch_audit(SYSTEM)
            segment = written_segment(self._audit, until, file, destinations(self._paths))
            signer = self._checkpointing.signer
            require_whole(self._audit, segment, Known(signer.store, signer.public_keys()))
            with attempt.transaction():
                self._require_operator(attempt)
                require_forwarded(attempt.tx, destinations(self._paths), segment.end_position)
                done = forget_archived(attempt.tx, segment)
                self._audit.begin_anew()
                attempt.details.update(first=str(done.first), last=str(done.last))
            return done

    def _require_operator(self, attempt: Attempt) -> None:
        if attempt.caller.id != self._settings.operator_id:
            raise Forbidden(
                "the audit is for the operator of its store only", "Run it without `--as`.", inner="ForbiddenByStore"
            )
