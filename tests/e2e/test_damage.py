"""Files that are not what they were: told by name, never believed, never a traceback."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.cli.planning.small import ADDRESSES, STACK, TOKEN
from tests.e2e.command_line import CHANGES, ERROR, OK, Ran, write

Kvstack = Callable[..., Ran]


@pytest.fixture
def applied(folder: Path, kvstack: Kvstack) -> Path:
    write(folder, STACK)
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    return folder


# The state


def edited(state: bytes) -> bytes:
    return state.replace(b"text/plain", b"text/blain")


def edited_head(state: bytes) -> bytes:
    return state.replace(b'"serial":2', b'"serial":9')


DAMAGED_STATES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda state: b"",
    "truncated at once": lambda state: state[:10],
    "truncated": lambda state: state[: len(state) // 2],
    "without its end": lambda state: state[:-3],
    "zeroes": lambda state: b"\0" * len(state),
    "not UTF-8": lambda state: state.replace(b"small-dev", b"small-d\xffv"),
    "edited": edited,
    "edited at the head": edited_head,
    "of another stack": lambda state: state.replace(b'"stack":"small"', b'"stack":"large"'),
    "of a newer kvstack": lambda state: state.replace(b'"format":1', b'"format":7'),
    "something else": lambda state: b"stack: small\n",
    "deep": lambda state: b"[" * 200_000,
}


@pytest.mark.parametrize("damage", DAMAGED_STATES.values(), ids=DAMAGED_STATES)
def test_a_damaged_state_is_refused_named_and_rebuilt(
    damage: Callable[[bytes], bytes], applied: Path, kvstack: Kvstack
) -> None:
    path = applied / ".kvstack/state/small.json"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    for verb in (["plan"], ["apply", "--yes"], ["drift"], ["state", "list"], ["destroy", "--yes"], ["plan", "--json"]):
        ran = kvstack(*verb, TOKEN=TOKEN)
        assert ran.code == ERROR
        assert "small.json" in ran.told
        assert "state rebuild" in ran.told
    assert path.read_bytes() == damage(whole), "nothing was written over it"
    asked = kvstack("state", "rebuild")
    assert asked.code == ERROR
    assert "there is nobody to ask" in asked.told
    assert set(ADDRESSES) <= set(asked.told.split()), "what was found is shown first"
    assert kvstack("state", "rebuild", "--yes").code == OK
    assert path.with_name("small.json.before-rebuild").read_bytes() == damage(whole), "the damaged one is kept"
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == OK
    assert sorted(kvstack("state", "list").out.split()) == sorted(ADDRESSES)
    assert kvstack("drift").code == OK


def test_a_lost_state_is_no_new_stack(applied: Path, kvstack: Kvstack) -> None:
    (applied / ".kvstack/state/small.json").unlink()
    planned = kvstack("plan", "--json", "--detailed-exitcode", TOKEN=TOKEN)
    assert planned.code == OK, "everything carries our tags"
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    assert sorted(kvstack("state", "list").out.split()) == sorted(ADDRESSES)


def test_the_state_of_another_backend_is_refused(applied: Path, kvstack: Kvstack) -> None:
    shutil.rmtree(applied / ".kvstack/vault")
    (applied / ".kvstack/keys/kek").unlink()
    initialise(applied, hsm=False, prepare=initialise_access).close()
    ran = kvstack("plan", TOKEN=TOKEN)
    assert ran.code == ERROR
    assert "belongs to other vaults" in ran.told
    assert kvstack("state", "rebuild", "--yes").code == OK
    assert kvstack("plan", "--json", TOKEN=TOKEN).json["summary"]["create"] == 5


def test_a_rebuild_in_json_is_one_document_and_records_with_yes_only(applied: Path, kvstack: Kvstack) -> None:
    path = applied / ".kvstack/state/small.json"
    path.write_bytes(b"")
    found = kvstack("state", "rebuild", "--json")
    assert found.code == OK
    assert sorted(record["address"] for record in found.json) == sorted(ADDRESSES)
    assert path.read_bytes() == b""
    assert kvstack("state", "rebuild", "--json", "--yes").json == found.json
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == OK


def test_a_state_that_may_not_be_read_is_told(applied: Path, kvstack: Kvstack) -> None:
    path = applied / ".kvstack/state/small.json"
    path.unlink()
    path.mkdir()
    for verb in (["plan"], ["apply", "--yes"], ["state", "list"]):
        ran = kvstack(*verb, TOKEN=TOKEN)
        assert ran.code == ERROR
        assert "small.json" in ran.told


# The vault's files


def truncated(database: Path) -> None:
    database.write_bytes(database.read_bytes()[: 4096 * 3 + 17])


def zeroed(database: Path) -> None:
    database.write_bytes(b"\0" * database.stat().st_size)


def no_database(database: Path) -> None:
    database.write_bytes(b"stack: small\n" * 1000)


def emptied(database: Path) -> None:
    database.write_bytes(b"")


def missing(database: Path) -> None:
    database.unlink()


def a_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


def bits(database: Path) -> None:
    content = bytearray(database.read_bytes())
    for position in range(5000, len(content), 997):
        content[position] ^= 0x55
    database.write_bytes(content)


@contextmanager
def changing(database: Path) -> Iterator[sqlite3.Connection]:
    """Change a database as whoever owns the file can."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        yield connection


