"""What a finished change does to the state."""

from kvstack.resources.key import Key
from kvstack.state.state import Drop, Intend, Put, after
from kvstack.terms.address import Address
from tests.state.things import ENTRIES, MOVED, RECORDS, record, state


def test_entries_are_applied_in_their_order() -> None:
    found = after(state(*RECORDS), ENTRIES)
    assert set(found.records) == {"dev", "dev/keys/other", "dev/secrets/db"}
    assert set(found.intents) == {"dev/secrets/late"}
    assert found.records[MOVED.address] == MOVED


def test_the_same_entries_twice_are_the_same_once() -> None:
    once = after(state(*RECORDS), ENTRIES)
    assert after(once, ENTRIES) == once


def test_a_move_does_not_drop_another_thing_under_the_old_address() -> None:
    # The old address may be taken by something new in the same apply.
    newcomer = record("dev/keys/sign", Key(name="newcomer", type="EC"))
    first, second = Put(newcomer), Put(MOVED, was=Address("dev/keys/sign"))
    for entries in ((first, second), (second, first)):
        assert set(after(state(RECORDS[1]), entries).records) == {"dev/keys/sign", "dev/keys/other"}


def test_an_end_takes_its_intent_along() -> None:
    intent = Intend(Address("a"), "secret", RECORDS[2].resource, None)
    assert after(state(), [intent]).intents == {"a": intent}
    assert after(state(), [intent, Drop(Address("a"))]).intents == {}
    made = record("a", RECORDS[2].resource)
    assert after(state(), [intent, Put(made)]).intents == {}
