"""A segment: the oldest records of an audit in a file of their own, as they were written, up to a signed checkpoint.

The file is a line that says what it is, then frames: a letter, a length of four bytes, a body. `H` says where the
segment begins, `R` holds records, `C` a checkpoint behind the last record it was signed for, `E` the SHA-256 of all
before it. Nothing in it is secret, and nothing of it is believed: it is verified like what is in the store.
"""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import msgspec

from kvstack.hsm.private_file import sync_folder
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault import faults
from kvstack.vault.audit_begin import AuditBegin
from kvstack.vault.audit_checkpoints import SignedCheckpoint, read_checkpoint
from kvstack.vault.audit_record import StoredRecord, chained
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.ledger import genuine
from kvstack.vault.mac import Mac

_MAGIC = b"kvstack audit segment 1\n"
_IN_A_FRAME = 1000
_LARGEST = 1 << 30

_encode = msgspec.msgpack.Encoder().encode
_decode_begin = msgspec.msgpack.Decoder(AuditBegin).decode
_decode_records = msgspec.msgpack.Decoder(list[StoredRecord]).decode
_decode_checkpoint = msgspec.msgpack.Decoder(tuple[int, bytes, bytes]).decode


class Segment(msgspec.Struct, frozen=True):
    """A segment's file, that is whole. begin: where it begins; end: the checkpoint it ends with."""

    file: str
    begin: AuditBegin
    end: SignedCheckpoint

    @classmethod
    def opened(cls, file: str) -> "Segment":
        """Read a file through. Raises KvstackError for one that is no segment, or was changed or cut off."""
        begin, end, seen, digest = None, None, b"", sha256(_MAGIC)
        try:
            for kind, body in _frames(file):
                if seen:
                    raise _broken(file)
                match kind:
                    case b"H" if begin is None:
                        begin = _decode_begin(body)
                    case b"C":
                        end = read_checkpoint(*_decode_checkpoint(body))
                    case b"E":
                        seen = body
                        if seen != digest.digest():
                            raise _broken(file)
                    case b"R":
                        pass
                    case _:
                        raise _broken(file)
                digest.update(_head(kind, body) + body)
        except (msgspec.MsgspecError, TamperedAudit):
            raise _broken(file) from None
        if begin is None or end is None or not seen:
            raise _broken(file)
        return cls(file, begin, end)

    @property
    def end_position(self) -> int:
        """The position of its last record."""
        return self.end.checkpoint.position

    def rows(self, *, mac: Mac | None = None) -> Iterator[StoredRecord]:
        """Yield its records. mac: check that of each on the way. Raises TamperedAudit."""
        heads = dict(self.begin.heads)
        for kind, body in _frames(self.file):
            if kind == b"R":
                for row in _records(self.file, body):
                    if mac is not None:
                        _require_genuine(mac, heads, row)
                    yield row

    def checkpoints(self) -> Iterator[SignedCheckpoint]:
        """Yield its checkpoints."""
        for kind, body in _frames(self.file):
            if kind == b"C":
                yield read_checkpoint(*_decode_checkpoint(body))

    def head_before(self, writer: str, position: int) -> tuple[int, bytes] | None:
        """Return the sequence and the MAC of the newest record a process wrote before a position."""
        found = self.begin.heads.get(writer)
        for row in self.rows():
            if row[1] == writer and row[0] < position:
                found = (row[2], row[6])
        return found


def write_segment(
    file: str, begin: AuditBegin, rows: Iterable[StoredRecord], checkpoints: Iterator[SignedCheckpoint]
) -> None:
    """Write a segment, 0600, on the disk when this returns, whole or not there. The last checkpoint ends it. Raises
    FileExistsError."""
    target = Path(file)
    part = target.with_name(f".{target.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as out:
            _write(out, begin, rows, checkpoints)
            out.flush()
            os.fsync(out.fileno())
        os.link(part, target)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise
        raise faults.of_file(error, target) from error
    finally:
        part.unlink(missing_ok=True)
    sync_folder(target.parent)


def _write(
    out: IO[bytes], begin: AuditBegin, rows: Iterable[StoredRecord], checkpoints: Iterator[SignedCheckpoint]
) -> None:
    out.write(_MAGIC)
    digest = sha256(_MAGIC)

    def frame(kind: bytes, value: Any) -> None:
        body = _encode(value)
        out.write(_head(kind, body) + body)
        digest.update(_head(kind, body) + body)

    frame(b"H", begin)
    waiting: list[StoredRecord] = []
    following = next(checkpoints, None)
    for row in rows:
        waiting.append(row)
        at_checkpoint = following is not None and row[0] == following.checkpoint.position
        if at_checkpoint or len(waiting) == _IN_A_FRAME:
            frame(b"R", waiting)
            waiting = []
        if at_checkpoint and following is not None:
            frame(b"C", (following.checkpoint.number, following.body, following.signature))
            following = next(checkpoints, None)
    out.write(_head(b"E", digest.digest()) + digest.digest())


def _frames(file: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the frames of a file. Raises KvstackError where it is no segment, or ends within one."""
    try:
        with open(file, "rb") as source:
            if source.read(len(_MAGIC)) != _MAGIC:
                raise KvstackError(f"{file} is no segment of an audit", "`kvstack audit archive` writes one.")
            while head := source.read(5):
                length = int.from_bytes(head[1:])
                body = source.read(length) if len(head) == 5 and length <= _LARGEST else b""
                if len(head) != 5 or len(body) != length:
                    raise _broken(file)
                yield head[:1], body
    except OSError as error:
        raise KvstackError(f"{file} cannot be read: {error.strerror}") from error


def _records(file: str, body: bytes) -> list[StoredRecord]:
    try:
        return _decode_records(body)
    except msgspec.MsgspecError:
        raise _broken(file) from None


def _require_genuine(mac_of: Mac, heads: dict[str, tuple[int, bytes]], row: StoredRecord) -> None:
    position, writer, sequence, time, changed, body, mac = row
    _, before = heads.get(writer, (0, b""))
    if not genuine(mac_of(chained(before, position, writer, sequence, time, changed, body)), mac):
        raise TamperedAudit(f"has a record, {position}, that was edited in a segment")
    heads[writer] = (sequence, mac)


def _head(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4)


def _broken(file: str) -> KvstackError:
    return KvstackError(f"the segment {file} was changed, or is not whole", "Use another copy of it.")
