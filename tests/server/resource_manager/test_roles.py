"""Azure's own client for roles, unmodified: assignments and definitions from their making to their end."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient

from kvstack.terms.role import built_in_roles
from tests.server.resource_manager.clients import management
from tests.server.served import APP, READER, SHOP, STRANGER, Served

USER = built_in_roles()["key vault secrets user"].id
CRYPTO = built_in_roles()["key vault crypto user"].id


@pytest.fixture(scope="module")
def roles(managed: Served) -> Iterator[Any]:
    with management(managed, AuthorizationManagementClient) as found:
        yield found


@pytest.fixture(scope="module")
def shop(managed: Served) -> str:
    return f"/subscriptions/{managed.subscription}/resourceGroups/local/providers/Microsoft.KeyVault/vaults/{SHOP}"


def role_path(managed: Served, role: str) -> str:
    return f"/subscriptions/{managed.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"


def given(managed: Served, who: str, role: str = USER, **more: Any) -> dict[str, Any]:
    return {"role_definition_id": role_path(managed, role), "principal_id": who} | more


def code(error: HttpResponseError) -> str:
    assert error.error is not None
    return str(error.error.code)


def reads(managed: Served, who: str) -> bool:
    answer = managed.ask("GET", "/secrets/greeting?api-version=7.4", token=managed.token(who))
    assert answer.status in (200, 403), answer
    return answer.status == 200


def test_a_role_is_given_seen_used_and_taken_away(roles: Any, managed: Served, shop: str) -> None:
    name = str(uuid.uuid4())
    assert not reads(managed, STRANGER)
    made = roles.role_assignments.create(
        shop, name, given(managed, STRANGER, principal_type="ServicePrincipal", description="why")
    )
    assert made.id == f"{shop}/providers/Microsoft.Authorization/roleAssignments/{name}"
    assert (made.name, made.type, made.scope) == (name, "Microsoft.Authorization/roleAssignments", shop)
    assert made.role_definition_id == role_path(managed, USER)
    assert (made.principal_id, made.principal_type, made.description) == (STRANGER, "ServicePrincipal", "why")
    assert made.created_by == APP
    assert reads(managed, STRANGER)
    assert roles.role_assignments.get(shop, name).as_dict() == made.as_dict()
    assert roles.role_assignments.get_by_id(made.id).name == name
    gone = roles.role_assignments.delete(shop, name)
    assert gone.name == name
    assert not reads(managed, STRANGER)
    assert roles.role_assignments.delete(shop, name) is None
    with pytest.raises(ResourceNotFoundError) as missing:
        roles.role_assignments.get(shop, name)
    assert code(missing.value) == "RoleAssignmentNotFound"


def test_the_same_role_for_the_same_principal_is_there_already(roles: Any, managed: Served, shop: str) -> None:
    roles.role_assignments.create(shop, str(uuid.uuid4()), given(managed, STRANGER, CRYPTO))
    with pytest.raises(ResourceExistsError) as taken:
        roles.role_assignments.create(shop, str(uuid.uuid4()), given(managed, STRANGER, CRYPTO))
    assert code(taken.value) == "RoleAssignmentExists"


def test_assignments_are_found_by_scope_and_by_principal(roles: Any, managed: Served, shop: str) -> None:
    item, group = f"{shop}/secrets/greeting", shop.partition("/providers/")[0]
    at_item, at_group = str(uuid.uuid4()), str(uuid.uuid4())
    roles.role_assignments.create(item, at_item, given(managed, READER, CRYPTO))
    roles.role_assignments.create(group, at_group, given(managed, READER, CRYPTO))

    def names(found: Any) -> set[str]:
        return {one.name for one in found}

    below = names(roles.role_assignments.list_for_scope(shop))
    assert {at_item, at_group} <= below
    at_scope = names(roles.role_assignments.list_for_scope(shop, filter="atScope()"))
    assert at_group in at_scope
    assert at_item not in at_scope
    hers = list(roles.role_assignments.list_for_subscription(filter=f"principalId eq '{READER}'"))
    assert {one.principal_id for one in hers} == {READER}
    assert {at_item, at_group} <= names(hers)
    assert names(roles.role_assignments.list_for_scope(shop, filter=f"atScope() and assignedTo('{READER}')")) == {
        one.name for one in hers if one.name != at_item
    }
    assert {at_item, at_group} <= names(roles.role_assignments.list_for_resource_group("LOCAL"))
    assert {at_item} <= names(roles.role_assignments.list_for_resource("local", "Microsoft.KeyVault", "vaults", SHOP))
    with pytest.raises(HttpResponseError) as wrong:
        list(roles.role_assignments.list_for_scope(shop, filter="colour eq 'red'"))
    assert code(wrong.value) == "InvalidFilter"


def test_a_group_and_a_condition_count(roles: Any, managed: Served, shop: str) -> None:
    name = str(uuid.uuid4())
    condition = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'"
    more = {"condition": condition, "condition_version": "2.0"}
    made = roles.role_assignments.create(shop, name, given(managed, STRANGER, USER, **more))
    assert (made.condition, made.condition_version) == (condition, "2.0")
    assert not reads(managed, STRANGER)
    roles.role_assignments.delete(shop, name)
    with pytest.raises(HttpResponseError) as unreadable:
        roles.role_assignments.create(shop, name, given(managed, STRANGER, condition="maybe"))
    assert unreadable.value.status_code == 400


def test_who_may_not_give_roles_gives_none(managed: Served, shop: str) -> None:
    with management(managed, AuthorizationManagementClient, READER) as reader:
        assert list(reader.role_assignments.list_for_scope(shop))
        with pytest.raises(HttpResponseError) as refusal:
            reader.role_assignments.create(shop, str(uuid.uuid4()), given(managed, READER))
        assert (refusal.value.status_code, code(refusal.value)) == (403, "AuthorizationFailed")
    with management(managed, AuthorizationManagementClient, STRANGER) as stranger:
        assert list(stranger.role_assignments.list_for_subscription()) == []
        with pytest.raises(HttpResponseError) as refusal:
            stranger.role_assignments.get(shop, str(uuid.uuid4()))
        assert code(refusal.value) == "AuthorizationFailed"


def test_a_role_is_defined_changed_given_and_taken_away(roles: Any, managed: Served, shop: str) -> None:
    name, top = str(uuid.uuid4()), f"/subscriptions/{managed.subscription}"
    action = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"

    def put(description: str) -> Any:
        permissions = [{"actions": [], "not_actions": [], "data_actions": [action], "not_data_actions": []}]
        body = {
            "role_name": "secret lister",
            "description": description,
            "role_type": "CustomRole",
            "permissions": permissions,
            "assignable_scopes": [top],
        }
        return roles.role_definitions.create_or_update(top, name, body)

    made = put("Lists.")
    assert (made.name, made.role_name, made.role_type) == (name, "secret lister", "CustomRole")
    assert [one.data_actions for one in made.permissions] == [[action]]
    assert put("Lists secrets.").description == "Lists secrets."
    assert roles.role_definitions.get(shop, name).description == "Lists secrets."
    assert roles.role_definitions.get_by_id(made.id).role_name == "secret lister"
    custom = [one.name for one in roles.role_definitions.list(top, filter="type eq 'CustomRole'")]
    assert custom == [name]
    roles.role_assignments.create(shop, name, given(managed, STRANGER, name))
    with pytest.raises(ResourceExistsError) as used:
        roles.role_definitions.delete(top, name)
    assert code(used.value) == "RoleDefinitionHasAssignments"
    roles.role_assignments.delete(shop, name)
    assert roles.role_definitions.delete(top, name).name == name
    assert roles.role_definitions.delete(top, name) is None
    with pytest.raises(ResourceNotFoundError) as missing:
        roles.role_definitions.get(top, name)
    assert code(missing.value) == "RoleDefinitionDoesNotExist"


def test_the_built_in_roles_are_azures(roles: Any, managed: Served, shop: str) -> None:
    found = {one.name: one for one in roles.role_definitions.list(shop)}
    assert found.keys() == {one.id for one in built_in_roles().values()}
    (one,) = roles.role_definitions.list(shop, filter="roleName eq 'Key Vault Secrets User'")
    assert (one.name, one.role_type, one.assignable_scopes) == (USER, "BuiltInRole", ["/"])
    assert roles.role_definitions.get_by_id(f"/providers/Microsoft.Authorization/roleDefinitions/{USER}").name == USER
    with pytest.raises(HttpResponseError) as fixed:
        roles.role_definitions.delete(f"/subscriptions/{managed.subscription}", USER)
    assert code(fixed.value) == "RoleDefinitionReadOnly"


def test_denials_are_looked_at_and_made_by_nobody_here(
    roles: Any, managed: Served, shop: str, asked: Callable[..., Any]
) -> None:
    assert list(roles.deny_assignments.list()) == []
    assert list(roles.deny_assignments.list_for_scope(shop, filter="atScope()")) == []
    with pytest.raises(ResourceNotFoundError):
        roles.deny_assignments.get(shop, str(uuid.uuid4()))
    path = f"{shop}/providers/Microsoft.Authorization/denyAssignments/{uuid.uuid4()}"
    assert asked("PUT", path, version="2022-04-01", json_body={}).code == "MethodNotAllowed"


def test_what_can_be_allowed_is_listed(roles: Any) -> None:
    providers = {one.name: one for one in roles.provider_operations_metadata.list()}
    assert "Microsoft.KeyVault" in providers
    one = roles.provider_operations_metadata.get("microsoft.keyvault")
    names = {operation.name: operation for kind in one.resource_types for operation in kind.operations}
    assert names["Microsoft.KeyVault/vaults/secrets/getSecret/action"].is_data_action
    assert not names["Microsoft.KeyVault/vaults/write"].is_data_action
    with pytest.raises(ResourceNotFoundError):
        roles.provider_operations_metadata.get("Microsoft.Compute")
