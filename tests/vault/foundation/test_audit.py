"""The audit tells who did what, and tells when somebody changed it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvstack.vault.audit import AuditLog, AuditRecord
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.store import Store
from tests.vault.foundation.things import Thing, by_hand, flipped, opened, put, undone

AUDIT_KEY = b"a" * 32
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def record(number: int, resource: str = "/vaults/payments/secrets/db", operation: str = "SecretGet") -> AuditRecord:
    return AuditRecord(
        time=NOON + timedelta(minutes=number),
        operation=operation,
        resource=resource,
        caller="alice",
        caller_name="Alice",
    )


@pytest.fixture
def log(store: Store) -> AuditLog:
    return AuditLog(store, AUDIT_KEY)


def read(store: Store, log: AuditLog, number: int, resource: str = "/vaults/payments/secrets/db") -> None:
    """Do something that changes nothing."""
    with store.transaction() as tx:
        log.append(tx, record(number, resource))


def change(store: Store, log: AuditLog, number: int, resource: str = "/vaults/payments/secrets/db") -> None:
    """Do something that changes something."""
    with store.transaction() as tx:
        put(store, Thing("fruit", str(number)))
        log.append(tx, record(number, resource, "SecretSet"))


def test_records_come_back_as_they_went_in(store: Store, log: AuditLog) -> None:
    for number in range(5):
        read(store, log, number)
    assert list(log.records()) == [record(number) for number in range(5)]
    assert log.verify().records == 5
    assert log.verify().problem is None


def test_an_empty_audit_is_whole(log: AuditLog) -> None:
    assert list(log.records()) == []
    assert log.verify().problem is None


def test_records_are_found_by_time_and_resource(store: Store, log: AuditLog) -> None:
    for number, resource in enumerate(["/vaults/a", "/vaults/a/secrets/s", "/vaults/ab", "/VAULTS/A/keys/k"]):
        read(store, log, number, resource)
    assert [r.resource for r in log.records(subject="/vaults/a")] == [
        "/vaults/a",
        "/vaults/a/secrets/s",
        "/VAULTS/A/keys/k",
    ]
    assert [r.resource for r in log.records(since=NOON + timedelta(minutes=2))] == ["/vaults/ab", "/VAULTS/A/keys/k"]
    assert [r.resource for r in log.records(subject="/vaults/a", limit=1, newest_first=True)] == ["/VAULTS/A/keys/k"]
    assert list(log.records(limit=0)) == []


def test_many_records_are_read_a_page_at_a_time(store: Store, log: AuditLog) -> None:
    with store.transaction() as tx:
        for number in range(2500):
            log.append(tx, record(number))
    assert [r.time for r in log.records()] == [record(number).time for number in range(2500)]
    seen = log.records(newest_first=True)
    assert next(seen).time == record(2499).time
    read(store, log, 9999)  # a reader that stopped midway holds nobody up
    assert log.verify().records == 2501


def test_the_last_change_of_each_thing_is_known(store: Store, log: AuditLog) -> None:
    change(store, log, 1, "/vaults/a/secrets/S")
    change(store, log, 2, "/vaults/a/secrets/t")
    change(store, log, 3, "/vaults/a/secrets/s")
    read(store, log, 4, "/vaults/a/secrets/s")
    found = log.last_changes(["/vaults/A/secrets/s", "/vaults/a/secrets/t", "/vaults/a/secrets/none"])
    assert {path: one.time for path, one in found.items()} == {
        "/vaults/A/secrets/s": record(3).time,
        "/vaults/a/secrets/t": record(2).time,
    }


def test_in_a_batch_only_what_changed_counts_as_a_change(store: Store, log: AuditLog) -> None:
    with store.transaction():
        change(store, log, 1, "/a")
        read(store, log, 2, "/b")
    assert set(log.last_changes(["/a", "/b"])) == {"/a"}


def test_a_record_goes_with_the_transaction_that_is_undone(store: Store, log: AuditLog) -> None:
    with store.transaction() as tx:
        log.append(tx, record(1))
        with undone(store) as inner:
            log.append(inner, record(2))
        log.append(tx, record(3))
    with undone(store) as tx:
        log.append(tx, record(4))
    read(store, log, 5)
    assert list(log.records()) == [record(1), record(3), record(5)]
    assert log.verify().problem is None


def test_each_process_has_its_own_chain(path: Path, store: Store, log: AuditLog) -> None:
    other_store = opened(path)
    other = AuditLog(other_store, AUDIT_KEY)
    for number in range(0, 10, 2):
        read(store, log, number)
        change(other_store, other, number + 1)
    report = other.verify()
    assert (report.records, report.writers, report.problem) == (10, 2, None)
    assert [r.time for r in log.records()] == [record(number).time for number in range(10)]
    other_store.close()


# Tampering. Seven records: 1-3 read, 4 changes, 5-6 read, by one process; 7 by another one reads.


@pytest.fixture
def seven(path: Path, store: Store, log: AuditLog) -> AuditLog:
    for number in (1, 2, 3):
        read(store, log, number)
    change(store, log, 4)
    for number in (5, 6):
        read(store, log, number)
    other_store = opened(path)
    read(other_store, AuditLog(other_store, AUDIT_KEY), 7)
    other_store.close()
    assert log.verify().problem is None
    return log


@pytest.mark.parametrize("column", ["position", "writer", "sequence", "time", "changed", "body", "mac"])
@pytest.mark.parametrize("position", [1, 4, 6, 7])
def test_a_record_edited_in_any_column_is_found(path: Path, seven: AuditLog, column: str, position: int) -> None:
    with by_hand(path) as database:
        (value,) = database.execute(f"SELECT {column} FROM audit WHERE position = ?", (position,)).fetchone()
        value = 100 + position if column == "position" else flipped(value)
        database.execute(f"UPDATE audit SET {column} = ? WHERE position = ?", (value, position))
    problem = seven.verify().problem
    assert problem is not None
    assert problem.position == (value if column == "position" and position == 7 else problem.position)
    if column != "position":
        assert problem.position == position
        assert problem.operation in {"SecretGet", "SecretSet", ""}


Hand = Callable[[Path], None]


def statement(*statements: str) -> Hand:
    def hand(path: Path) -> None:
        with by_hand(path) as database:
            for one in statements:
                database.execute(one)

    return hand


@pytest.mark.parametrize(
    ("hand", "first_bad"),
    [
        pytest.param(statement("DELETE FROM audit WHERE position = 2"), 3, id="one taken out of the middle"),
        pytest.param(statement("DELETE FROM audit WHERE position = 1"), 2, id="the first taken out"),
        pytest.param(
            statement(
                "DELETE FROM audit WHERE position = 2", "UPDATE audit SET position = position - 1 WHERE position > 2"
            ),
            2,
            id="taken out and closed up",
        ),
        pytest.param(
            statement("DELETE FROM audit WHERE position >= 4"), 4, id="the last change and all after it cut off"
        ),
        pytest.param(statement("DELETE FROM audit"), 1, id="everything"),
        pytest.param(
            statement(
                "UPDATE audit SET position = -1 WHERE position = 2",
                "UPDATE audit SET position = 2 WHERE position = 3",
                "UPDATE audit SET position = 3 WHERE position = -1",
            ),
            2,
            id="two in each other's place",
        ),
        pytest.param(
            statement(
                "INSERT INTO audit SELECT 8, writer, sequence, time, changed, body, mac FROM audit WHERE position = 3"
            ),
            8,
            id="one shown twice",
        ),
        pytest.param(
            statement("INSERT INTO audit SELECT 8, 'x', 1, time, changed, body, mac FROM audit WHERE position = 3"),
            8,
            id="one from somebody unknown",
        ),
        pytest.param(
            statement("UPDATE audit SET body = (SELECT body FROM audit WHERE position = 5) WHERE position = 6"),
            6,
            id="one made of another",
        ),
    ],
)
def test_what_was_done_to_the_audit_is_found_and_placed(
    path: Path, seven: AuditLog, hand: Hand, first_bad: int
) -> None:
    hand(path)
    problem = seven.verify().problem
    assert problem is not None
    assert problem.position == first_bad


def test_records_since_the_last_change_can_be_cut_off_unnoticed(path: Path, seven: AuditLog) -> None:
    """The limit, told in the documentation; a checkpoint kept elsewhere is what moves it."""
    statement("DELETE FROM audit WHERE position > 4")(path)
    assert seven.verify().problem is None


@pytest.mark.parametrize("fresh", [True, False])
def test_nobody_writes_after_an_audit_that_lost_its_end(path: Path, store: Store, log: AuditLog, fresh: bool) -> None:
    for number in (1, 2):
        change(store, log, number)
    statement("DELETE FROM audit WHERE position = 2")(path)
    writer_store = opened(path) if fresh else store
    writer = AuditLog(writer_store, AUDIT_KEY) if fresh else log
    for use in (read, change):
        with pytest.raises(TamperedAudit, match="lost its record 2"):
            use(writer_store, writer, 3)
    problem = writer.verify().problem
    assert problem is not None
    assert problem.position == 2


def test_a_process_misses_its_own_last_record_even_where_nothing_changed(
    path: Path, store: Store, log: AuditLog
) -> None:
    read(store, log, 1)
    statement("DELETE FROM audit")(path)
    with pytest.raises(TamperedAudit):
        read(store, log, 2)


def test_an_unreadable_record_is_named_when_it_is_listed(path: Path, seven: AuditLog) -> None:
    statement("UPDATE audit SET body = x'c1' WHERE position = 3")(path)
    with pytest.raises(TamperedAudit, match="3"):
        list(seven.records())


# What was written before there were checkpoints, and before a record said what allowed it


def test_a_record_of_before_is_read_as_it_was_written() -> None:
    import msgspec

    from kvstack.vault.audit_record import read_record

    body = msgspec.msgpack.encode(
        {"time": NOON, "operation": "SecretGet", "resource": "/a", "caller": "alice", "correlation_id": "c"}
    )
    expected = AuditRecord(time=NOON, operation="SecretGet", resource="/a", caller="alice", correlation_id="c")
    assert read_record((1, "w", 1, 1, None, body, b"")) == expected


def test_a_root_of_before_knows_no_checkpoint() -> None:
    from kvstack.vault.ledger import Root, _decode_root, encode

    assert _decode_root(encode([3, [0, 7], 1, 5, b"mac", 9])) == Root(3, [0, 7], 1, 5, b"mac", 9)
