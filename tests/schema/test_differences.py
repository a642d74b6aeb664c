"""What differs between two descriptions of one thing."""

from datetime import UTC, datetime

import msgspec

from kvstack.resources.key import Key
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.rotation import Rotation
from kvstack.resources.vault import Vault
from kvstack.schema.differences import Difference, differences, renaming, to_change

DATE = datetime(2036, 6, 1, tzinfo=UTC)
BY_POLICY = Key(name="sign", type="EC", rotation=Rotation(every="P30D", expire_after="P84D")).resolved()
FIXED = Key(name="sign", type="EC", expires=DATE).resolved()


def names(found: tuple[Difference, ...]) -> list[str]:
    return [difference.attribute.name for difference in found]


def test_a_date_that_a_policy_sets_is_the_vaults_business() -> None:
    rotated = Key(name="sign", type="EC", expires=DATE, rotation=BY_POLICY.rotation).resolved()
    assert to_change(rotated, BY_POLICY) == ()
    assert differences(BY_POLICY, rotated) == ()


def test_a_fixed_date_takes_the_place_of_a_policys_at_once() -> None:
    assert names(to_change(BY_POLICY, FIXED)) == ["expires", "rotation"]
    assert names(to_change(FIXED, BY_POLICY)) == ["rotation"]


def test_a_vaults_own_resource_group_is_no_difference_where_none_is_declared() -> None:
    there = Vault(name="dev", resource_group="rg")
    assert to_change(there, Vault(name="dev")) == ()
    assert names(to_change(there, Vault(name="dev", resource_group="other"))) == ["resource_group"]


def test_two_spellings_of_a_name_are_no_difference() -> None:
    assert to_change(Vault(name="Dev", resource_group="rg"), Vault(name="dev")) == ()
    given = RoleAssignment(principal="p", role="Lister", scope="vault/Dev", description="why")
    assert to_change(given, msgspec.structs.replace(given, role="lister", scope="vault/dev")) == ()
    assert names(to_change(given, msgspec.structs.replace(given, description="Why"))) == ["description"]


def test_another_name_is_a_renaming_and_another_spelling_is_none() -> None:
    assert renaming(Vault(name="Dev"), Vault(name="dev", sku="premium")) is None
    found = renaming(Vault(name="dev"), Vault(name="prod"))
    assert found is not None
    assert (found.attribute.name, found.before, found.after) == ("name", "dev", "prod")


def test_what_is_about_planning_only_is_not_compared() -> None:
    from kvstack.schema.resource import Lifecycle

    assert (
        to_change(
            FIXED, Key(name="sign", type="EC", expires=DATE, lifecycle=Lifecycle(prevent_destroy=True)).resolved()
        )
        == ()
    )
