"""Whether an audit is as it was written: every MAC, chain, position and checkpoint, in one pass and constant memory."""

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from kvstack.vault.audit_begin import AuditBegin
from kvstack.vault.audit_checkpoints import SignedCheckpoint, signed_by
from kvstack.vault.audit_record import StoredRecord, encode, read_record
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.mac import Mac

if TYPE_CHECKING:
    from kvstack.hsm.protocol import PublicKey

_WRITERS = 20_000  # whose heads are held in memory, twice; of others they are looked for again

Head = tuple[int, bytes]
# Returns the head of a writer's chain before a position, None where it wrote nothing before.
HeadBefore = Callable[[str, int], Head | None]


class AuditProblem(msgspec.Struct, frozen=True):
    """The first record that is not as it was written. operation, resource: what it says it is, where it can be read."""

    position: int
    what: str
    operation: str = ""
    resource: str = ""


class AuditReport(msgspec.Struct, frozen=True):
    """What verification found. records: how many were checked; writers: how many processes wrote them; first: the
    position of the first one; checkpoints: how many join them; signed_up_to, signed_at: the newest checkpoint's record
    and time; unsigned_since: since when none could be signed; other_signer: the record since which another key signs
    than signed the anchor, 0 for none; problem: None where all is whole."""

    records: int
    writers: int
    problem: AuditProblem | None = None
    first: int = 1
    checkpoints: int = 0
    signed_up_to: int = 0
    signed_at: datetime | None = None
    unsigned_since: datetime | None = None
    other_signer: int = 0


class Known(msgspec.Struct, frozen=True):
    """What is known of an audit beside itself. records: MACs by position; checkpoints: hashes by number; store: its id;
    public_keys: that sign its checkpoints, by id; anchor: a checkpoint that was kept elsewhere."""

    store: str = ""
    public_keys: "Mapping[str, PublicKey]" = {}
    records: Mapping[int, bytes] = {}
    checkpoints: Mapping[int, bytes] = {}
    anchor: SignedCheckpoint | None = None


