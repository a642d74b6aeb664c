"""What is going to be due, found by the hour without reading everything: an index over all rows that carry a date.

Each row with a date has one entry, under the day and the hour of its earliest date. The ledger counts the entries of
every day and hour, so that one that was removed or moved is noticed; nobody looks at days before the mark, where there
are none left. The entry says only where to look: what is due is computed from the row itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from kvstack.vault.table import Row, Table

if TYPE_CHECKING:
    from kvstack.vault.transaction import Transaction

# From here on reading all entries is cheaper than asking day by day.
_MANY_DAYS = 2000
_DAY = timedelta(days=1)
_MARK = "agenda"


class AgendaRow(Row, frozen=True):
    """One entry. thing: the row's table and key; day, hour: of `at`, as text; at: the row's earliest date."""

    thing: str
    day: str
    hour: str
    at: datetime
    table: str
    key: tuple[str, ...]


class AgendaMark(Row, frozen=True):
    """From which day on there may be entries. looked: on which day somebody looked last, and found nothing to do."""

    id: str
    day: date
    looked: date | None = None


AGENDA = Table("agenda", AgendaRow, ("thing",), (("day",), ("hour",)))
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
        found = ((action, of(row)) for action, of in self._dates.items())
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
    MARKS.put(tx, AgendaMark(_MARK, _day(now)))


def begun(tx: "Transaction") -> bool:
    """Tell whether there is an agenda: not in a vault an older kvstack made, until `build`."""
    return MARKS.get(tx, _MARK) is not None


def build(tx: "Transaction", tables: Iterable[DatedTable[Any]], now: datetime) -> None:
    """Write the entries of all rows of a vault that an older kvstack made."""
    for table in tables:
        for row in table.scan(tx):
            table.enter(tx, row)
    MARKS.put(tx, AgendaMark(_MARK, min((_day(row.at) for row in AGENDA.scan(tx)), default=_day(now))))


def entries(tx: "Transaction", until: datetime) -> Iterator[AgendaRow]:
    """Yield the entries with a date up to this one. Raises TamperedRow, also where one is missing."""
    mark, last = _mark(tx), _day(until)
    if last - mark > _MANY_DAYS * _DAY:
        found: Iterable[AgendaRow] = AGENDA.scan(tx)
    else:
        found = (row for day in _days(mark, last) for row in _of_day(tx, day, until))
    return (row for row in found if row.at <= until)


def advance(tx: "Transaction", now: datetime) -> None:
    """Move the mark on to the first day with an entry, at most to today; note that somebody looked."""
    mark, last = _mark(tx), _day(now)
    if last - mark > _MANY_DAYS * _DAY:
        first = min((_day(row.at) for row in AGENDA.scan(tx)), default=last)
    else:
        first = next((day for day in _days(mark, last) if AGENDA.count(tx, day=day.isoformat())), last)
    there = MARKS.get(tx, _MARK)
    # Written once a day, also where an entry that waits (in a soft-deleted vault) holds the mark: it is a sign of life.
    if mark < min(first, last) or there is None or there.looked != last:
        MARKS.put(tx, AgendaMark(_MARK, max(mark, min(first, last)), last))


def _enter(tx: "Transaction", table: str, key: tuple[str, ...], at: datetime | None) -> None:
    thing = "/".join((table, *key))
    there = AGENDA.get(tx, thing) if AGENDA.generation(tx, thing) is not None else None
    if at is None:
        if there is not None:
            AGENDA.delete(tx, thing)
        return
    if there is not None and there.at == at:
        return
    day, hour = _day(at), _hour(at)
    AGENDA.put(tx, AgendaRow(thing, day.isoformat(), hour, at, table, key))
    mark = MARKS.get(tx, _MARK)
    if mark is not None and day < mark.day:
        MARKS.put(tx, AgendaMark(_MARK, day))


def _mark(tx: "Transaction") -> date:
    mark = MARKS.get(tx, _MARK)
    return mark.day if mark is not None else date.min


def _of_day(tx: "Transaction", day: date, until: datetime) -> Iterator[AgendaRow]:
    """Yield the entries of a day, of the last one those of its hours that have begun."""
    text = day.isoformat()
    # Most days have none: the count is enough to know, and it is as hard to change as a row.
    if not AGENDA.count(tx, day=text):
        return
    if day < _day(until):
        yield from AGENDA.scan(tx, day=text)
        return
    for number in range(until.astimezone(UTC).hour + 1):
        hour = f"{text}T{number:02}"
        if AGENDA.count(tx, hour=hour):
            yield from AGENDA.scan(tx, hour=hour)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + _DAY * count for count in range((last - first).days + 1))


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _hour(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[:13]
