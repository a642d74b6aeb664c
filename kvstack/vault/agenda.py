"""What is going to be due, found by the hour without reading everything: an index over all rows that carry a date.

Each row with a date has one entry, under the hour of its earliest date. The ledger counts the entries of every hour, so
that one that was removed or moved to another hour is noticed; nobody looks at hours before the mark, where nothing is
left. The entry says only where to look: what is due is computed from the row itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from kvstack.vault.table import Row, Table

if TYPE_CHECKING:
    from kvstack.vault.transaction import Transaction

# From here on reading all entries is cheaper than asking hour by hour.
_MANY_HOURS = 2000
_HOUR = timedelta(hours=1)
_MARK = "agenda"


class AgendaRow(Row, frozen=True):
    """One entry. thing: the row's table and key; hour: of `at`, as text; at: the row's earliest date."""

    thing: str
    hour: str
    at: datetime
    table: str
    key: tuple[str, ...]


class AgendaMark(Row, frozen=True):
    """From which hour on there may be entries."""

    id: str
    hour: datetime


AGENDA = Table("agenda", AgendaRow, ("thing",), (("hour",),))
MARKS = Table("agenda_marks", AgendaMark, ("id",))

R = TypeVar("R", bound=Row)


class DatedTable(Table[R]):
    """A table whose rows carry dates: whoever writes one writes its entry with it. dates: of each kind of work."""

    def __init__(
        self, name: str, row: type[R], key: tuple[str, ...], dates: Mapping[str, Callable[[R], datetime | None]]
    ) -> None:
        super().__init__(name, row, key)
        self._dates = dates

    def dates(self, row: R) -> dict[str, datetime]:
        """Return when something is to be done with it, by the kind of work."""
        found = ((action, date(row)) for action, date in self._dates.items())
        return {action: at for action, at in found if at is not None}

    def put(self, tx: "Transaction", row: R) -> None:
        """Insert a row, or replace the one of the same key."""
        super().put(tx, row)
        _enter(tx, self.name, self._key_of(row), min(self.dates(row).values(), default=None))

    def delete(self, tx: "Transaction", *key: str) -> None:
        """Delete a row; one that is not there is no error. Raises TamperedRow."""
        super().delete(tx, *key)
        _enter(tx, self.name, key, None)

    def enter(self, tx: "Transaction", row: R) -> None:
        """Write the entry of a row that was written before there was an agenda."""
        _enter(tx, self.name, self._key_of(row), min(self.dates(row).values(), default=None))


def begin(tx: "Transaction", now: datetime) -> None:
    """Begin the agenda of a new vault."""
    MARKS.put(tx, AgendaMark(_MARK, _hour(now)))


def begun(tx: "Transaction") -> bool:
    """Tell whether there is an agenda: not in a vault an older kvstack made, until `build`."""
    return MARKS.get(tx, _MARK) is not None


def build(tx: "Transaction", tables: Iterable[DatedTable[Any]], now: datetime) -> None:
    """Write the entries of all rows of a vault that an older kvstack made."""
    for table in tables:
        for row in table.scan(tx):
            table.enter(tx, row)
    MARKS.put(tx, AgendaMark(_MARK, min((_hour(row.at) for row in AGENDA.scan(tx)), default=_hour(now))))


def entries(tx: "Transaction", until: datetime) -> Iterator[AgendaRow]:
    """Yield the entries with a date up to this one. Raises TamperedRow, also where one is missing."""
    mark = _mark(tx)
    if until - mark > _MANY_HOURS * _HOUR:
        found: Iterable[AgendaRow] = AGENDA.scan(tx)
    else:
        found = (row for hour in _hours(mark, until) for row in _of_hour(tx, hour))
    return (row for row in found if row.at <= until)


def advance(tx: "Transaction", now: datetime) -> None:
    """Move the mark on to the first hour with an entry, at most to this one."""
    mark, last = _mark(tx), _hour(now)
    if last - mark > _MANY_HOURS * _HOUR:
        first = min((_hour(row.at) for row in AGENDA.scan(tx)), default=last)
    else:
        first = next((hour for hour in _hours(mark, last) if AGENDA.count(tx, hour=_text(hour))), last)
    if mark < min(first, last):
        MARKS.put(tx, AgendaMark(_MARK, min(first, last)))


def _enter(tx: "Transaction", table: str, key: tuple[str, ...], at: datetime | None) -> None:
    thing = "/".join((table, *key))
    there = AGENDA.get(tx, thing) if AGENDA.generation(tx, thing) is not None else None
    if at is None:
        if there is not None:
            AGENDA.delete(tx, thing)
        return
    if there is not None and there.at == at:
        return
    AGENDA.put(tx, AgendaRow(thing, _text(_hour(at)), at, table, key))
    mark = MARKS.get(tx, _MARK)
    if mark is not None and _hour(at) < mark.hour:
        MARKS.put(tx, AgendaMark(_MARK, _hour(at)))


def _mark(tx: "Transaction") -> datetime:
    mark = MARKS.get(tx, _MARK)
    return mark.hour if mark is not None else datetime.min.replace(tzinfo=UTC)


def _of_hour(tx: "Transaction", hour: datetime) -> list[AgendaRow]:
    text = _text(hour)
    # Most hours have none: the count is enough to know, and it is as hard to change as a row.
    return AGENDA.scan(tx, hour=text) if AGENDA.count(tx, hour=text) else []


def _hours(first: datetime, last: datetime) -> Iterator[datetime]:
    return (first + _HOUR * count for count in range((last - first) // _HOUR + 1))


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _text(hour: datetime) -> str:
    return hour.isoformat()[:13]
