"""What is put is got, and scanned, and counted, whatever is undone in between."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.vault.faults import UnreadableRow
from kvstack.vault.store import Store
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction
from tests.vault.foundation.things import THINGS, Thing, get, new_store, opened, put, scan, undone

Model = dict[tuple[str, str], Thing]


def test_what_is_put_is_got(store: Store) -> None:
    thing = Thing("fruit", "apple", color="red", size=3, tags={"a": "b"})
    put(store, thing)
    assert get(store, "fruit", "apple") == thing
    assert get(store, "fruit", "pear") is None


def test_a_second_put_replaces(store: Store) -> None:
    put(store, Thing("fruit", "apple", color="red"), Thing("fruit", "apple", color="green"))
    put(store, Thing("fruit", "apple", size=7))
    assert scan(store) == [Thing("fruit", "apple", size=7)]
    assert scan(store, color="red") == scan(store, color="green") == []
    assert scan(store, vault="fruit", size=7) == [Thing("fruit", "apple", size=7)]


def test_deleting_what_is_not_there_is_no_error(store: Store) -> None:
    with store.transaction() as tx:
        THINGS.delete(tx, "fruit", "apple")
        assert not tx.changed


def test_a_scan_by_what_is_no_index_is_a_mistake(store: Store) -> None:
    with pytest.raises(TypeError, match="cannot be scanned by name"):
        scan(store, name="apple")


def test_reading_what_was_never_written_makes_no_table(store: Store) -> None:
    assert scan(store) == []
    assert get(store, "fruit", "apple") is None
    assert "things" not in store.tables


def test_a_table_made_in_an_undone_transaction_is_made_again(store: Store) -> None:
    with undone(store) as tx:
        THINGS.put(tx, Thing("fruit", "apple"))
    put(store, Thing("fruit", "pear"))
    assert scan(store) == [Thing("fruit", "pear")]


def test_a_field_added_later_has_its_default_in_older_rows(store: Store) -> None:
    class Newer(Row, frozen=True):
        vault: str
        name: str
        color: str | None = None
        size: int = 0
        tags: dict[str, str] = msgspec.field(default_factory=dict)
        weight: int = 5

    put(store, Thing("fruit", "apple", color="red"))
    newer = Table("things", Newer, key=("vault", "name"), indexes=(("color",), ("vault", "size")))
    with store.transaction() as tx:
        assert newer.get(tx, "fruit", "apple") == Newer("fruit", "apple", color="red")


def test_a_row_of_a_newer_kvstack_is_refused_in_words(store: Store) -> None:
    class Other(Row, frozen=True):
        vault: str
        name: str
        color: str | None
        size: int
        required: str

    put(store, Thing("fruit", "apple"))
    other = Table("things", Other, key=("vault", "name"), indexes=(("color",), ("vault", "size")))
    with store.transaction() as tx, pytest.raises(UnreadableRow, match="fruit/apple"):
        other.get(tx, "fruit", "apple")


def test_the_ledger_grows_with_the_vault(path: Path, store: Store) -> None:
    number = 52_000
    size = Table("numbers", Number, key=("id",))
    with store.transaction() as tx:
        for count in range(number):
            size.put(tx, Number(str(count)))
        parts = len(tx.ledger.root.buckets)
    with store.transaction() as tx:
        assert len(tx.ledger.root.buckets) > parts
        assert size.count(tx) == number
    other = opened(path)
    with other.transaction() as tx:
        assert len(size.scan(tx)) == number
        assert size.get(tx, "77") == Number("77")
        size.delete(tx, "77")
    with store.transaction() as tx:
        assert size.get(tx, "77") is None
    other.close()


class Number(Row, frozen=True):
    id: str


class Lamp(Row, frozen=True):
    id: str
    lit: bool


def test_a_flag_is_found_by_itself_and_by_what_the_database_makes_of_it(path: Path, store: Store) -> None:
    lamps = Table("lamps", Lamp, key=("id",), indexes=(("lit",),))
    with store.transaction() as tx:
        lamps.put(tx, Lamp("hall", True))
        lamps.put(tx, Lamp("cellar", False))
        lamps.put(tx, Lamp("cellar", True))
    other = opened(path)
    with other.transaction() as tx:
        assert len(lamps.scan(tx, lit=1)) == len(lamps.scan(tx, lit=True)) == 2
        assert lamps.scan(tx, lit=False) == []
    other.close()


names = st.sampled_from(["a", "b", "c"])
things = st.builds(
    Thing, vault=names, name=names, color=st.sampled_from([None, "red", "green"]), size=st.integers(0, 2)
)
operations = st.recursive(
    st.lists(st.one_of(things, st.tuples(names, names)), max_size=6),
    lambda inner: st.lists(st.one_of(things, st.tuples(names, names), st.tuples(st.booleans(), inner)), max_size=6),
    max_leaves=6,
)


def perform(store: Store, tx: Transaction, steps: Iterable[object], model: Model) -> Model:
    """Do the steps in the store and in the model; a nested list is a nested transaction, kept or undone."""
    for step in steps:
        match step:
            case Thing():
                THINGS.put(tx, step)
                model = {**model, (step.vault, step.name): step}
            case (bool() as keep, list() as inner):
                model = nested(store, keep, inner, model)
            case (str() as vault, str() as name):
                THINGS.delete(tx, vault, name)
                model = {key: thing for key, thing in model.items() if key != (vault, name)}
    return model


def nested(store: Store, keep: bool, steps: Iterable[object], model: Model) -> Model:
    with store.transaction() if keep else undone(store) as tx:
        after = perform(store, tx, steps, model)
        assert_is(tx, after)
    return after if keep else model


def assert_is(tx: Transaction, model: Model) -> None:
    def expected(**equals: object) -> list[Thing]:
        return [
            thing
            for _, thing in sorted(model.items())
            if all(getattr(thing, field) == value for field, value in equals.items())
        ]

    def found(**equals: str | int | None) -> list[Thing]:
        return sorted(THINGS.scan(tx, **equals), key=lambda thing: (thing.vault, thing.name))

    assert found() == expected()
    for vault in ("a", "b"):
        assert found(vault=vault) == expected(vault=vault)
        assert THINGS.count(tx, vault=vault) == len(expected(vault=vault))
        assert found(vault=vault, size=1) == expected(vault=vault, size=1)
        assert THINGS.get(tx, vault, "a") == model.get((vault, "a"))
    for color in (None, "red"):
        assert found(color=color) == expected(color=color)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), operations), max_size=6))
def test_a_table_is_a_dictionary_whatever_is_undone(transactions: list[tuple[bool, list[object]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vault.db"
        store = new_store(path)
        second = opened(path)
        model: Model = {}
        for keep, steps in transactions:
            model = nested(store, keep, steps, model)
            with second.transaction() as tx:
                assert_is(tx, model)
            store, second = second, store
        store.close()
        second.close()


def test_rows_are_small(store: Store) -> None:
    assert len(msgspec.msgpack.encode(Thing("fruit", "apple"))) < 30
