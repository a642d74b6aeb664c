"""Several processes at once, and processes that die in the middle of writing."""

import subprocess
import sys
from pathlib import Path

import pytest

from kvstack.vault.audit import AuditLog
from kvstack.vault.store import Store
from tests.vault.foundation.things import THINGS, Thing, get, new_store, opened, scan

# Writes pairs of rows that belong together, and says each number when it is on the disk.
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from kvstack.vault.audit import AuditLog, AuditRecord
from tests.vault.foundation.things import THINGS, Thing, opened
store = opened(Path(sys.argv[1]))
log = AuditLog(store, b"a" * 32)
first, last = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    with store.transaction() as tx:
        counter = THINGS.get(tx, "counter", "all") or Thing("counter", "all")
        THINGS.put(tx, Thing("counter", "all", size=counter.size + 1))
        THINGS.put(tx, Thing("left", str(number), size=number))
        THINGS.put(tx, Thing("right", str(number), size=number))
        if number % 3 == 0 and number > first:
            THINGS.delete(tx, "left", str(number - 1))
            THINGS.delete(tx, "right", str(number - 1))
        log.append(tx, AuditRecord(time=datetime.now(UTC), operation="Set", resource=f"/{number}", caller="writer"))
    print(number, flush=True)
"""


def writer(path: Path, first: int, last: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first), str(last)], stdout=subprocess.PIPE, bufsize=0
    )


def assert_whole(store: Store) -> None:
    """Nothing is half there, and everything adds up."""
    left, right = scan(store, vault="left"), scan(store, vault="right")
    assert [thing.size for thing in left] == [thing.size for thing in right]
    counter = get(store, "counter", "all")
    log = AuditLog(store, b"a" * 32)
    report = log.verify()
    assert report.problem is None
    assert report.records == (counter.size if counter else 0)


@pytest.mark.parametrize("acknowledged", [1, 7, 20, 45])
def test_a_writer_killed_at_any_instant_leaves_what_it_acknowledged_and_nothing_half(
    path: Path, store: Store, acknowledged: int
) -> None:
    with writer(path, 0, 100_000) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(acknowledged)]
        process.kill()
        said += process.stdout.readlines()
    numbers = [int(line) for line in said if line.endswith(b"\n")]
    for opener in (store, opened(path)):
        assert_whole(opener)
        counter = get(opener, "counter", "all")
        assert counter is not None
        # The last one may have been committed and not said.
        assert counter.size in {len(numbers), len(numbers) + 1}
        with opener.transaction() as tx:
            THINGS.put(tx, Thing("fruit", "apple"))


def test_processes_that_write_at_once_lose_nothing(path: Path, store: Store) -> None:
    processes = [writer(path, start, start + 40) for start in (0, 1000)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    counter = get(store, "counter", "all")
    assert counter is not None
    assert counter.size == 80
    assert_whole(store)
    assert AuditLog(store, b"a" * 32).verify().writers == 2


def test_a_process_sees_what_another_changed_under_its_hands(path: Path) -> None:
    one = new_store(path)
    two = opened(path)
    for number in range(6):
        writer_, reader = (one, two) if number % 2 else (two, one)
        with writer_.transaction() as tx:
            THINGS.put(tx, Thing("fruit", "apple", size=number))
            THINGS.delete(tx, "fruit", str(number - 1))
            THINGS.put(tx, Thing("fruit", str(number)))
        assert get(reader, "fruit", "apple") == Thing("fruit", "apple", size=number)
        assert get(reader, "fruit", str(number - 1)) is None
        assert len(scan(reader)) == 2
    one.close()
    two.close()
