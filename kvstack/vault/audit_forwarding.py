"""Records handed over to others: at least once, in order, from a position that is kept in the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import msgspec

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault import faults
from kvstack.vault.audit import AuditLog
from kvstack.vault.audit_begin import audit_begin
from kvstack.vault.audit_destinations import Destination, hand_over
from kvstack.vault.audit_record import read_record
from kvstack.vault.exclusive import exclusive
from kvstack.vault.layout import Layout
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction

_AT_ONCE = 500


class ForwardedRow(Row, frozen=True, kw_only=True):
    """How far a destination has come. position: of the last record it has taken."""

    name: str
    position: int


FORWARDED = Table("audit_forwarded", ForwardedRow, ("name",))


class Forwarded(msgspec.Struct, frozen=True):
    """What became of one destination. records: it has taken now; position: of the last one; failure: why it took no
    more, None where nothing waits for it."""

    name: str
    records: int
    position: int
    failure: KvstackError | None = None


def forwarded(log: AuditLog, destination: Destination) -> Forwarded:
    """Hand over all that waits for a destination. A failure is returned: others are not to wait for it."""
    with log.store.transaction() as tx:
        position, begin = _position(tx, destination.name), audit_begin(tx).position
    if position < begin:
        return Forwarded(destination.name, 0, position, _archived_before(destination.name, position, begin))
    count = 0
    rows = log.rows(after=position)
    while batch := [(row[0], read_record(row)) for row in islice(rows, _AT_ONCE)]:
        if batch[0][0] != position + 1:
            raise faults.TamperedAudit(f"has lost its record {position + 1}, which `{destination.name}` has not taken")
        try:
            hand_over(destination, batch)
        except KvstackError as error:
            return Forwarded(destination.name, count, position, error)
        position, count = batch[-1][0], count + len(batch)
        with log.store.transaction() as tx:
            FORWARDED.put(tx, ForwardedRow(name=destination.name, position=position))
    return Forwarded(destination.name, count, position)


def require_forwarded(tx: Transaction, destinations: tuple[Destination, ...], last: int) -> None:
    """Refuse to take records out of the store that a destination has not taken. Raises KvstackError."""
    for destination in destinations:
        position = _position(tx, destination.name)
        if position < last:
            raise KvstackError(
                f"the records {position + 1} to {last} were not forwarded to `{destination.name}` yet",
                "Run `kvstack audit forward`, or take the destination out of the configuration.",
            )


def _position(tx: Transaction, name: str) -> int:
    row = FORWARDED.get(tx, name)
    return row.position if row is not None else audit_begin(tx).position


def _archived_before(name: str, position: int, begin: int) -> KvstackError:
    return KvstackError(
        f"the records {position + 1} to {begin} were archived before `{name}` had taken them",
        "Hand them over by `kvstack audit export --segment FILE`, and give the destination another name from here on.",
    )


@contextmanager
def forwarding_alone(paths: Layout) -> Iterator[None]:
    """Hold the lock of whoever forwards. Raises KvstackError where another process does."""
    with exclusive(
        paths.root / "forward.lock", "another `kvstack audit forward` is running", "One is enough: it does all."
    ):
        yield
