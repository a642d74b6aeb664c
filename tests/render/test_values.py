"""No value passes for another."""

import itertools
from typing import Any

import pytest

from kvstack.plan.change import KnownAfterApply, Sensitive
from kvstack.render.layout import KEEP
from kvstack.render.values import address, name, pair, value
from kvstack.terms.secret import SecretValue

SHOWN: list[tuple[Any, str]] = [
    (None, "(unset)"),
    (True, "true"),
    (90, "90"),
    (-1.5, "-1.5"),
    ("deny", "deny"),
    ("203.0.113.0/24", "203.0.113.0/24"),
    ("CN=pay.example.com", "CN=pay.example.com"),
    ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z"),
    ("", '""'),
    ("true", '"true"'),
    ("unset", '"unset"'),
    ("90", '"90"'),
    ("1e5", '"1e5"'),
    ("-", '"-"'),
    ("Key Vault Reader", '"Key Vault Reader"'),
    ("a -> b", '"a -> b"'),
    ('"a"', '"\\"a\\""'),
    ("\x1b", '"\\x1b"'),
    ("\\x1b", '"\\\\x1b"'),
    ("(sensitive)", '"(sensitive)"'),
    ([], "[]"),
    (["sign", "verify"], "[sign, verify]"),
    (["sign, verify"], '["sign, verify"]'),
    ({}, "{}"),
    ({"team": "pay", "cost centre": 1}, '{team: pay, "cost centre": 1}'),
    (Sensitive(None), "(sensitive)"),
    (Sensitive("0123456789abcdef"), f"(sensitive{KEEP}01234567)"),
    (KnownAfterApply(), "(known after apply)"),
    (KnownAfterApply("generated"), "(generated)"),
]


@pytest.mark.parametrize(("data", "shown"), SHOWN)
def test_a_value_is_shown_as_what_it_is(data: Any, shown: str) -> None:
    assert value(data) == shown


def test_two_values_never_look_alike() -> None:
    for (_, one), (_, other) in itertools.combinations(SHOWN, 2):
        assert one != other


@pytest.mark.parametrize("data", [SecretValue("x"), b"x", object(), [SecretValue("x")], {"a": b"x"}])
def test_what_no_plan_may_hold_is_not_shown(data: Any) -> None:
    with pytest.raises(TypeError) as raised:
        value(data)

    assert "x" not in str(raised.value).replace("object", "")


def test_fingerprints_that_begin_alike_are_shown_whole() -> None:
    assert pair(Sensitive("01234567a"), Sensitive("01234567b")) == (
        f"(sensitive{KEEP}01234567a)",
        f"(sensitive{KEEP}01234567b)",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("payments-dev/keys/signing", "payments-dev/keys/signing"),
        ("payments-dev  (key)", '"payments-dev  (key)"'),
        ("", '""'),
        ("a\nb", "a\\nb"),
    ],
)
def test_an_address_ends_where_it_ends(text: str, shown: str) -> None:
    assert address(text) == shown


def test_a_name_that_could_be_read_as_a_change_is_quoted() -> None:
    assert name("enabled  true -> false") == '"enabled  true -> false"'
