"""Rights: every action on data has words people know, and one name."""

import pytest

from kvstack.terms.right import RIGHTS, phrase, right, rights_at
from kvstack.terms.role import data_actions


def test_every_action_on_data_has_words() -> None:
    assert sorted(one.action for one in RIGHTS if one.data) == sorted(data_actions())


def test_no_two_have_one_name_or_words() -> None:
    assert len({one.name for one in RIGHTS}) == len({one.words for one in RIGHTS}) == len(RIGHTS)


@pytest.mark.parametrize("name", ["secrets/get", "Secrets/GET", "microsoft.keyvault/vaults/secrets/getSecret/action"])
def test_a_right_is_found_by_its_name_or_azures(name: str) -> None:
    assert right(name).words == "read secrets"


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="there is no right `secrets/gett`; did you mean `secrets/get`"):
        right("secrets/gett")


@pytest.mark.parametrize(
    ("names", "place", "words"),
    [
        (("secrets/get",), ("vault", ""), "read secrets"),
        (("secrets/get", "secrets/list", "access/see"), ("vault", ""), "read, list secrets"),
        (("access/see",), ("vault", ""), "see who has access"),
        (("secrets/purge", "keys/purge"), ("vault", ""), "purge secrets, keys"),
        (("keys/sign", "keys/verify", "keys/get"), ("vault", ""), "see keys; sign, verify with keys"),
        ([one.name for one in RIGHTS if one.collection == "keys"], ("item", "keys"), "everything with keys"),
        ([one.name for one in RIGHTS if one.data], ("vault", ""), "everything with secrets, keys and certificates"),
    ],
)
def test_rights_are_said_in_as_few_words_as_they_need(names: list[str], place: tuple[str, str], words: str) -> None:
    assert phrase(tuple(names), *place) == words


@pytest.mark.parametrize(
    "place", [("subscription",), ("resource_group",), ("vault",), ("item", "secrets"), ("item", "keys")]
)
def test_every_right_has_a_verb_and_an_object(place: tuple[str, ...]) -> None:
    for one in rights_at(*place):
        assert phrase((one.name,), *place) == one.words


def test_a_deleted_vault_is_purged_with_a_right_at_the_subscription_only() -> None:
    assert "vaults/purge" in {one.name for one in rights_at("subscription")}
    assert "vaults/purge" not in {one.name for one in (*rights_at("vault"), *rights_at("resource_group"))}
