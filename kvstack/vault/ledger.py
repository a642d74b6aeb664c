"""Which generation every row is at: what makes an older, a removed or a brought-back row as wrong as an edited one.

Every row carries a MAC and a generation, so an edited row is refused. An older copy of a row has a genuine MAC, too;
so the ledger notes the generation each row is at. A row's name hashes to one bucket of many; a bucket holds the
generations of its rows and has a generation and a MAC of its own; the root, with a MAC, holds the generations of all
buckets. Undoing one change unnoticed needs undoing every change since: only putting back all files together goes
unnoticed.

The ledger also counts the rows of each table, and of each part of it that can be scanned, so that a scan that misses
a row is noticed. A transaction that changes something writes the buckets it touched and the root, once.
"""

import hmac
import itertools
import operator
import os
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from kvstack.vault.faults import TamperedLedger
from kvstack.vault.time_step import moved

if TYPE_CHECKING:
    from kvstack.vault.transaction import Transaction

_FIRST_BUCKETS = 512
_FULL = 96  # entries a bucket holds on average before the buckets are doubled
_ROOT = -1
_MANY = 64  # from here on reading the ledger whole is cheaper than in parts

_SCHEMA = (
    "CREATE TABLE ledger "
    "(bucket INTEGER PRIMARY KEY, generation INTEGER NOT NULL, body BLOB NOT NULL, mac BLOB NOT NULL) STRICT"
)
_READ = "SELECT generation, body, mac FROM ledger WHERE bucket = ?"
_READ_ALL = "SELECT bucket, generation, body, mac FROM ledger WHERE bucket >= 0"
_WRITE = (
    "INSERT INTO ledger (bucket, generation, body, mac) VALUES (?, ?, ?, ?) ON CONFLICT (bucket) DO UPDATE "
    "SET generation = excluded.generation, body = excluded.body, mac = excluded.mac"
)

encode = msgspec.msgpack.Encoder().encode
_decode_bucket = msgspec.msgpack.Decoder(dict[int, int]).decode


class Root(msgspec.Struct, array_like=True):
    """What the whole store is at. number: of the last changing transaction; entries: in all buckets; buckets: their
    generations, 0 where empty; audit_position, audit_mac: the last audit record then; time: the high-water mark,
    microseconds since 1970. checkpoint...: number, position, time and hash of the newest checkpoint of the audit;
    unsigned_since: when the first one that could not be signed was due, 0 where all is well; audit_begin: the last
    record that was archived."""

    number: int
    buckets: list[int]
    entries: int = 0
    audit_position: int = 0
    audit_mac: bytes = b""
    time: int = 0
    checkpoint: int = 0
    checkpoint_position: int = 0
    checkpoint_time: int = 0
    checkpoint_hash: bytes = b""
    unsigned_since: int = 0
    audit_begin: int = 0


_decode_root = msgspec.msgpack.Decoder(Root).decode


