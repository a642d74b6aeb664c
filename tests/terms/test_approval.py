"""Deeds: two are the same where every word is, and no words of one are taken for another's."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms import approval
from kvstack.terms.approval import Deed

WHO = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
LATER = datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("deed", "text"),
    [
        (approval.deletion("vaults/Pay/secrets/Db"), "delete vault/pay/secrets/db"),
        (approval.deletion("vaults/pay"), "delete vault/pay"),
        (approval.purge("vaults/pay/keys/k"), "purge vault/pay/keys/k"),
        (
            approval.access("vault/Pay", "give", approval.role_words("Key Vault Reader", WHO, None, LATER, "")),
            f"access vault/pay: give role key vault reader of {WHO}, until 2027-01-31T00:00:00+00:00",
        ),
        (
            approval.access("subscription", "take", approval.role_words("Owner", WHO, None, None, "@a, until b")),
            f'access subscription: take role owner of {WHO}, condition "@a, until b"',
        ),
        (approval.membership(WHO.upper(), ["b", "a"]), f"access subscription: group {WHO}, members a b"),
        (approval.ruling("Pay", [WHO], ["purge"]), f"access vault/pay: approval rule, by {WHO}, operations purge"),
        (approval.ruling("Pay", [], []), "access vault/pay: no approval rule"),
    ],
)
def test_a_deed_in_one_line(deed: Deed, text: str) -> None:
    assert deed.text == text


texts = st.text(alphabet="ab ,\"'\\/:é\n", max_size=6)
terms = st.fixed_dictionaries(
    {}, optional={"condition": texts, "until": st.sampled_from([None, LATER]), "members": st.lists(texts, max_size=3)}
)


def meant(name: str, given: dict[str, object]) -> object:
    """Return what the words are about: what is empty is not there, and members are in no order."""
    there = {key: tuple(sorted(value)) if isinstance(value, list) else value for key, value in given.items() if value}
    return name.lower(), there


@given(texts, terms, texts, terms)
def test_different_terms_are_different_words(
    name: str, given: dict[str, object], other: str, others: dict[str, object]
) -> None:
    same = approval.words("role", name, **given) == approval.words("role", other, **others)
    assert same == (meant(name, given) == meant(other, others))
