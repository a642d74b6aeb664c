"""What a process recorded of operations that changed nothing: in a file of its own, until the audit takes it in.

Such a record has to have reached the operating system before the answer, and not the disk. A copy into a file is enough
for that, and costs a twentieth of what a commit does. Whoever reads the audit, and whoever writes much of it, takes in
what stands in these files first: of processes that were killed, and of those that run, too. How far a file was taken in
stands in the store, in the same transaction, so that nothing is taken in twice.

All of it happens with the store's writer lock held.
"""

import contextlib
import fcntl
import hmac
import os
from collections.abc import Callable, Sequence
from hashlib import blake2b
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kvstack.vault import faults
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Pending

if TYPE_CHECKING:
    from kvstack.vault.transaction import Transaction

_Entry = tuple[int, int, bytes]  # sequence, time, body

_SUFFIX = ".audit"
_EDITED = ".edited"
_ROOM = 1 << 20
_LENGTH = 4
_NO_MORE = bytes(_LENGTH)
_MAC = 32
_SECTOR = 512
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode


class TakenIn(Row, frozen=True, kw_only=True):
    """How far the file of a process was taken into the audit. sequence: of its newest record that was."""

    writer: str
    sequence: int


# A file without a row here is none that a process of this store writes: one that was put back.
TAKEN_IN = Table("audit_taken_in", TakenIn, ("writer",))


class AuditTail:
    """The file of this process. key: what is in it is authenticated under; random: draws its name.

    It is written through memory: what was copied there is the operating system's, whatever becomes of the process. Its
    room is taken when it is made, so that a full disk does not matter later.
    """

    def __init__(self, folder: Path, key: bytes, random: Callable[[int], bytes]) -> None:
        self.folder = folder
        self._key = key
        self._random = random
        self._path = folder
        self._file = -1
        self._room: mmap | None = None
        self._size = 0
        self._sequence = 0  # of the newest record
        self.writer = ""
        # What is still to be taken in: the file is for others, and for after a crash.
        self.waiting: list[Pending] = []

    @property
    def begun(self) -> bool:
        """Whether there is a file."""
        return self._room is not None

    def begin(self, tx: "Transaction") -> None:
        """Make the file, and let the store know of it with the transaction. Raises StoreFault."""
        writer = self._random(8).hex()
        self._path = self.folder / f"{writer}{_SUFFIX}"
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)  # for as long as this process lives
            with open(self._file, "wb", closefd=False) as opened:
                opened.write(bytes(_ROOM))
            self._room = mmap(self._file, _ROOM)
        except OSError as error:
            self.close()
            raise faults.of_file(error, self._path) from error
        self._size, self._sequence, self.writer = 0, 0, writer
        tx.journal.append((self.close, ()))
        TAKEN_IN.put(tx, self.taken)

    def append(self, records: Sequence[Pending]) -> bool:
        """Hand records to the operating system. Returns whether there was room."""
        room = self._room
        if room is None:
            return False
        at = self._size if self.waiting else 0
        sequence, entries = self._sequence, []
        for time, _, body in records:
            sequence += 1
            content = _encode((sequence, time, body))
            entry = content + _mac(self._key, self.writer, content)
            entries.append(len(entry).to_bytes(_LENGTH) + entry)
        written = b"".join(entries)
        end = at + len(written)
        if end + _LENGTH > _ROOM:
            return False
        # The length of the first comes last: a process that is killed has written all of them, or none.
        room[at + _LENGTH : end + _LENGTH] = written[_LENGTH:] + _NO_MORE
        room[at : at + _LENGTH] = written[:_LENGTH]
        self._size, self._sequence = end, sequence
        self.waiting += records
        return True

    @property
    def taken(self) -> TakenIn:
        """What the store has to know once all of it is taken in."""
        return TakenIn(writer=self.writer, sequence=self._sequence)

    def take(self, up_to: int | None = None) -> list[Pending]:
        """Return what waits, and let it wait no longer. up_to: a sequence; everything where None."""
        count = len(self.waiting) - (self._sequence - up_to if up_to is not None else 0)
        found, self.waiting = self.waiting[: max(count, 0)], self.waiting[max(count, 0) :]
        return found

    def close(self) -> None:
        """Take the file away where nothing waits in it; else the next process takes it in."""
        if self._room is not None:
            self._room.close()
            self._room = None
        if self._file >= 0:
            if not self.waiting:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1


