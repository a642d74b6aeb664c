"""The index of dates: whatever is written, undone, deleted and looked for, it finds what looking at all rows finds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.vault import agenda
from kvstack.vault.agenda import AGENDA, DatedTable
from kvstack.vault.store import Store
from kvstack.vault.table import Row
from tests.vault.foundation.things import new_store

START = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


class Dated(Row, frozen=True):
    """A row with two dates."""

    name: str
    soon: datetime | None = None
    late: datetime | None = None


DATED = DatedTable("dated", Dated, ("name",), {"soon": lambda row: row.soon, "late": lambda row: row.late})


def found(store: Store, until: datetime) -> set[str]:
    with store.transaction() as tx:
        return {entry.key[0] for entry in agenda.entries(tx, until)}


@pytest.fixture
def begun(store: Store) -> Store:
    with store.transaction() as tx:
        agenda.begin(tx, START)
    return store


def test_an_entry_is_under_the_earliest_date_and_goes_with_it(begun: Store) -> None:
    first, second = START + timedelta(hours=1), START + timedelta(days=400)
    with begun.transaction() as tx:
        DATED.put(tx, Dated("a", soon=second, late=first))
        DATED.put(tx, Dated("b"))
    assert found(begun, first - timedelta(microseconds=1)) == set()
    assert found(begun, first) == {"a"}
    with begun.transaction() as tx:
        DATED.put(tx, Dated("a", soon=second))
    assert found(begun, first) == set()
    assert found(begun, second) == {"a"}
    with begun.transaction() as tx:
        DATED.delete(tx, "a")
        assert AGENDA.count(tx) == 0


def test_days_that_are_over_are_not_looked_at_again_until_something_is_put_there(begun: Store) -> None:
    later = START + timedelta(days=100)
    with begun.transaction() as tx:
        agenda.advance(tx, later)
    with begun.transaction() as tx:
        DATED.put(tx, Dated("past", soon=START - timedelta(days=5)))
    assert found(begun, later) == {"past"}
    with begun.transaction() as tx:
        agenda.advance(tx, later)
    assert found(begun, later) == {"past"}


def test_rows_of_before_there_was_an_agenda_are_found_once_it_is_built(store: Store) -> None:
    with store.transaction() as tx:
        DATED.put(tx, Dated("a", soon=START - timedelta(days=3000)))
        AGENDA.delete(tx, "dated/a")
        assert not agenda.begun(tx)
        agenda.build(tx, [DATED], START)
        assert agenda.begun(tx)
    assert found(store, START) == {"a"}


MOMENTS = st.timedeltas(timedelta(days=-40), timedelta(days=40)).map(lambda by: START + by) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), LAST, START + timedelta(days=5000)]
)
DEEDS = st.lists(
    st.tuples(st.just("put"), st.sampled_from("abcdef"), st.none() | MOMENTS, st.none() | MOMENTS, st.booleans())
    | st.tuples(st.just("delete"), st.sampled_from("abcdef"), st.none(), st.none(), st.booleans())
    | st.tuples(st.just("advance"), st.just(""), MOMENTS, st.none(), st.booleans())
    | st.tuples(st.just("look"), st.just(""), MOMENTS, st.none(), st.just(True)),
    max_size=30,
)


@given(DEEDS)
@settings(max_examples=150, deadline=None)
def test_it_finds_what_looking_at_every_row_finds(
    deeds: list[tuple[str, str, datetime | None, datetime | None, bool]],
) -> None:
    rows: dict[str, Dated] = {}
    with TemporaryDirectory() as folder:
        store = new_store(Path(folder) / "vault.db")
        with store.transaction() as tx:
            agenda.begin(tx, START)
        for deed, name, first, second, kept in deeds:
            changed = dict(rows)
            try:
                with store.transaction() as tx:
                    match deed:
                        case "put":
                            changed[name] = Dated(name, first, second)
                            DATED.put(tx, changed[name])
                        case "delete":
                            changed.pop(name, None)
                            DATED.delete(tx, name)
                        case "advance":
                            assert first is not None
                            agenda.advance(tx, first)
                        case _:
                            assert first is not None
                            due = {one.key[0] for one in agenda.entries(tx, first)}
                            assert due == {
                                one.name
                                for one in rows.values()
                                if any(at and at <= first for at in (one.soon, one.late))
                            }
                    if not kept:
                        raise _Undo
                rows = changed
            except _Undo:
                continue
        assert found(store, LAST) == {one.name for one in rows.values() if _is_due(one, LAST)}
        store.close()


def _is_due(row: Dated, until: datetime) -> bool:
    return any(at is not None and at <= until for at in (row.soon, row.late))


class _Undo(Exception):
    """The transaction is undone."""
