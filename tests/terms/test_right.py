"""Rights: every action on data has words people know, and one name."""

import pytest

from kvstack.terms.local_role import local_data_actions
from kvstack.terms.right import HSM_RIGHTS, RIGHTS, at_managed_hsm, phrase, right, rights_at
from kvstack.terms.role import data_actions


def test_every_action_on_data_has_words() -> None:
    assert sorted(one.action for one in RIGHTS if one.data) == sorted(data_actions())


def test_everything_done_inside_a_managed_hsm_has_words() -> None:
    inside = {found.action for one in (*RIGHTS, *HSM_RIGHTS) if one.data and (found := at_managed_hsm(one)) is not None}
    assert inside == set(local_data_actions())
    for action in inside:
        found = at_managed_hsm(right(action.upper()))
        assert found is not None
        assert found.action == action


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("keys/sign", "Microsoft.KeyVault/managedHsm/keys/sign/action"),
        ("keys/get", "Microsoft.KeyVault/managedHsm/keys/read/action"),
        ("keys/purge", "Microsoft.KeyVault/managedHsm/keys/deletedKeys/delete"),
        ("hsm/random", "Microsoft.KeyVault/managedHsm/rng/action"),
        ("secrets/get", None),
        ("certificates/set-issuers", None),
        ("vaults/delete", "Microsoft.KeyVault/managedHSMs/delete"),
        ("vaults/purge", "Microsoft.KeyVault/locations/deletedManagedHsms/purge/action"),
        ("access/give", "Microsoft.Authorization/roleAssignments/write"),
    ],
)
def test_a_right_is_another_action_in_a_managed_hsm(name: str, action: str | None) -> None:
    found = at_managed_hsm(right(name))
    assert (found.action if found is not None else None) == action


def test_no_two_have_one_name_or_words() -> None:
    everything = (*RIGHTS, *HSM_RIGHTS)
    assert len({one.name for one in everything}) == len({one.words for one in everything}) == len(everything)


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
