"""Transactions: whole or not at all, alone in their thread, on the disk when they changed something."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kvstack.vault.durability import GroupSync
from kvstack.vault.faults import CorruptStore, StoreBusy, StoreClosed, StoreFault
from kvstack.vault.store import Store
from tests.vault.foundation.things import THINGS, Thing, get, new_store, opened, put, scan, undone

APPLE = Thing("fruit", "apple")
PEAR = Thing("fruit", "pear")
PLUM = Thing("fruit", "plum")


def test_a_transaction_that_raises_changes_nothing(path: Path, store: Store) -> None:
    with undone(store) as tx:
        THINGS.put(tx, APPLE)
    assert scan(store) == scan(opened(path)) == []


def test_a_nested_transaction_that_raises_undoes_itself_alone(path: Path, store: Store) -> None:
    with store.transaction() as tx:
        THINGS.put(tx, APPLE)
        with undone(store) as inner:
            THINGS.put(inner, PEAR)
            THINGS.delete(inner, "fruit", "apple")
        with store.transaction() as inner:
            THINGS.put(inner, PLUM)
    assert scan(store) == scan(opened(path)) == [APPLE, PLUM]


def test_a_kept_nested_transaction_is_undone_with_the_one_around_it(store: Store) -> None:
    with undone(store):
        put(store, APPLE)
    assert scan(store) == []


def test_changed_tells_of_the_whole_and_changed_here_of_the_innermost(store: Store) -> None:
    with store.transaction() as tx:
        THINGS.put(tx, APPLE)
        with store.transaction():
            assert (tx.changed, tx.changed_here) == (True, False)
            THINGS.put(tx, PEAR)
            assert (tx.changed, tx.changed_here) == (True, True)
        assert tx.changed_here


def test_only_the_thread_in_a_transaction_has_it(store: Store) -> None:
    seen: list[object] = []
    with store.transaction() as tx:
        assert store.current is tx
        thread = threading.Thread(target=lambda: seen.append(store.current))
        thread.start()
        thread.join()
    assert seen == [None]
    assert store.current is None


def test_threads_take_turns(store: Store) -> None:
    def count() -> None:
        for _ in range(50):
            with store.transaction() as tx:
                before = THINGS.get(tx, "fruit", "apple") or APPLE
                THINGS.put(tx, Thing("fruit", "apple", size=before.size + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(store, "fruit", "apple") == Thing("fruit", "apple", size=200)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_their_owners_alone_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = new_store(path)
        put(store, APPLE)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    store.close()
    assert modes == {f"vault.db{part}": 0o600 for part in ("", "-wal", "-shm", "-turn", "-next")}


def test_a_database_that_others_could_read_is_closed_to_them(path: Path, store: Store) -> None:
    store.close()
    path.chmod(0o644)
    opened(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_database_is_named(path: Path) -> None:
    with pytest.raises(CorruptStore, match=r"vault\.db: the vault's database is missing"):
        Store.open(path, existing=True)
    assert not path.exists()


def test_a_store_is_locked_before_it_has_its_key(path: Path, store: Store) -> None:
    locked = Store.open(path)
    with pytest.raises(StoreClosed), locked.transaction():
        pass
    locked.close()


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreClosed), store.transaction():
        pass


def test_another_process_that_holds_the_vault_too_long_is_told_of(path: Path, store: Store) -> None:
    impatient = opened(path, busy_seconds=0.01)
    with store.transaction(), pytest.raises(StoreBusy, match="another process is using the vault"):
        get(impatient, "fruit", "apple")
    assert get(impatient, "fruit", "apple") is None
    impatient.close()


def test_a_store_is_not_carried_over_a_fork(path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from kvstack.vault.faults import StoreClosed
from tests.vault.foundation.things import get, new_store
store = new_store(Path(sys.argv[1]))
if os.fork() == 0:
    try:
        get(store, "fruit", "apple")
    except StoreClosed:
        os._exit(0)
    os._exit(1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0


class SlowDisk(GroupSync):
    """A disk whose flushes end when they are told to."""

    def __init__(self) -> None:
        super().__init__(Path("unused"))
        self.flushes = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def _flush(self) -> None:
        self.flushes += 1
        self.begun.set()
        self.go_on.wait(10)


def test_commits_that_wait_together_share_one_flush() -> None:
    disk = SlowDisk()
    first = threading.Thread(target=disk.wait, args=(disk.committed(),))
    first.start()
    disk.begun.wait(10)
    rest = [threading.Thread(target=disk.wait, args=(disk.committed(),)) for _ in range(8)]
    for thread in rest:
        thread.start()
    disk.go_on.set()
    for thread in (first, *rest):
        thread.join()
    assert disk.flushes == 2


class BrokenDisk(GroupSync):
    """A disk that fails once."""

    failed = False

    def _flush(self) -> None:
        if not self.failed:
            self.failed = True
            raise OSError(5, "Input/output error")


def test_after_a_failed_flush_nothing_is_called_durable_any_more() -> None:
    disk = BrokenDisk(Path("vault.db-wal"))
    for _ in range(2):
        with pytest.raises(StoreFault, match="Input/output error"):
            disk.wait(disk.committed())
    assert disk.broken
