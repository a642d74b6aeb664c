"""What time it is: the system's clock, a simulated one, and the guard against a clock that cannot be believed."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.store import Store
from kvstack.vault.table import Row, Table
from kvstack.vault.time_step import TimeStep, microseconds, moment, step
from kvstack.vault.transaction import Transaction


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...


class SystemClock:
    """The computer's clock."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return datetime.now(UTC)


class SimulatedMoment(Row, frozen=True):
    """The one row that holds the simulated time."""

    id: str
    now: datetime


_TABLE = Table("simulated_clock", SimulatedMoment, key=("id",))
_ID = "clock"


class SimulatedClock:
    """A clock that stands still until it is moved, and is kept in the store: all processes see the same time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now(self) -> datetime:
        """Return the time it was moved to last."""
        if (tx := self._store.current) is not None:
            return self._read(tx)
        with self._store.transaction() as tx:
            return self._read(tx)

    def set(self, moment: datetime) -> None:
        """Move the clock, forwards or backwards. moment: aware."""
        with self._store.transaction() as tx:
            _TABLE.put(tx, SimulatedMoment(_ID, moment.astimezone(UTC)))

    def advance(self, by: timedelta) -> datetime:
        """Move the clock on, or back. Returns the new time."""
        with self._store.transaction():
            later = self.now() + by
            self.set(later)
        return later

    @staticmethod
    def _read(tx: Transaction) -> datetime:
        row = _TABLE.get(tx, _ID)
        if row is None:
            raise KvstackError("this vault's simulated clock was never set", "Set it first: it has no time of its own.")
        return row.now


class TimeGuard:
    """Tells whether a time can be believed, by the high-water mark of time in the ledger's root.

    Every change moves the mark to the time its audit record gives. A step (back, or further ahead than
    `LONGEST_PAUSE`) stays one, whatever is done meanwhile, until `confirm`: nothing may be purged until then.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def mark(self) -> datetime | None:
        """Return the latest time the vault has seen, None where nothing was marked."""
        with self._store.reading() as tx:
            return moment(tx.ledger.root.time) if tx.ledger.root.time else None

    def check(self, now: datetime) -> TimeStep:
        """Return Steady, StepBack or StepForward."""
        return step(self.mark(), now)

    def confirm(self, tx: Transaction, now: datetime) -> None:
        """Believe this time from here on, whatever was marked before. Why, and by whom, is audited by the caller."""
        tx.ledger.set_time(tx, microseconds(now))