class OtherTail(msgspec.Struct, frozen=True):
    """The file of another process. taken: how far it is taken in with these records; ended: whether that process is no
    more; edited: whether what follows the records is not what it wrote."""

    path: Path
    taken: TakenIn
    records: list[Pending]
    ended: bool
    edited: bool


def others(folder: Path, own: str) -> list[Path]:
    """Return the files of other processes."""
    with os.scandir(folder) as entries:
        return [Path(one.path) for one in entries if one.name.endswith(_SUFFIX) and one.name != f"{own}{_SUFFIX}"]


def forget_others(tx: "Transaction", files: Sequence[Path], own: AuditTail) -> None:
    """Forget the processes whose files are gone: one that is put back is none of this store's any more."""
    if TAKEN_IN.count(tx) > len(files) + own.begun:
        there = {own.writer, *(path.name.removesuffix(_SUFFIX) for path in files)}
        for row in TAKEN_IN.scan(tx):
            if row.writer not in there:
                TAKEN_IN.delete(tx, row.writer)


def edited_files(folder: Path) -> list[Path]:
    """Return the files that were set aside: somebody had edited them."""
    return sorted(folder.glob(f"*{_SUFFIX}{_EDITED}"))


def read_other(path: Path, key: bytes, tx: "Transaction") -> OtherTail | None:
    """Return what another process recorded and nobody has taken in; None where the file is gone. Raises StoreFault."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise faults.of_file(error, path) from error
    with open(file, "rb") as opened:
        ended = _ended(file)
        content = opened.read()
    writer = path.name.removesuffix(_SUFFIX)
    known = TAKEN_IN.get(tx, writer)
    if known is None:
        return OtherTail(path, TakenIn(writer=writer, sequence=0), [], ended, any(content))
    records, sequence, edited = _records(content, key, writer, known.sequence)
    return OtherTail(path, TakenIn(writer=writer, sequence=sequence), records, ended, edited)


def _ended(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _records(content: bytes, key: bytes, writer: str, after: int) -> tuple[list[Pending], int, bool]:
    """Return what follows a sequence, the newest sequence, and whether something there is not as it was written."""
    records: list[Pending] = []
    at, newest = 0, after
    while length := int.from_bytes(content[at : at + _LENGTH]):
        entry = content[at + _LENGTH : at + _LENGTH + length]
        read, mac = entry[:-_MAC], entry[-_MAC:]
        if len(entry) != length or not hmac.compare_digest(_mac(key, writer, read), mac):
            return records, newest, not _never_written(content, at + _LENGTH, at + _LENGTH + length)
        sequence, time, body = _decode(read)
        if sequence > newest + 1:
            return records, newest, True
        if sequence == newest + 1:
            records.append((time, None, body))
            newest = sequence
        at += _LENGTH + length
    return records, newest, False


def _never_written(content: bytes, first: int, end: int) -> bool:
    """Tell whether the machine lost its power before the end of an entry was on the disk: it is zeros, from a sector's
    beginning on. That and what follows is lost; somebody who owns the files can cut it off unnoticed as well."""
    sector = (end - 1) // _SECTOR * _SECTOR
    return end <= len(content) and sector > first and not any(content[sector:end])


def _mac(key: bytes, writer: str, content: bytes) -> bytes:
    # Keyed BLAKE2b in one call: a quarter of what an HMAC costs, which every operation waits for.
    return blake2b(content, digest_size=_MAC, key=key, salt=writer.encode(), person=b"kvstack reads").digest()


def set_aside(path: Path) -> None:
    """Keep a file that was edited where nobody takes it in any more."""
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        path.rename(path.with_name(path.name + _EDITED))
