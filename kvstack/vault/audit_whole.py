"""A whole audit verified: archived segments first, then what is in the store, against the ledger and an anchor."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_begin import AuditBegin, audit_begin
from kvstack.vault.audit_checkpoints import stored_checkpoints
from kvstack.vault.audit_verification import AuditProblem, AuditReport, Head, HeadBefore, Known, Verifier
from kvstack.vault.time_step import moment

if TYPE_CHECKING:
    from pathlib import Path

    from kvstack.hsm.protocol import PublicKey
    from kvstack.vault.audit import AuditLog
    from kvstack.vault.audit_anchor import Anchor
    from kvstack.vault.audit_segments import Segment


def verified(
    log: "AuditLog",
    anchor: "Anchor | None",
    segments: "Sequence[Segment]",
    *,
    store: str,
    public_keys: "Mapping[str, PublicKey]",
    aside: "Sequence[Path]" = (),
) -> AuditReport:
    """Verify all there is. store: its id; public_keys: that signed its checkpoints; aside: files with records that were
    edited before they were taken in. Raises KvstackError for an anchor or a segment that cannot be compared with it."""
    if anchor is not None:
        anchor.require_of(store)
    in_order = sorted(segments, key=lambda one: one.begin.position)
    while True:
        with log.store.transaction() as tx:
            root, begin = tx.ledger.root, audit_begin(tx)
            end, newest, signed_up_to = root.audit_position, root.checkpoint, root.checkpoint_position
            unsigned_since = moment(root.unsigned_since) if root.unsigned_since else None
            known = Known(
                store,
                public_keys,
                records={end: root.audit_mac} if end else {},
                checkpoints={newest: root.checkpoint_hash} if newest else {},
                anchor=anchor.signed if anchor is not None else None,
            )
        verifier = Verifier(log.mac, in_order[0].begin if in_order else begin, known, _head_before(log, in_order))
        problem = _whole(log, verifier, begin, in_order, newest)
        if problem is not None and log.begin().position != begin.position:
            continue  # records were archived meanwhile: what was to be read next is no longer there
        if problem is None and verifier.position < end:
            what = f"is missing: the audit ends before the record {end} the vault wrote"
            problem = AuditProblem(verifier.position + 1, what)
        if problem is None and verifier.number < newest:
            what = f"has lost the checkpoint {newest} that the vault wrote there, or before it"
            problem = AuditProblem(signed_up_to, what)
        if problem is None and anchor is not None:
            problem = _behind(anchor, in_order[0].begin if in_order else begin, newest, verifier.position)
        if problem is None and aside:
            what = f"is not followed by all that a process recorded: it was edited, and is kept in {aside[0]}"
            problem = AuditProblem(verifier.position, what)
        return verifier.report(problem, unsigned_since)


def _whole(
    log: "AuditLog", verifier: Verifier, begin: AuditBegin, segments: "Sequence[Segment]", newest: int
) -> AuditProblem | None:
    """Check the segments, and what is in the store, up to a checkpoint."""
    for segment in segments:
        if segment.end_position > begin.position:
            raise KvstackError(
                f"{segment.file} holds records that are in the store as well",
                "`kvstack audit archive` with this file was interrupted: run it again.",
            )
        if not verifier.stands_at(segment.begin):
            return _missing(verifier.position + 1, segment.begin.position)
        problem = verifier.check(segment.rows(), segment.checkpoints())
        if problem is not None:
            return problem
    if not verifier.stands_at(begin):
        return _missing(verifier.position + 1, begin.position)
    return verifier.check(log.rows(after=begin.position), stored_checkpoints(log.store, begin.checkpoint, newest))


def _missing(first: int, last: int) -> AuditProblem:
    if first > last:
        return AuditProblem(first, "is not where the next records go on: a segment was exchanged")
    return AuditProblem(first, f"is missing, up to record {last}: no segment that was given holds it")


def _behind(anchor: "Anchor", begin: AuditBegin, newest: int, position: int) -> AuditProblem | None:
    """Return what an anchor tells that is not in the audit. newest: its newest checkpoint."""
    kept = anchor.signed.checkpoint
    if kept.number > newest:
        what = f"is missing: the anchor, of {kept.moment:%Y-%m-%d %H:%M} UTC, stands at record {kept.position}"
        return AuditProblem(position + 1, f"{what}; all files were put back to an earlier time")
    if kept.number == begin.checkpoint and anchor.signed.hash != begin.checkpoint_hash:
        return AuditProblem(begin.position, "is not the one the anchor has: all files were put back to an earlier time")
    if kept.number < begin.checkpoint:
        raise KvstackError(
            f"the anchor stands at record {kept.position}, which was archived",
            "Give the segments from that record on: `--segment FILE`.",
        )
    return None


def _head_before(log: "AuditLog", segments: "Sequence[Segment]") -> HeadBefore:
    def found(writer: str, position: int) -> Head | None:
        head = log.head_before(writer, position)
        for segment in reversed(segments):
            head = head or segment.head_before(writer, position)
        return head

    return found
