"""The glossary: addresses, durations, names, secrets, tags, scopes, roles."""

import copy
import json
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.action import Action
from kvstack.terms.address import Address, is_within, joined, parent, slug
from kvstack.terms.diagnostic import Diagnostic, Place
from kvstack.terms.duration import Duration, duration
from kvstack.terms.name import item_name_problem, vault_name_problem
from kvstack.terms.role import built_in_roles, role
from kvstack.terms.scope import Scope, scope
from kvstack.terms.secret import SecretValue
from kvstack.terms.tags import Owner, owner_of, with_owner, without_owner


def test_every_action_has_a_symbol_of_its_own() -> None:
    assert len({action.symbol for action in Action}) == len(Action)


def test_a_thing_is_within_its_vault_and_within_nothing_that_only_begins_alike() -> None:
    assert is_within(Address("dev/keys/a"), Address("dev"))
    assert is_within(Address("dev"), Address("dev"))
    assert not is_within(Address("dev-2"), Address("dev"))
    assert not is_within(Address("dev"), Address("dev/keys/a"))
    assert parent(joined("dev", "keys", "a")) == "dev"
    assert slug("Key Vault Reader") == "key-vault-reader"


def test_a_secret_shows_itself_nowhere() -> None:
    secret = SecretValue("hunter2")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", str([secret]), f"{secret:x}"):
        assert "hunter2" not in shown
        assert "****" in shown
    for refused in (
        lambda: pickle.dumps(secret),
        lambda: copy.copy(secret),
        lambda: json.dumps(secret),
        lambda: hash(secret),
    ):
        with pytest.raises(TypeError):
            refused()
    assert secret == SecretValue(b"hunter2")
    assert secret != SecretValue("hunter3")
    assert secret != "hunter2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P90D", Duration(days=90)), ("P12W", Duration(days=84)), ("P1Y6M", Duration(months=18)),
        ("PT4H", Duration(seconds=14400)), ("P1DT1H1M1S", Duration(days=1, seconds=3661)), ("P0D", Duration()),
    ],
)  # fmt: skip
def test_durations_are_read(text: str, expected: Duration) -> None:
    assert duration(text) == expected
    assert duration(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "P", "PT", "90D", "P1.5D", "P-1D", "P1H", "p1d", "P1D ", "P9999Y", "P1D2M", "90"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="`"):
        duration(text)


@given(st.integers(0, 600), st.integers(0, 2000), st.integers(0, 10**6))
def test_a_duration_is_written_as_it_is_read(months: int, days: int, seconds: int) -> None:
    length = Duration(months, days, seconds)
    assert duration(str(length)) == length
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    assert length.after(moment) >= moment
    assert (length.after(moment) - moment).days >= int(length.least_days)


def test_a_month_after_the_31st_is_the_months_last_day() -> None:
    assert duration("P1M").after(datetime(2026, 1, 31, tzinfo=UTC)) == datetime(2026, 2, 28, tzinfo=UTC)
    assert duration("P1M").after(datetime(2028, 1, 31, tzinfo=UTC)) == datetime(2028, 2, 29, tzinfo=UTC)
    with pytest.raises(OverflowError):
        duration("P999Y").after(datetime(9999, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ["abc", "a-1", "A" * 24, "kv0"])
def test_names_of_vaults(name: str) -> None:
    assert vault_name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 25, "1ab", "-ab", "ab-", "a--b", "a_b", "abc\n", "äbc", "a.b", "abc "]
)
def test_names_of_no_vaults(name: str) -> None:
    assert vault_name_problem(name) is not None


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a", True),
        ("0", True),
        ("-", True),
        ("a" * 127, True),
        ("a" * 128, False),
        ("", False),
        ("a_b", False),
        ("a\n", False),
    ],
)
def test_names_of_items(name: str, fits: bool) -> None:
    assert (item_name_problem(name) is None) == fits


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_an_owner_is_read_back_from_tags_and_leaves_them_alone(tags: dict[str, str]) -> None:
    tags = without_owner(tags)
    owned = with_owner(tags, Owner("s/prod", "dev/keys/a"))
    assert owner_of(owned) == Owner("s/prod", "dev/keys/a")
    assert without_owner(owned) == tags
    assert owner_of(tags) is None


def test_scopes_are_read_as_they_are_written_and_hold_what_is_below() -> None:
    item = Scope("S", "rg", "dev", "keys/a")
    assert [one.level for one in item.chain()] == ["item", "vault", "resource_group", "subscription"]
    for one in item.chain():
        assert scope(one.path) == one
        assert one.contains(Scope("s", "RG", "DEV", "KEYS/A"))
    assert not item.contains(item.chain()[1])
    for wrong in ("", "/", "/subscriptions/", "/subscriptions/x/vaults/y", item.path + "/x"):
        with pytest.raises(ValueError, match="is no scope"):
            scope(wrong)


def test_roles_are_found_by_name_and_id_in_any_case() -> None:
    for definition in built_in_roles().values():
        assert role(definition.name.upper()) == role(definition.id.upper()) == definition
    with pytest.raises(ValueError, match="did you mean `Key Vault Reader`"):
        role("Key Vault Raeder")


def test_a_diagnostic_is_one_flat_document() -> None:
    found = Diagnostic(summary="s", detail="d", place=Place("f", 1, 2), address="a").document()
    assert found == {
        "severity": "error", "summary": "s", "detail": "d", "file": "f", "line": 1, "column": 2, "address": "a",
    }  # fmt: skip
    assert set(Diagnostic(summary="s").document()) == set(found)
