"""A table whose rows can be trusted: each is authenticated, at its newest generation, and none is missing."""

import hmac
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from kvstack.vault.faults import TamperedRow, UnreadableRow
from kvstack.vault.ledger import encode

if TYPE_CHECKING:
    from kvstack.vault.transaction import Transaction


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of a table. New fields need a default, so that older rows can still be read."""


R = TypeVar("R", bound=Row)
Value = str | int | None


class Table(Generic[R]):
    """A table of one type of rows. key: the fields that identify a row, each a text; indexes: fields to find rows by.

    A row is stored as its key, its indexed fields, the whole row as MessagePack, its generation and a MAC over table,
    key, generation and row. What is read is checked against the MAC, the ledger's generation and the indexed fields.
    """

    def __init__(
        self, name: str, row: type[R], key: tuple[str, ...], indexes: tuple[tuple[str, ...], ...] = ()
    ) -> None:
        self.name = name
        self._key = key
        self._indexes = indexes
        self._indexed = tuple(dict.fromkeys(field for index in indexes for field in index if field not in key))
        self._decode = msgspec.msgpack.Decoder(row).decode
        self._key_of = _fields(key)
        self._indexed_of = _fields(self._indexed)
        # What rows can be looked for by, and what the ledger counts them under: beginnings of the key, and indexes.
        self._groups = tuple(key[:length] for length in range(len(key))) + indexes
        self._group_of = tuple((",".join(group), _fields(group)) for group in self._groups)
        self._prefix_groups = self._group_of[: len(key)]
        self._index_groups = self._group_of[len(key) :]
        self._statements()

    def _statements(self) -> None:
        name, fields = self.name, (*self._key, *self._indexed)
        columns = ", ".join(("number", *(f'"{field}"' for field in fields), "body", "generation", "mac"))
        stored = ", ".join(("body", "generation", "mac", "number", *(f'"{field}"' for field in fields)))
        changed = ", ".join(f'"{field}" = excluded."{field}"' for field in (*fields, "body", "generation", "mac"))
        marks = ", ".join("?" * (len(fields) + 4))
        self._stored = stored
        self._select = f'SELECT {stored} FROM "{name}" WHERE number = ?'  # noqa: S608
        self._upsert = f'INSERT INTO "{name}" ({columns}) VALUES ({marks}) ON CONFLICT (number) DO UPDATE SET {changed}'  # noqa: S608
        self._delete = f'DELETE FROM "{name}" WHERE number = ?'  # noqa: S608
        self._scans: dict[frozenset[str], tuple[str, str, tuple[str, ...]]] = {}
        for group in self._groups:
            matched = " AND ".join(f'"{field}" IS ?' for field in group)
            sql = f'SELECT {stored} FROM "{name}"' + (f" WHERE {matched}" if matched else "")  # noqa: S608
            self._scans[frozenset(group)] = (sql, ",".join(group), group)
        # Rows lie in the order they came in, and are found by their number: a text index on the whole key would make
        # every insertion touch a page of its own.
        self._schema = [
            f'CREATE TABLE "{name}" (number INTEGER NOT NULL UNIQUE, '
            + "".join(f'"{field}" TEXT NOT NULL, ' for field in self._key)
            + "".join(f'"{field}" ANY, ' for field in self._indexed)
            + "body BLOB NOT NULL, generation INTEGER NOT NULL, mac BLOB NOT NULL) STRICT"
        ]
        for index in ((self._key[:-1],) if len(self._key) > 1 else ()) + self._indexes:
            listed = ", ".join(f'"{field}"' for field in index)
            self._schema.append(f'CREATE INDEX "{name} by {" ".join(index)}" ON "{name}" ({listed})')

    # One row

    def get(self, tx: "Transaction", *key: str) -> R | None:
        """Return a row, None where there is none. Raises TamperedRow."""
        return self._numbered(tx, tx.ledger.row_number(self.name, key), key)

    def _numbered(self, tx: "Transaction", number: int, key: tuple[str, ...]) -> R | None:
        generation = tx.ledger.entry(tx.reader, number)
        there = self.name in tx.store.tables
        found = tx.reader.execute(self._select, (number,)).fetchone() if there else None
        if found is None:
            if generation is not None:
                raise TamperedRow(self.name, key, "was removed")
            return None
        if generation is None:
            raise TamperedRow(self.name, key, "was put back after its deletion, or never written by the vault")
        (row,) = self._checked(tx, (found,), {number: generation})
        return row

    def generation(self, tx: "Transaction", *key: str) -> int | None:
        """Return what changes with every put of a row, None where there is none: asked of the ledger, without reading
        the row, so that what was made of it can be kept in memory."""
        return tx.ledger.entry(tx.reader, tx.ledger.row_number(self.name, key))

    def put(self, tx: "Transaction", row: R) -> None:
        """Insert a row, or replace the one of the same key."""
        tx.require()
        self._prepare(tx)
        key = self._key_of(row)
        ledger = tx.ledger
        number = ledger.row_number(self.name, key)
        before = self._numbered(tx, number, key) if self._indexes else None
        generation = ledger.next_generation()
        body = encode(row)
        mac = hmac.digest(ledger.row_key, encode((self.name, number, key, generation, body)), "sha256")
        tx.connection.execute(self._upsert, (number, *key, *self._indexed_of(row), body, generation, mac))
        if ledger.enter(tx, number, generation) is None:
            self._count(tx, row, 1)
        elif before is not None:
            for group, values_of in self._index_groups:
                old, new = values_of(before), values_of(row)
                if old != new:
                    ledger.count(tx, ledger.group_number(self.name, group, old), -1)
                    ledger.count(tx, ledger.group_number(self.name, group, new), 1)

    def delete(self, tx: "Transaction", *key: str) -> None:
        """Delete a row; one that is not there is no error. Raises TamperedRow."""
        tx.require()
        number = tx.ledger.row_number(self.name, key)
        row = self._numbered(tx, number, key)
        if row is None:
            return
        tx.connection.execute(self._delete, (number,))
        tx.ledger.enter(tx, number, None)
        self._count(tx, row, -1)

    def _count(self, tx: "Transaction", row: R, by: int) -> None:
        ledger = tx.ledger
        for group, values_of in self._group_of:
            ledger.count(tx, ledger.group_number(self.name, group, values_of(row)), by)

    # Many rows

    def scan(self, tx: "Transaction", **equals: Value) -> list[R]:
        """Return all rows whose fields have these values, in no order. The fields are a beginning of the key, or an
        index, or none. Raises TamperedRow, also where a row is missing."""
        sql, group, fields = self._scan(equals)
        values = tuple(equals[field] for field in fields)
        ledger = tx.ledger
        expected = ledger.entry(tx.reader, ledger.group_number(self.name, group, values)) or 0
        found = tx.reader.execute(sql, values).fetchall() if self.name in tx.store.tables else []
        numbers = [record[3] for record in found]
        # Nor may one row stand for another, or a number be no number: somebody may have made the table anew.
        if len(numbers) != expected or len(set(numbers)) != expected or not {*map(type, numbers)} <= {int}:
            raise TamperedRow(self.name, values, f"has {len(set(numbers))} rows where the vault wrote {expected}")
        return self._checked(tx, found, ledger.entries(tx.reader, numbers))

    def page(self, tx: "Transaction", size: int, after: int, **equals: Value) -> list[tuple[int, R]]:
        """Return some of the rows a scan would return, with their places, in the order they came in. after: the place
        of the last one that is known, 0 for none: then it is looked whether as many are there as the vault wrote.
        Raises TamperedRow."""
        _, _, fields = self._scan(equals)
        values = tuple(equals[field] for field in fields)
        known = self.name in tx.store.tables
        matched = " AND ".join((*(f'"{field}" IS ?' for field in fields), "rowid > ?"))
        if not after:
            counted = f'SELECT count(*) FROM "{self.name}" WHERE {matched}'  # noqa: S608
            (there,) = tx.reader.execute(counted, (*values, 0)).fetchone() if known else (0,)
            if there != (expected := self.count(tx, **equals)):
                raise TamperedRow(self.name, values, f"has {there} rows where the vault wrote {expected}")
        some = f'SELECT rowid, {self._stored} FROM "{self.name}" WHERE {matched} ORDER BY rowid LIMIT ?'  # noqa: S608
        found = tx.reader.execute(some, (*values, after, size)).fetchall() if known else []
        rows = [record[1:] for record in found]
        checked = self._checked(tx, rows, tx.ledger.entries(tx.reader, [row[3] for row in rows]))
        return [(record[0], row) for record, row in zip(found, checked, strict=True)]

    def count(self, tx: "Transaction", **equals: Value) -> int:
        """Return how many rows a scan would return, without reading them."""
        _, group, fields = self._scan(equals)
        number = tx.ledger.group_number(self.name, group, tuple(equals[field] for field in fields))
        return tx.ledger.entry(tx.reader, number) or 0

    def _scan(self, equals: dict[str, Value]) -> tuple[str, str, tuple[str, ...]]:
        try:
            return self._scans[frozenset(equals)]
        except KeyError:
            raise TypeError(f"table {self.name} cannot be scanned by {', '.join(sorted(equals))}") from None

    def _checked(
        self, tx: "Transaction", records: Sequence[tuple[Any, ...]], generations: Mapping[int, int | None]
    ) -> list[R]:
        """Return the rows of stored records. Raises TamperedRow where one is not as it was written last."""
        # One loop without calls of our own: this is most of what reading a large vault costs.
        name, row_key, decode, indexed_of = self.name, tx.ledger.row_key, self._decode, self._indexed_of
        width = 4 + len(self._key)
        digest, compare = hmac.digest, hmac.compare_digest
        rows = []
        for record in records:
            body, generation, mac, number = record[:4]
            key = record[4:width]
            expected = digest(row_key, encode((name, number, key, generation, body)), "sha256")
            if mac.__class__ is not bytes or not compare(expected, mac):
                raise TamperedRow(name, key, "was edited")
            if generations.get(number) != generation:
                raise TamperedRow(name, key, "was put back from an earlier time")
            try:
                row = decode(body)
            except msgspec.MsgspecError as error:
                raise self._unreadable(key, error) from error
            if indexed_of(row) != record[width:]:
                raise TamperedRow(name, key, "was edited: an indexed column differs")
            rows.append(row)
        return rows

    def _unreadable(self, key: tuple[str, ...], error: msgspec.MsgspecError) -> UnreadableRow:
        return UnreadableRow(
            f"the vault's row {self.name} {'/'.join(key)} has an unknown shape: {error}",
            "It was written by a newer kvstack; use that one.",
        )

    def _prepare(self, tx: "Transaction") -> None:
        if self.name not in tx.store.tables:
            for statement in self._schema:
                tx.connection.execute(statement)
            tx.store.tables.add(self.name)


def _fields(names: tuple[str, ...]) -> Any:
    """Return a function that returns these fields of a row as a tuple."""
    match names:
        case ():
            return lambda _: ()
        case (name,):
            get = attrgetter(name)
            return lambda row: (get(row),)
        case _:
            return attrgetter(*names)
