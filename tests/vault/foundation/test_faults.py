"""A full disk, a read-only one, and everything else that fails: told in words, and nothing is half done."""

import errno
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault import faults
from kvstack.vault.store import Store
from tests.vault.foundation.things import Thing, opened, put, scan

FULL = """
import resource, signal, sys
from pathlib import Path
from kvstack.vault.faults import StorageFull, StoreFault
from tests.vault.foundation.things import THINGS, Thing, opened, put, scan
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = opened(Path(sys.argv[1]))
used = max(file.stat().st_size for file in Path(sys.argv[1]).parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (used + 1_000_000, resource.RLIM_INFINITY))
before = scan(store)
kept = []
refused = []
thing = None


def one_by_one():
    global thing
    for number in range(1, 8000):
        thing = Thing("fruit", str(number).zfill(4), tags={"filling": "x" * 500})
        try:
            put(store, thing)
        except StoreFault as error:
            refused.append(error)
            if store.current is None:
                return
        else:
            kept.append(thing)


if sys.argv[2] == "one large transaction":
    try:
        with store.transaction():
            one_by_one()  # each one that fails is caught inside
    except StoreFault as error:
        refused.append(error)
    kept = []
else:
    one_by_one()
    assert 5 < len(kept) < 2000, len(kept)
assert isinstance(refused[0], StorageFull), refused[0]
assert isinstance(refused[-1], StorageFull), refused[-1]
kept = before + kept
assert scan(store) == kept
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
put(store, thing)
assert scan(store) == [*kept, thing]
print(refused[0])
"""


@pytest.mark.parametrize("how", ["one by one", "one large transaction"])
def test_a_full_disk_is_told_of_and_when_there_is_room_again_the_vault_goes_on(
    path: Path, store: Store, how: str
) -> None:
    put(store, Thing("fruit", "0000", tags={"filling": "x" * 500}))
    store.close()
    done = subprocess.run([sys.executable, "-c", FULL, str(path), how], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "vault.db" in done.stdout
    assert "Nothing was changed" in done.stdout
    assert len(scan(opened(path))) >= 2


READ_ONLY = """
import os, sys
from pathlib import Path
from kvstack.vault.faults import StorageReadOnly
from kvstack.vault.store import Store
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    Store.open(Path(sys.argv[1]), existing=True)
except StorageReadOnly as error:
    print(error)
"""


def test_a_vault_that_cannot_be_written_is_told_of(path: Path, store: Store) -> None:
    put(store, Thing("fruit", "apple"))
    store.close()
    path.chmod(0o400)
    done = subprocess.run([sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, check=True)
    assert "must be writable by whoever uses the vault" in done.stdout


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_CORRUPT, faults.CorruptStore),
        (sqlite3.SQLITE_CORRUPT_INDEX, faults.CorruptStore),
        (sqlite3.SQLITE_NOTADB, faults.CorruptStore),
        (sqlite3.SQLITE_ERROR, faults.CorruptStore),
        (sqlite3.SQLITE_FULL, faults.StorageFull),
        (sqlite3.SQLITE_IOERR_WRITE, faults.StorageFull),
        (sqlite3.SQLITE_READONLY, faults.StorageReadOnly),
        (sqlite3.SQLITE_READONLY_DBMOVED, faults.StorageReadOnly),
        (sqlite3.SQLITE_CANTOPEN, faults.StorageReadOnly),
        (sqlite3.SQLITE_BUSY, faults.StoreBusy),
        (sqlite3.SQLITE_BUSY_RECOVERY, faults.StoreBusy),
        (sqlite3.SQLITE_NOMEM, faults.StoreFault),
    ],
)
def test_every_error_of_the_database_has_its_words(code: int, expected: type[KvstackError]) -> None:
    error = sqlite3.OperationalError("words of SQLite")
    error.sqlite_errorcode = code
    fault = faults.of_database(error, Path("vault.db"))
    assert type(fault) is expected
    assert "vault.db" in str(fault)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, faults.StorageFull),
        (errno.EDQUOT, faults.StorageFull),
        (errno.EROFS, faults.StorageReadOnly),
        (errno.EACCES, faults.StorageReadOnly),
        (errno.EIO, faults.StoreFault),
    ],
)
def test_every_error_of_a_file_has_its_words(number: int, expected: type[KvstackError]) -> None:
    fault = faults.of_file(OSError(number, "words of the system"), Path("vault.db"))
    assert type(fault) is expected


def test_a_statement_that_fails_in_a_block_is_a_fault_too(store: Store) -> None:
    def fail() -> None:
        with store.transaction() as tx:
            put(store, Thing("fruit", "apple"))
            tx.connection.execute("SELECT * FROM missing")

    with pytest.raises(faults.CorruptStore, match="no such table"):
        fail()
    assert scan(store) == []