class Verifier:
    """One pass over an audit, from where it begins. earlier: finds a head that is not held in memory any more."""

    def __init__(self, mac_of: Mac, begin: AuditBegin, known: Known, earlier: HeadBefore) -> None:
        self._mac_of = mac_of
        self._known = known
        self._earlier = earlier
        self._heads: dict[str, Head] = dict(begin.heads)
        self._older: dict[str, Head] = {}
        self._forgotten = False
        self._grown: dict[str, Head] = {}  # since the last checkpoint
        self.number, self._hash = begin.checkpoint, begin.checkpoint_hash
        self.first = begin.position + 1
        self.position = begin.position
        self.mac = begin.mac
        self.writers = len(begin.heads)
        self.checkpoints = 0
        self.newest: SignedCheckpoint | None = None
        self.other_signer = 0

    def check(self, rows: Iterable[StoredRecord], checkpoints: Iterator[SignedCheckpoint]) -> AuditProblem | None:
        """Go on over records and the checkpoints among them. Returns the first thing that is wrong."""
        try:
            return self._check(rows, checkpoints)
        except TamperedAudit as error:
            return AuditProblem(self.position + 1, f"cannot be trusted: {error.diagnostics[0].summary}")

    def report(self, problem: AuditProblem | None, unsigned_since: datetime | None = None) -> AuditReport:
        """Return what was found so far."""
        made = self.newest.checkpoint if self.newest is not None else None
        return AuditReport(
            self.position - self.first + 1,
            self.writers,
            problem,
            self.first,
            self.checkpoints,
            made.position if made is not None else 0,
            made.moment if made is not None else None,
            unsigned_since,
            self.other_signer,
        )

    def stands_at(self, begin: AuditBegin) -> bool:
        """Tell whether a run of records goes on where the pass has come to."""
        return (self.position, self.number) == (begin.position, begin.checkpoint) and (
            hmac.compare_digest(self.mac, begin.mac) and hmac.compare_digest(self._hash, begin.checkpoint_hash)
        )

    def _check(self, rows: Iterable[StoredRecord], checkpoints: Iterator[SignedCheckpoint]) -> AuditProblem | None:
        # One loop without calls of our own: this is what verifying a million records costs.
        made_of, known, heads, grown = self._mac_of, self._known.records, self._heads, self._grown
        compare = hmac.compare_digest
        expected = self.position
        following = next(checkpoints, None)
        stop = following.checkpoint.position if following is not None else -1
        if following is not None and stop <= expected:
            return AuditProblem(expected + 1, f"follows the checkpoint {following.checkpoint.number}, out of its place")
        for row in rows:
            position, writer, sequence, time, changed, body, mac = row
            expected += 1
            if position != expected:
                return _problem(row, f"follows a gap: record {expected} is missing")
            head = heads.get(writer)
            if head is None:
                head = self._head(writer, sequence, position)
                heads = self._room(heads)
            before, before_mac = head
            made = made_of(encode((before_mac, position, writer, sequence, time, changed, body)))
            if mac.__class__ is not bytes or not compare(made, mac):
                return _problem(row, "was edited, or does not belong here")
            if sequence != before + 1:
                return _problem(row, f"follows a gap in the records of its process: {before + 1} is missing")
            if sequence == 1:
                self.writers += 1
            heads[writer] = grown[writer] = (sequence, mac)
            if position in known and not compare(known[position], mac):
                return _problem(row, "is not the one the vault wrote there")
            self.position, self.mac = position, mac
            if position == stop and following is not None:
                what = self._wrong(following, mac)
                if what is not None:
                    return _problem(row, what)
                grown.clear()
                following = next(checkpoints, None)
                stop = following.checkpoint.position if following is not None else -1
                if following is not None and stop <= position:
                    return _problem(row, f"has the checkpoint {following.checkpoint.number}, which is out of its place")
        if following is not None:
            what = f"is missing: the audit ends before record {stop}, at which checkpoint {following.checkpoint.number}"
            return AuditProblem(self.position + 1, f"{what} stands")
        return None

    def _head(self, writer: str, sequence: int, position: int) -> Head:
        """Return where a chain stands that is not held among the newest."""
        found = self._older.get(writer)
        if found is None and sequence > 1 and self._forgotten:
            found = self._earlier(writer, position)
        return found or (0, b"")

    def _room(self, heads: dict[str, Head]) -> dict[str, Head]:
        """Return a place for one more head: the newest are held, and those before them."""
        if len(heads) < _WRITERS:
            return heads
        self._forgotten = self._forgotten or bool(self._older)
        self._older, self._heads = heads, {}
        return self._heads

    def _wrong(self, signed: SignedCheckpoint, mac: bytes) -> str | None:
        """Return what is wrong with the checkpoint at a record, None where nothing is."""
        made, found, anchor = signed.checkpoint, signed.hash, self._known.anchor
        name = f"checkpoint {made.number}"
        public = self._known.public_keys.get(made.signer)
        if made.store != self._known.store:
            return f"has the {name}, which is another store's"
        if anchor is not None and made.number == anchor.checkpoint.number and anchor.hash != found:
            return f"has the {name}, and the anchor has another: all files were put back to an earlier time"
        if not hmac.compare_digest(self._known.checkpoints.get(made.number, found), found):
            return f"has the {name}, which is not the one the vault wrote"
        if made.number != self.number + 1:
            return f"has the {name}, and checkpoint {self.number + 1} is missing"
        if public is None or not signed_by(signed, public):
            return f"has the {name}, whose signature is not genuine"
        if not hmac.compare_digest(made.previous, self._hash):
            return f"has the {name}, which does not follow the one before it"
        if not hmac.compare_digest(made.mac, mac) or made.heads != self._grown:
            return f"is another than the one the {name} was signed for"
        if anchor is not None and made.number > anchor.checkpoint.number and made.signer != anchor.checkpoint.signer:
            self.other_signer = self.other_signer or made.position
        self.number, self._hash, self.newest = made.number, found, signed
        self.checkpoints += 1
        return None


def _problem(row: StoredRecord, what: str) -> AuditProblem:
    try:
        record = read_record(row)
    except TamperedAudit:
        return AuditProblem(row[0], what)
    return AuditProblem(row[0], what, record.operation, record.resource)
