"""What only reads is recorded in a file of its process, and is in the audit for whoever looks: once, in order."""

import stat
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.vault.audit import AuditLog
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.store import Store
from tests.vault.foundation.test_audit import AUDIT_KEY, change, read, record
from tests.vault.foundation.things import Thing, close_all, new_store, opened, put, undone


@pytest.fixture
def log(store: Store) -> AuditLog:
    return AuditLog(store, AUDIT_KEY)


# Says each number once its record is with the operating system.
READER = """
import sys
from pathlib import Path
from kvstack.vault.audit import AuditLog
from tests.vault.foundation.test_audit import AUDIT_KEY, read
from tests.vault.foundation.things import opened
store = opened(Path(sys.argv[1]))
log = AuditLog(store, AUDIT_KEY)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    read(store, log, number)
    print(number, flush=True)
"""


def reader(path: Path, first: int, last: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", READER, str(path), str(first), str(last)], stdout=subprocess.PIPE, bufsize=0
    )


def killed_reader(path: Path, acknowledged: int) -> list[int]:
    """Have a process read until it said so many, and kill it. Returns what it said."""
    with reader(path, 0, 100_000) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(acknowledged)]
        process.kill()
        said += process.stdout.readlines()
    return [int(line) for line in said if line.endswith(b"\n")]


