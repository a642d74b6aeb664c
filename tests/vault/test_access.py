"""The evaluator: what roles add up to, where and when; the table of all of them is in test_role_matrix.py."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kvstack.terms.role import RoleDefinition, built_in_roles, built_in_roles_by_id, data_actions, role
from kvstack.terms.scope import Scope
from kvstack.vault.access import Assignments, Request, decision, smallest_role
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.permissions import Permissions

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ALICE, BOB = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
TOP = Scope("SUB")
GROUP = Scope("SUB", "payments")
VAULT = Scope("SUB", "payments", "pay-dev")
ITEM = Scope("SUB", "payments", "pay-dev", "keys/signing")


def assignment(role_name: str, scope: Scope = TOP, principal: str = ALICE, **more: Any) -> RoleAssignment:
    return RoleAssignment(
        id=f"{role_name}{scope.path}{principal}",
        scope=scope,
        role_id=role(role_name).id,
        principal_id=principal,
        principal_type="user",
        created=NOW,
        **more,
    )


def allowed(
    assignments: list[RoleAssignment],
    action: str,
    scope: Scope = ITEM,
    *,
    data: bool = True,
    principals: tuple[str, ...] = (ALICE,),
    now: datetime = NOW,
) -> bool:
    index = Assignments(assignments, built_in_roles_by_id())
    return decision(Request(principals, action, data, scope), index, now).allowed


@pytest.mark.parametrize("role_name", ["Owner", "Contributor", "User Access Administrator", "Key Vault Contributor"])
def test_managing_a_vault_gives_no_right_to_its_data(role_name: str) -> None:
    assert not any(allowed([assignment(role_name)], action) for action in data_actions())


@pytest.mark.parametrize(
    ("role_name", "action", "expected"),
    [
        ("Owner", "Microsoft.KeyVault/vaults/write", True),
        ("Owner", "Microsoft.Authorization/roleAssignments/write", True),
        ("Contributor", "Microsoft.KeyVault/vaults/delete", True),
        ("Contributor", "Microsoft.Authorization/roleAssignments/write", False),
        ("Contributor", "Microsoft.Authorization/roleAssignments/delete", False),
        ("Contributor", "Microsoft.Authorization/locks/write", False),
        ("Contributor", "Microsoft.Authorization/clock/write", False),
        ("Contributor", "Microsoft.Authorization/principals/write", False),
        ("Contributor", "Microsoft.Authorization/roleAssignments/read", True),
        ("Reader", "Microsoft.KeyVault/vaults/read", True),
        ("Reader", "Microsoft.KeyVault/vaults/write", False),
        ("Key Vault Contributor", "Microsoft.KeyVault/vaults/write", True),
        ("Key Vault Contributor", "Microsoft.KeyVault/locations/deletedVaults/purge/action", False),
        ("Key Vault Purge Operator", "Microsoft.KeyVault/locations/deletedVaults/purge/action", True),
        ("Role Based Access Control Administrator", "Microsoft.Authorization/roleAssignments/write", True),
        ("Role Based Access Control Administrator", "Microsoft.Authorization/principals/write", False),
        ("Key Vault Data Access Administrator", "Microsoft.Authorization/principals/write", False),
        ("Key Vault Secrets User", "Microsoft.KeyVault/vaults/read", False),
    ],
)
def test_resource_manager_roles(role_name: str, action: str, expected: bool) -> None:
    assert allowed([assignment(role_name)], action, VAULT, data=False) is expected


def test_nobody_may_do_anything_by_default() -> None:
    assert not any(allowed([], action) for action in data_actions())


def test_case_does_not_count() -> None:
    given = [assignment("Key Vault Crypto User", Scope("sub", "PAYMENTS", "Pay-Dev", "KEYS/Signing"))]
    assert allowed(given, "microsoft.keyvault/VAULTS/keys/SIGN/action")


@pytest.mark.parametrize(
    "other",
    [
        Scope("OTHER"),
        Scope("SUB", "other"),
        Scope("SUB", "payments", "pay-prod"),
        Scope("SUB", "payments", "pay-dev", "keys/other"),
        Scope("SUB", "payments", "pay-dev", "secrets/signing"),
        Scope("SUB", "payments", "pay-dev", "keys/signing2"),
    ],
)
def test_a_right_beside_a_scope_is_none_there(other: Scope) -> None:
    assert not allowed([assignment("Key Vault Administrator", other)], "Microsoft.KeyVault/vaults/keys/sign/action")


def test_a_role_of_somebody_else_is_none_of_mine_and_one_of_my_group_is() -> None:
    given = [assignment("Key Vault Administrator", principal=BOB)]
    assert not allowed(given, "Microsoft.KeyVault/vaults/keys/read")
    assert allowed(given, "Microsoft.KeyVault/vaults/keys/read", principals=(ALICE, BOB))


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(-1, False), (0, True), (1, True), (59, True), (60, False), (61, False)],
)
def test_an_assignment_holds_from_its_start_up_to_its_end(offset: int, expected: bool) -> None:
    bounded = assignment("Key Vault Reader", starts=NOW, expires=NOW + timedelta(seconds=60))
    at = NOW + timedelta(seconds=offset)
    assert allowed([bounded], "Microsoft.KeyVault/vaults/keys/read", now=at) is expected


def test_what_one_role_subtracts_another_may_still_give() -> None:
    most = RoleDefinition("1", "most", data_actions=("Microsoft.KeyVault/*",), not_data_actions=("*/purge/action",))
    purge = RoleDefinition("2", "purge", data_actions=("Microsoft.KeyVault/vaults/keys/purge/action",))
    roles = {"1": most, "2": purge}
    first = msgspec.structs.replace(assignment("Owner"), id="1", role_id="1")
    second = msgspec.structs.replace(assignment("Owner"), id="2", role_id="2")
    request = Request((ALICE,), "Microsoft.KeyVault/vaults/keys/purge/action", True, ITEM)
    assert not decision(request, Assignments([first], roles), NOW).allowed
    assert decision(request, Assignments([first, second], roles), NOW).assignment == second


def test_a_role_nobody_knows_allows_nothing() -> None:
    unknown = msgspec.structs.replace(assignment("Owner"), role_id="no-such-role")
    assert not allowed([unknown], "Microsoft.KeyVault/vaults/write", data=False)


def test_a_pattern_matches_whole_actions_only() -> None:
    narrow = Permissions(RoleDefinition("1", "narrow", data_actions=("a/b.c/*/read",)))
    table = {
        "a/b.c/x/read": True,
        "a/b.c/x/y/read": True,
        "a/bXc/x/read": False,
        "a/b.c/x/reads": False,
        "z/a/b.c/x/read": False,
    }
    assert {action: narrow.allow(action, data=True) for action in table} == table


@pytest.mark.parametrize(
    ("action", "data", "expected"),
    [
        ("Microsoft.KeyVault/vaults/secrets/getSecret/action", True, "Key Vault Secrets User"),
        ("Microsoft.KeyVault/vaults/secrets/setSecret/action", True, "Key Vault Secrets Officer"),
        ("Microsoft.KeyVault/vaults/secrets/readMetadata/action", True, "Key Vault Secrets User"),
        ("Microsoft.KeyVault/vaults/keys/wrap/action", True, "Key Vault Crypto Service Encryption User"),
        ("Microsoft.KeyVault/vaults/keys/sign/action", True, "Key Vault Crypto User"),
        ("Microsoft.KeyVault/vaults/keys/create/action", True, "Key Vault Crypto Officer"),
        ("Microsoft.KeyVault/vaults/write", False, "Key Vault Contributor"),
        ("Microsoft.KeyVault/locations/deletedVaults/purge/action", False, "Key Vault Purge Operator"),
        ("Microsoft.Nothing/at/all", True, None),
    ],
)
def test_the_smallest_role_that_would_do_is_suggested(action: str, data: bool, expected: str | None) -> None:
    found = smallest_role(action, data=data, roles=built_in_roles().values(), all_data_actions=data_actions())
    assert (found.name if found else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key vault READER", "Key Vault Reader"),
        ("21090545-7CA7-4776-B22C-E363652D74D2", "Key Vault Reader"),
        ("Owner", "Owner"),
    ],
)
def test_a_role_is_found_by_name_or_id_in_any_case(text: str, expected: str) -> None:
    assert role(text).name == expected


def test_an_unknown_role_is_told_with_near_names() -> None:
    with pytest.raises(ValueError, match="did you mean `Key Vault Secrets User`"):
        role("Key Vault Secret User")
    with pytest.raises(ValueError, match="there are Key Vault Administrator, "):
        role("zzz")


ON_DATABASES = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'"
GET, SET = (f"Microsoft.KeyVault/vaults/secrets/{name}Secret/action" for name in ("get", "set"))


@pytest.mark.parametrize(
    ("condition", "action", "item", "expected"),
    [
        (ON_DATABASES, GET, "secrets/db-password", True),
        (ON_DATABASES, GET, "secrets/api-token", False),
        (ON_DATABASES, GET, "SECRETS/DB-Password", True),
        # What the vault as a whole is asked has no secret's name: the condition cannot hold.
        (ON_DATABASES, "Microsoft.KeyVault/vaults/secrets/readMetadata/action", "", False),
        (f"!(ActionMatches{{'{GET}'}}) OR {ON_DATABASES}", SET, "secrets/api-token", True),
        ("@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'pay-dev'", GET, "secrets/x", True),
        ("@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'other'", GET, "secrets/x", False),
        # A key is no secret, whatever its name.
        (ON_DATABASES, "Microsoft.KeyVault/vaults/keys/sign/action", "keys/db-password", False),
    ],
)
def test_an_assignment_counts_only_where_its_condition_holds(
    condition: str, action: str, item: str, expected: bool
) -> None:
    given = [assignment("Key Vault Administrator", condition=condition)]
    assert allowed(given, action, Scope("SUB", "payments", "pay-dev", item)) is expected
