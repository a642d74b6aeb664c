"""Whoever owns the files can change them, but the vault does not believe what it did not write last."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from kvstack.vault.faults import CorruptStore, StoreFault, Tampered, TamperedLedger, TamperedRow
from kvstack.vault.store import Store
from tests.vault.foundation.things import THINGS, Thing, by_hand, flipped, get, new_store, opened, put, scan

COLUMNS = ("number", "vault", "name", "color", "size", "body", "generation", "mac")
ALL = ", ".join(COLUMNS)

APPLE = Thing("fruit", "apple", color="red", size=3, tags={"a": "b"})
LEMON = Thing("fruit", "lemon", color="yellow", size=3)
LEEK = Thing("roots", "leek", color="green")


@pytest.fixture(params=["in memory", "read anew"])
def believed(request: pytest.FixtureRequest, path: Path, store: Store) -> Callable[[], Store]:
    """A store with three things; what is returned opens it, as a process does that has read it before, or a new one."""
    put(store, APPLE, LEMON, LEEK)
    assert scan(store) == [APPLE, LEMON, LEEK]

    def again() -> Store:
        if request.param == "in memory":
            return store
        fresh = opened(path)
        request.addfinalizer(fresh.close)
        return fresh

    return again


def every_row(database: sqlite3.Connection, table: str = "things") -> list[tuple[object, ...]]:
    return database.execute(f"SELECT * FROM {table}").fetchall()


def restore(database: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    database.execute(f"DELETE FROM {table}")
    for row in rows:
        database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def assert_refused(store: Store, *names: tuple[str, str], scanned: bool = True) -> None:
    for vault, name in names:
        with pytest.raises(Tampered):
            get(store, vault, name)
    if scanned:
        with pytest.raises(Tampered):
            scan(store)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_edited_in_any_column_is_refused(path: Path, believed: Callable[[], Store], column: str) -> None:
    with by_hand(path) as database:
        (value,) = database.execute(f"SELECT {column} FROM things WHERE name = 'apple'").fetchone()
        database.execute(f"UPDATE things SET {column} = ? WHERE name = 'apple'", (flipped(value),))
    assert_refused(believed(), ("fruit", "apple"))


@pytest.mark.parametrize("column", ["body", "mac"])
def test_a_row_edited_in_any_byte_is_refused(path: Path, store: Store, column: str) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        (value,) = database.execute(f"SELECT {column} FROM things").fetchone()
    for position in range(len(value)):
        edited = value[:position] + bytes([value[position] ^ 0x80]) + value[position + 1 :]
        with by_hand(path) as database:
            database.execute(f"UPDATE things SET {column} = ?", (edited,))
        assert_refused(store, ("fruit", "apple"))
    with by_hand(path) as database:
        database.execute(f"UPDATE things SET {column} = ?", (value,))
    assert get(store, "fruit", "apple") == APPLE


def test_an_edited_row_is_named(path: Path, store: Store) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        database.execute("UPDATE things SET body = x'00'")
    with pytest.raises(TamperedRow, match="things fruit/apple was edited") as caught:
        get(store, "fruit", "apple")
    assert (caught.value.table, caught.value.key) == ("things", ("fruit", "apple"))


@pytest.mark.parametrize(
    "columns", ["body", "body, generation, mac", "color, size, body, generation, mac", "vault, name"]
)
def test_rows_that_changed_places_are_refused(path: Path, believed: Callable[[], Store], columns: str) -> None:
    with by_hand(path) as database:
        apple, lemon = (
            database.execute(f"SELECT {columns} FROM things WHERE name = ?", (name,)).fetchone()
            for name in ("apple", "lemon")
        )
        numbers = {name: number for number, name in database.execute("SELECT number, name FROM things")}
        assignments = ", ".join(f"{column} = ?" for column in columns.split(", "))
        for name, values in (("apple", lemon), ("lemon", apple)):
            database.execute(f"UPDATE things SET {assignments} WHERE number = ?", (*values, numbers[name]))
    assert_refused(believed(), ("fruit", "apple"), ("fruit", "lemon"))


def test_a_row_moved_to_another_vault_is_refused(path: Path, believed: Callable[[], Store]) -> None:
    with by_hand(path) as database:
        database.execute("UPDATE things SET vault = 'roots' WHERE name = 'apple'")
    store = believed()
    assert_refused(store, ("fruit", "apple"))
    assert get(store, "roots", "apple") is None
    with pytest.raises(Tampered):
        scan(store, vault="roots")


def test_an_older_row_is_refused(path: Path, believed: Callable[[], Store], store: Store) -> None:
    with by_hand(path) as database:
        older = every_row(database)
    put(store, Thing("fruit", "apple", color="green", size=4))
    with by_hand(path) as database:
        restore(database, "things", older)
    assert_refused(believed(), ("fruit", "apple"))


def test_a_row_written_again_unchanged_does_not_let_its_older_copy_in(path: Path, store: Store) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        older = every_row(database)
    put(store, APPLE)
    with by_hand(path) as database:
        restore(database, "things", older)
    assert_refused(store, ("fruit", "apple"))


def test_a_removed_row_is_missed(path: Path, believed: Callable[[], Store]) -> None:
    with by_hand(path) as database:
        database.execute("DELETE FROM things WHERE name = 'apple'")
    store = believed()
    assert_refused(store, ("fruit", "apple"))
    for equals in ({"vault": "fruit"}, {"color": "red"}, {"vault": "fruit", "size": 3}):
        with pytest.raises(TamperedRow):
            scan(store, **equals)
    assert scan(store, vault="roots") == [LEEK]


def test_a_row_hidden_from_an_index_is_missed(path: Path, believed: Callable[[], Store]) -> None:
    with by_hand(path) as database:
        database.execute("UPDATE things SET color = 'green' WHERE name = 'apple'")
    store = believed()
    with pytest.raises(TamperedRow):
        scan(store, color="red")
    with pytest.raises(TamperedRow):
        scan(store, color="green")


def test_a_deleted_row_that_was_put_back_is_refused(path: Path, believed: Callable[[], Store], store: Store) -> None:
    with by_hand(path) as database:
        before = every_row(database)
    with store.transaction() as tx:
        THINGS.delete(tx, "fruit", "apple")
    with by_hand(path) as database:
        restore(database, "things", before)
    assert_refused(believed(), ("fruit", "apple"))


def test_one_row_cannot_stand_for_another(path: Path, believed: Callable[[], Store]) -> None:
    with by_hand(path) as database:
        rows = every_row(database)
        (schema,) = database.execute("SELECT sql FROM sqlite_schema WHERE name = 'things'").fetchone()
        database.execute("DROP TABLE things")
        database.execute(schema.replace("UNIQUE", ""))
        restore(database, "things", [rows[1], rows[1], rows[2]])
    assert_refused(believed(), ("fruit", "apple"))


def test_a_row_from_another_store_is_refused(path: Path, tmp_path: Path, store: Store) -> None:
    other = Store.open(tmp_path / "other.db")
    other.authenticate(bytes(32), create=True)
    put(other, APPLE)
    put(store, LEMON)
    other.close()
    with by_hand(tmp_path / "other.db") as database:
        rows = every_row(database)
    with by_hand(path) as database:
        restore(database, "things", rows)
    assert_refused(store, ("fruit", "lemon"))


@pytest.mark.parametrize("value", [None, 1, 1.5, "text", b""])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_another_type_is_refused_not_crashed_on(
    path: Path, store: Store, column: str, value: object
) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        rows = every_row(database)
        database.execute("DROP TABLE things")
        database.execute(f"CREATE TABLE things ({ALL})")
        restore(database, "things", rows)
        database.execute(f"UPDATE things SET {column} = ?", (value,))
    assert_refused(store, ("fruit", "apple"))


def test_a_table_that_was_dropped_is_missed(path: Path, believed: Callable[[], Store]) -> None:
    with by_hand(path) as database:
        database.execute("DROP TABLE things")
    assert_refused(believed(), ("fruit", "apple"))


def test_a_trigger_that_was_added_cannot_undo_what_the_vault_writes(path: Path, store: Store) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        database.execute(
            "CREATE TRIGGER keep_red AFTER UPDATE ON things "
            "BEGIN UPDATE things SET color = 'red' WHERE name = NEW.name; END"
        )
    put(store, Thing("fruit", "apple", color="green"))
    assert_refused(store, ("fruit", "apple"))


# The ledger itself


@pytest.mark.parametrize("bucket", ["bucket = -1", "bucket >= 0"], ids=["root", "parts"])
@pytest.mark.parametrize("column", ["generation", "body", "mac"])
def test_an_edited_ledger_is_refused(path: Path, store: Store, bucket: str, column: str) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        for number, value in database.execute(f"SELECT bucket, {column} FROM ledger WHERE {bucket}").fetchall():
            database.execute(f"UPDATE ledger SET {column} = ? WHERE bucket = ?", (flipped(value), number))
    with pytest.raises(TamperedLedger):
        scan(opened(path))
    if bucket == "bucket = -1":
        with pytest.raises(TamperedLedger):
            scan(store)


@pytest.mark.parametrize("bucket", ["bucket = -1", "bucket >= 0"], ids=["root", "parts"])
def test_a_ledger_that_lost_something_is_refused(path: Path, store: Store, bucket: str) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        database.execute(f"DELETE FROM ledger WHERE {bucket}")
    with pytest.raises(TamperedLedger):
        scan(opened(path))


def test_parts_of_the_ledger_that_changed_places_are_refused(path: Path, store: Store) -> None:
    put(store, *(Thing("fruit", str(number)) for number in range(50)))
    with by_hand(path) as database:
        (one, _, *first), (two, _, *second) = every_row(database, "ledger")[1:3]
        for number, (body, mac) in ((one, second), (two, first)):
            database.execute("UPDATE ledger SET body = ?, mac = ? WHERE bucket = ?", (body, mac, number))
    with pytest.raises(TamperedLedger):
        scan(opened(path))


@pytest.mark.parametrize(
    ("put_back", "refused"),
    [
        (("row",), True),
        (("row", "parts"), True),
        (("row", "root"), True),
        (("parts",), True),
        (("root",), True),
        (("parts", "root"), True),
        # The limit, and the docs say so: files put back all together are the vault as it was.
        (("row", "parts", "root"), False),
    ],
)
def test_only_everything_together_can_be_put_back_unnoticed(
    path: Path, store: Store, put_back: tuple[str, ...], refused: bool
) -> None:
    put(store, APPLE)
    with by_hand(path) as database:
        things, ledger = every_row(database), every_row(database, "ledger")
    put(store, Thing("fruit", "apple", color="green"))
    put(store, Thing("fruit", "pear"))
    with store.transaction() as tx:
        THINGS.delete(tx, "fruit", "pear")
    store.close()
    with by_hand(path) as database:
        if "row" in put_back:
            restore(database, "things", things)
        now = every_row(database, "ledger")
        root = ledger if "root" in put_back else now
        parts = ledger if "parts" in put_back else now
        restore(
            database, "ledger", [row for row in root if row[0] == -1] + [row for row in parts if int(str(row[0])) >= 0]
        )
    if not refused:
        assert scan(opened(path)) == [APPLE]
        return
    with pytest.raises(Tampered):
        scan(opened(path))


def test_damage_anywhere_in_the_file_is_refused_or_does_not_matter(tmp_path: Path) -> None:
    things = [Thing("fruit", str(number).zfill(3), color="red", size=number) for number in range(40)]
    store = new_store(tmp_path / "whole.db")
    put(store, *things)
    store.close()
    whole = (tmp_path / "whole.db").read_bytes()
    damaged = tmp_path / "damaged.db"
    refused = 0
    for start in range(0, len(whole), 997):
        damaged.write_bytes(whole[:start] + bytes(b ^ 0xFF for b in whole[start : start + 16]) + whole[start + 16 :])
        for log in ("-wal", "-shm"):
            damaged.with_name(damaged.name + log).unlink(missing_ok=True)
        try:
            reader = opened(damaged)
        except StoreFault:
            refused += 1
            continue
        try:
            assert scan(reader) == things
        except StoreFault:
            refused += 1
        reader.close()
    assert refused > 5


@pytest.mark.parametrize("length", [0, 100, 5000])
def test_a_truncated_database_is_refused(path: Path, store: Store, length: int) -> None:
    put(store, APPLE)
    store.close()
    with path.open("r+b") as file:
        file.truncate(length)
    with pytest.raises(StoreFault):
        scan(opened(path))


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(CorruptStore, match=r"vault\.db"):
        Store.open(path)