def files(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.audit*"))


def numbers(log: AuditLog) -> list[int]:
    first = record(0).time
    return [round((one.time - first).total_seconds() / 60) for one in log.records()]


def test_what_a_process_read_is_in_the_audit_for_itself_and_for_others_once(
    path: Path, store: Store, log: AuditLog
) -> None:
    for number in range(100):
        read(store, log, number)
    (file,) = files(path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other_store = opened(path)
    other = AuditLog(other_store, AUDIT_KEY)
    for who in (other, log, other):
        assert numbers(who) == list(range(100))
        assert (who.verify().records, who.verify().problem) == (100, None)
    for number in range(100, 150):
        read(store, log, number)
    for who in (log, other):
        assert numbers(who) == list(range(150))
    log.stop()
    assert files(path) == []
    assert (numbers(other), other.verify().problem) == (list(range(150)), None)


def test_what_a_process_read_before_it_changed_something_stands_before_it(store: Store, log: AuditLog) -> None:
    for number in range(40):
        (change if number % 20 == 19 else read)(store, log, number)
    assert numbers(log) == list(range(40))


def test_what_was_undone_takes_no_record_along(store: Store, log: AuditLog) -> None:
    for number in range(40):
        read(store, log, number)
    with undone(store) as tx:
        log.append(tx, record(40))
    with undone(store) as tx:
        put(store, Thing("fruit", "apple"))
        log.append(tx, record(41))
        assert log.end(tx)[0] == 40
    with store.transaction() as tx:
        log.append(tx, record(42))
        with undone(store) as inner:
            assert log.end(inner)[0] == 40
            log.append(inner, record(43))
    change(store, log, 44)
    assert numbers(log) == [*range(40), 42, 44]
    assert log.verify().problem is None


def test_a_file_that_is_full_is_taken_in(store: Store, log: AuditLog) -> None:
    long = "/vaults/payments/secrets/" + "x" * 50_000
    for number in range(60):
        read(store, log, number, long)
    assert numbers(log) == list(range(60))
    assert log.verify().problem is None


@pytest.mark.parametrize("acknowledged", [5, 17, 18, 300, 1_200])
def test_a_reader_killed_at_any_instant_is_in_the_audit_with_all_it_was_answered(
    path: Path, store: Store, log: AuditLog, acknowledged: int
) -> None:
    said = killed_reader(path, acknowledged)
    assert said == list(range(len(said)))
    found = numbers(log)
    # The last one may have been recorded and not said.
    assert found in (said, [*said, len(said)])
    assert files(path) == []
    assert (numbers(log), log.verify().problem) == (found, None)
    change(store, log, 9)
    assert log.verify().records == len(found) + 1


def test_processes_that_read_at_once_lose_nothing(path: Path, store: Store, log: AuditLog) -> None:
    processes = [reader(path, start, start + 400) for start in (0, 1000)]
    while any(process.poll() is None for process in processes):
        numbers(log)  # somebody looks all the while
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    found = numbers(log)
    assert [number for number in found if number < 1000] == list(range(400))
    assert [number for number in found if number >= 1000] == list(range(1000, 1400))
    assert log.verify().problem is None


# Somebody who owns the files, after a process was killed. `_LENGTH` of an entry stands in four bytes before it.


def edited(content: bytes) -> bytes:
    return content[:400] + bytes([content[400] ^ 1]) + content[401:]


def without_the_second(content: bytes) -> bytes:
    first = 4 + int.from_bytes(content[:4])
    second = 4 + int.from_bytes(content[first : first + 4])
    return content[:first] + content[first + second :]


def without_the_first(content: bytes) -> bytes:
    return content[4 + int.from_bytes(content[:4]) :]


def with_a_length_beyond_its_end(content: bytes) -> bytes:
    return b"\xff" + content[1:]


@pytest.mark.parametrize("way", [edited, without_the_second, without_the_first, with_a_length_beyond_its_end])
def test_a_file_that_was_edited_is_not_believed(path: Path, store: Store, log: AuditLog, way: object) -> None:
    assert callable(way)
    killed_reader(path, 40)
    (file,) = files(path)
    file.write_bytes(way(file.read_bytes()))
    # What this log has no hand to sign with says so at once; a vault's audits it (tests/vault/service).
    with store.transaction() as tx, pytest.raises(TamperedAudit, match="edited"):
        log.end(tx)


def test_a_file_that_ends_early_loses_what_is_not_there(path: Path, store: Store, log: AuditLog) -> None:
    killed_reader(path, 40)
    (file,) = files(path)
    content = file.read_bytes()
    file.write_bytes(content[:2048].ljust(len(content), b"\x00"))  # as a loss of power leaves it
    found = numbers(log)
    assert found == list(range(len(found)))
    assert 16 < len(found) < 40
    assert log.verify().problem is None


def test_a_file_that_is_put_back_is_not_taken_in_again(path: Path, store: Store, log: AuditLog) -> None:
    killed_reader(path, 40)
    (file,) = files(path)
    kept = file.read_bytes()
    count = len(numbers(log))
    assert files(path) == []
    file.write_bytes(kept)
    assert len(numbers(log)) == count  # how far it was taken in is known, and after that
    assert files(path) == []
    change(store, log, 1)
    with store.transaction() as tx:
        log.end(tx)  # that there is such a process is not
    file.write_bytes(kept)
    with store.transaction() as tx, pytest.raises(TamperedAudit, match="edited"):
        log.end(tx)
    file.unlink()
    assert log.verify().records == count + 1


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1]), st.sampled_from(["read", "reading", "change", "look", "undo", "batch", "stop"])
        ),
        max_size=40,
    ),
    st.integers(0, 30),
)
def test_whatever_two_processes_do_each_record_is_there_once_in_the_order_of_its_process(
    steps: list[tuple[int, str]], before: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vault.db"
        stores = [new_store(path), opened(path)]
        logs = [AuditLog(one, AUDIT_KEY) for one in stores]
        done: list[list[int]] = [[], []]
        for number, (who, what) in enumerate([*((0, "read") for _ in range(before)), *steps]):
            store, log = stores[who], logs[who]
            match what:
                case "read" | "change":
                    (read if what == "read" else change)(store, log, number)
                    done[who].append(number)
                case "reading":
                    with store.reading() as tx:
                        log.append(tx, record(number))
                    done[who].append(number)
                case "look":
                    assert Counter(numbers(log)) == Counter(done[0] + done[1])
                case "undo":
                    with undone(store) as tx:
                        log.append(tx, record(number))
                        log.end(tx)
                case "batch":
                    with store.transaction():
                        read(store, log, number)
                        change(store, log, number)
                    done[who] += [number, number]
                case "stop":
                    log.stop()
                    logs[who] = AuditLog(store, AUDIT_KEY)
                    store.participants.remove(log)
        for log in logs:
            found = numbers(log)
            assert Counter(found) == Counter(done[0] + done[1])
            for own in done:
                assert [one for one in found if one in own] == own
            assert log.verify().problem is None
        for log in logs:
            log.stop()
        assert files(path) == []
        close_all()