def swapped_rows(database: Path) -> None:
    """Give two secrets each other's row."""
    with changing(database) as connection:
        rows = connection.execute("SELECT number, folded, body, generation, mac FROM secrets").fetchall()
        (one, *of_one), (two, *of_two) = rows
        assert of_one != of_two
        for number, values in ((one, of_two), (two, of_one)):
            connection.execute(
                "UPDATE secrets SET folded = ?, body = ?, generation = ?, mac = ? WHERE number = ?", (*values, number)
            )


def swapped_contents(database: Path) -> None:
    """Give two secrets each other's content under their own names."""
    with changing(database) as connection:
        rows = connection.execute("SELECT number, body, mac FROM secrets").fetchall()
        (one, *of_one), (two, *of_two) = rows
        for number, values in ((one, of_two), (two, of_one)):
            connection.execute("UPDATE secrets SET body = ?, mac = ? WHERE number = ?", (*values, number))


def deleted_row(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("DELETE FROM secrets WHERE folded = 'drawn'")


def edited_row(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("UPDATE secrets SET body = CAST(body || x'00' AS BLOB)")


def renamed_row(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("UPDATE secrets SET folded = 'other' WHERE folded = 'drawn'")


def taken_role(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("DELETE FROM role_assignments WHERE rowid = (SELECT max(rowid) FROM role_assignments)")


def edited_vault(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("UPDATE vaults SET generation = generation + 1")


def edited_ledger(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("UPDATE ledger SET generation = generation + 1")


def dropped_table(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("DROP TABLE secrets")


def cut_audit(database: Path) -> None:
    with changing(database) as connection:
        connection.execute("DELETE FROM audit")


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        zeroed,
        no_database,
        emptied,
        missing,
        a_folder,
        bits,
        swapped_rows,
        swapped_contents,
        deleted_row,
        edited_row,
        renamed_row,
        taken_role,
        edited_vault,
        edited_ledger,
        dropped_table,
        cut_audit,
    ],
    ids=lambda damage: damage.__name__.replace("_", " "),
)
def test_a_damaged_vault_is_refused_and_named(damage: Callable[[Path], None], applied: Path, kvstack: Kvstack) -> None:
    database = applied / ".kvstack/vault/vault.db"
    damage(database)
    for verb in (["plan"], ["apply", "--yes"], ["drift"], ["plan", "--json"], ["destroy", "--yes"]):
        ran = kvstack(*verb, TOKEN=TOKEN)
        assert ran.code == ERROR, str(ran)
        assert "vault" in ran.told
        assert any(word in ran.told for word in ("backup", "Restore")), str(ran)


def test_an_older_row_is_refused(applied: Path, kvstack: Kvstack) -> None:
    database = applied / ".kvstack/vault/vault.db"
    with changing(database) as connection:
        before = connection.execute("SELECT body, generation, mac, number FROM secrets").fetchall()
    assert kvstack("apply", "--yes", TOKEN="the next value").code == OK
    with changing(database) as connection:
        for row in before:
            connection.execute("UPDATE secrets SET body = ?, generation = ?, mac = ? WHERE number = ?", row)
    ran = kvstack("plan", TOKEN="the next value")
    assert ran.code == ERROR, str(ran)
    assert "Restore" in ran.told


def test_a_value_swapped_with_another_is_not_given_out(applied: Path, kvstack: Kvstack) -> None:
    with changing(applied / ".kvstack/vault/vault.db") as connection:
        rows = connection.execute("SELECT number, body, mac FROM secret_versions").fetchall()
        (one, *of_one), (two, *of_two) = rows
        for number, values in ((one, of_two), (two, of_one)):
            connection.execute("UPDATE secret_versions SET body = ?, mac = ? WHERE number = ?", (*values, number))
    for name in ("token", "drawn"):
        ran = kvstack("secret", "show", f"small-dev/{name}", "--value")
        assert ran.code == ERROR
        assert ran.out == ""
        assert "secret_versions" in ran.told or "Restore" in ran.told


def test_an_older_database_is_told_by_the_state(applied: Path, tmp_path: Path, kvstack: Kvstack) -> None:
    """A rollback of the whole database is beyond it; what the state recorded since is drift."""
    old = shutil.copytree(applied / ".kvstack/vault", tmp_path / "old")
    write(applied, STACK.replace("text/plain", "text/html"))
    assert kvstack("apply", "--yes", TOKEN="the next value").code == OK
    shutil.rmtree(applied / ".kvstack/vault")
    shutil.copytree(old, applied / ".kvstack/vault")
    assert kvstack("drift").code == CHANGES


def test_the_database_of_another_vault_is_refused(applied: Path, tmp_path: Path, kvstack: Kvstack) -> None:
    other = tmp_path / "other"
    other.mkdir()
    initialise(other, hsm=False, prepare=initialise_access).close()
    for name in ("vault.db-wal", "vault.db-shm"):
        (applied / ".kvstack/vault" / name).unlink(missing_ok=True)
    shutil.copy(other / ".kvstack/vault/vault.db", applied / ".kvstack/vault/vault.db")
    ran = kvstack("plan", TOKEN=TOKEN)
    assert ran.code == ERROR
    assert len(ran.told) > 30


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b'{"format_version": 99}', b'{"format_version": 1}']
)
def test_a_damaged_configuration_is_told(content: bytes, applied: Path, kvstack: Kvstack) -> None:
    (applied / ".kvstack/vault/config.json").write_bytes(content)
    ran = kvstack("plan", TOKEN=TOKEN)
    assert ran.code == ERROR
    assert ran.err.startswith("error: ")


@pytest.mark.parametrize("content", [None, b"", b"x" * 31, b"x" * 32, b"x" * 4000])
def test_a_lost_or_foreign_key_file_is_told(content: bytes | None, applied: Path, kvstack: Kvstack) -> None:
    file = applied / ".kvstack/keys/kek"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    ran = kvstack("plan", TOKEN=TOKEN)
    assert ran.code == ERROR
    assert ran.err.startswith("error: ")


def test_a_folder_without_a_vault_is_told(applied: Path, kvstack: Kvstack) -> None:
    shutil.rmtree(applied / ".kvstack")
    for verb in (["plan"], ["apply", "--yes"], ["drift"], ["state", "rebuild"], ["destroy", "--yes"]):
        ran = kvstack(*verb, TOKEN=TOKEN)
        assert ran.code == ERROR
        assert "kvstack init" in ran.told
    assert json.loads(kvstack("plan", "--json").out)["diagnostics"][0]["severity"] == "error"