class Ledger:
    """The ledger of one store, as far as it was read. Used with the store's writer lock held."""

    def __init__(self, key: bytes) -> None:
        """Derive the keys of rows, of the ledger itself, and of the rows' hashes from the store's MAC key."""
        self.row_key = hmac.digest(key, b"rows", "sha256")
        self._key = hmac.digest(key, b"ledger", "sha256")
        self._name_key = hmac.digest(key, b"names", "sha256")
        self._root = Root(0, [0] * _FIRST_BUCKETS)
        self._mask = _FIRST_BUCKETS - 1
        self._buckets: dict[int, dict[int, int]] = {}
        self._dirty: set[int] = set()
        # A generation must not come twice, not even when a transaction was undone and its number is used again: part
        # of it counts on within the process, from a random start.
        self._sequence = itertools.count(int.from_bytes(os.urandom(3)))
        self._base = 0
        self.group_number = lru_cache(4096)(self._group_number)
        # Of rows that every operation looks at.
        self.lasting_number = lru_cache(64)(self.row_number)

    @property
    def root(self) -> Root:
        """The root as last read or written."""
        return self._root

    def create(self, connection: sqlite3.Connection) -> None:
        """Write the first root of a new database."""
        connection.execute(_SCHEMA)
        self._root = Root(0, [0] * _FIRST_BUCKETS)
        self._write_root(connection)

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read the root again, and forget the buckets that are no longer what was read. Raises TamperedLedger."""
        found = connection.execute(_READ, (_ROOT,)).fetchone()
        if found is None:
            raise TamperedLedger("has no root")
        generation, body, mac = found
        if not genuine(self._mac(_ROOT, generation, body), mac):
            raise TamperedLedger("has a root that was edited")
        before, self._root = self._root.buckets, _decode_root(body)
        now = self._root.buckets
        self._mask = len(now) - 1
        if len(before) != len(now):
            self._buckets.clear()
        moved_on = itertools.compress(itertools.count(), map(operator.ne, before, now))
        for bucket in itertools.chain(moved_on, self._dirty):
            self._buckets.pop(bucket, None)
        self._dirty.clear()
        self._base = self._root.number + 1 << 24

    # Rows and their generations

    def row_number(self, table: str, key: tuple[str, ...]) -> int:
        """Return the number a row is entered and stored under: 63 bits, keyed, so that nobody can choose two names that
        share it."""
        return int.from_bytes(blake2b(encode((table, key)), digest_size=8, key=self._name_key).digest()) >> 1

    def _group_number(self, table: str, group: str, values: tuple[object, ...]) -> int:
        values = tuple(int(value) if isinstance(value, bool) else value for value in values)  # as the database has it
        return int.from_bytes(blake2b(encode((table, group, values)), digest_size=8, key=self._name_key).digest()) >> 1

    def next_generation(self) -> int:
        """Return a generation no row had before."""
        return self._base | (next(self._sequence) & 0xFFFFFF)

    def entry(self, connection: sqlite3.Connection, number: int) -> int | None:
        """Return the generation (or the count) entered under a number, None where there is none. Raises
        TamperedLedger."""
        bucket = self._buckets.get(number & self._mask)
        if bucket is None:
            bucket = self._read(connection, number & self._mask)
        return bucket.get(number)

    def enter(self, tx: "Transaction", number: int, value: int | None) -> int | None:
        """Enter a generation (or a count), None to take the entry out. Returns what was there."""
        index = number & self._mask
        bucket = self._buckets.get(index)
        if bucket is None:
            bucket = self._read(tx.connection, index)
        before = bucket.get(number)
        self._set(bucket, number, value)
        self._dirty.add(index)
        tx.journal.append((self._restore, (number, before)))
        return before

    def count(self, tx: "Transaction", number: int, by: int) -> None:
        """Add to the count entered under a number."""
        self.enter(tx, number, (self.entry(tx.connection, number) or 0) + by or None)

    def _restore(self, number: int, value: int | None) -> None:
        self._set(self._buckets[number & self._mask], number, value)

    def _set(self, bucket: dict[int, int], number: int, value: int | None) -> None:
        before = len(bucket)
        if value is None:
            bucket.pop(number, None)
        else:
            bucket[number] = value
        self._root.entries += len(bucket) - before

    def discard(self) -> None:
        """Write nothing of what was entered: all of it has been undone."""
        self._dirty.clear()

    def entries(self, connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, int | None]:
        """Return what is entered under many numbers. Raises TamperedLedger."""
        if len(numbers) > _MANY:
            self._read_all(connection)
        buckets = self._buckets
        for index in {number & self._mask for number in numbers}.difference(buckets):
            self._read(connection, index)
        return {number: buckets[number & self._mask].get(number) for number in numbers}

    def _read_all(self, connection: sqlite3.Connection) -> None:
        missing = set(range(len(self._root.buckets))).difference(self._buckets)
        if missing:
            found = {row[0]: row[1:] for row in connection.execute(_READ_ALL)}
            for index in missing:
                self._buckets[index] = self._checked(index, found.get(index))

    def _read(self, connection: sqlite3.Connection, index: int) -> dict[int, int]:
        bucket = self._checked(index, connection.execute(_READ, (index,)).fetchone())
        self._buckets[index] = bucket
        return bucket

    def _checked(self, index: int, found: tuple[int, bytes, bytes] | None) -> dict[int, int]:
        expected = self._root.buckets[index]
        if found is None:
            if expected:
                raise TamperedLedger(f"has lost its part {index}")
            return {}
        generation, body, mac = found
        if not genuine(self._mac(index, generation, body), mac):
            raise TamperedLedger(f"has a part, {index}, that was edited")
        if generation != expected:
            raise TamperedLedger(f"has a part, {index}, from another time than its root")
        return _decode_bucket(body)

    # The end of a transaction

    def write(self, tx: "Transaction") -> None:
        """Write what the transaction entered, and the root."""
        while self._root.entries > _FULL * len(self._root.buckets):
            self._double(tx.connection)
        written = []
        for index in self._dirty:
            generation = self.next_generation()
            body = encode(self._buckets[index])
            written.append((index, generation, body, self._mac(index, generation, body)))
            self._root.buckets[index] = generation
        tx.connection.executemany(_WRITE, written)
        self._dirty.clear()
        self._root.number += 1
        self._root.time = moved(self._root.time, tx.moment)
        self._write_root(tx.connection)
        self._base = self._root.number + 1 << 24

    def _double(self, connection: sqlite3.Connection) -> None:
        """Split every bucket in two, so that a change writes no more in a large vault than in a small one."""
        self._read_all(connection)
        count = len(self._root.buckets)
        for index in range(count):
            entries = self._buckets[index]
            self._buckets[index] = {number: value for number, value in entries.items() if not number & count}
            self._buckets[index + count] = {number: value for number, value in entries.items() if number & count}
        self._root.buckets.extend([0] * count)
        self._mask = 2 * count - 1
        self._dirty.update(range(2 * count))

    def set_time(self, tx: "Transaction", mark: int) -> None:
        """Move the high-water mark of time, forwards or backwards: somebody has confirmed the clock."""
        self.note(tx, time=mark)

    def note(self, tx: "Transaction", **fields: int | bytes) -> None:
        """Write something into the root that is no row: its fields, by name."""
        tx.journal.append((self._note, ({name: getattr(self._root, name) for name in fields},)))
        self._note(fields)

    def _note(self, fields: Mapping[str, int | bytes]) -> None:
        for name, value in fields.items():
            setattr(self._root, name, value)

    def _write_root(self, connection: sqlite3.Connection) -> None:
        body = encode(self._root)
        connection.execute(_WRITE, (_ROOT, self._root.number, body, self._mac(_ROOT, self._root.number, body)))

    def _mac(self, index: int, generation: int, body: bytes) -> bytes:
        return hmac.digest(self._key, encode((index, generation, body)), "sha256")


def genuine(expected: bytes, mac: object) -> bool:
    """Tell whether a MAC is the one expected. A column whose type was changed is refused, too."""
    return isinstance(mac, bytes) and hmac.compare_digest(expected, mac)
