"""Whatever is done to what was signed, in any order, is found; and what was only looked at is not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vault.foundation.things import flipped
from tests.vault.service.audited import Audited

TABLES = {
    "audit": ("position", "writer", "sequence", "time", "changed", "body", "mac"),
    "audit_checkpoints": ("number", "body", "signature"),
}
Deed = tuple[str, str, int, int]

deeds = st.lists(
    st.tuples(
        st.sampled_from(("delete", "flip", "swap", "copy")),
        st.sampled_from(sorted(TABLES)),
        st.integers(0, 50),
        st.integers(0, 50),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A vault that several processes have used; all of it is signed."""
    made = Audited.made(tmp_path_factory.mktemp("signed") / "vault")
    for names in ("abc", "d", "ef"):
        made.used(*names)
    report = made.report()
    assert (report.problem, report.signed_up_to, report.checkpoints) == (None, report.records, 4)
    return made


def rows(database: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Return what is verified: the rest of a table (a checkpoint's time) only finds rows."""
    return [
        database.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1").fetchall()
        for table, columns in TABLES.items()
    ]


def done(database: sqlite3.Connection, deed: Deed) -> None:
    what, table, one, other = deed
    columns = TABLES[table]
    key, *rest = columns
    keys = [found for (found,) in database.execute(f"SELECT {key} FROM {table} ORDER BY 1")]
    if not keys:
        return
    first, second = keys[one % len(keys)], keys[other % len(keys)]
    column = rest[other % len(rest)]
    match what:
        case "delete":
            database.execute(f"DELETE FROM {table} WHERE {key} = ?", (first,))
        case "flip":
            (value,) = database.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (first,)).fetchone()
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (flipped(value), first))
        case "swap":
            database.execute(f"UPDATE {table} SET {key} = -1 WHERE {key} = ?", (first,))
            database.execute(f"UPDATE {table} SET {key} = ? WHERE {key} = ?", (first, second))
            database.execute(f"UPDATE {table} SET {key} = ? WHERE {key} = -1", (second,))
        case _:
            sql = f"SELECT {column} FROM {table} WHERE {key} = ?"
            (value,) = database.execute(sql, (first,)).fetchone()
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (value, second))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=deeds)
def test_what_was_changed_is_found_and_what_was_not_is_whole(signed: Audited, tmp_path: Path, made: list[Deed]) -> None:
    database = tmp_path / "vault.db"
    kept = signed.database.read_bytes()
    database.write_bytes(kept)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        before = rows(connection)
        for deed in made:
            done(connection, deed)
        connection.commit()
        same = rows(connection) == before
    try:
        signed.database.write_bytes(database.read_bytes())
        problem = signed.problem()
    finally:
        signed.database.write_bytes(kept)
    assert (problem is None) == same, (made, problem)
