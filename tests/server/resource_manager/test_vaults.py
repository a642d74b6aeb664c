"""Azure's own client for vaults, unmodified, over real TLS: a vault from its making to its end, and what it refuses."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault.models import (
    AccessPolicyEntry,
    IPRule,
    NetworkRuleSet,
    Permissions,
    Sku,
    VaultAccessPolicyParameters,
    VaultAccessPolicyProperties,
    VaultCheckNameAvailabilityParameters,
    VaultCreateOrUpdateParameters,
    VaultPatchParameters,
    VaultPatchProperties,
    VaultProperties,
)

from tests.server.resource_manager.clients import management
from tests.server.served import READER, SHOP, STRANGER, Served, client_program

GROUP = "payments"
OWN = "local"  # where vaults are that name no group


def wanted(served: Served, **more: Any) -> VaultCreateOrUpdateParameters:
    tags = more.pop("tags", None)
    location = more.pop("location", "westeurope")
    properties = VaultProperties(tenant_id=served.tenant, sku=Sku(family="A", name="standard"), **more)
    return VaultCreateOrUpdateParameters(location=location, properties=properties, tags=tags)


def code(error: HttpResponseError) -> str:
    assert error.error is not None
    return str(error.error.code)


def test_a_vault_is_made_used_changed_deleted_recovered_and_purged(vaults: Any, managed: Served) -> None:
    made = vaults.vaults.begin_create_or_update(GROUP, "Life", wanted(managed, tags={"a": "b"})).result()
    path = f"/subscriptions/{managed.subscription}/resourceGroups/{GROUP}/providers/Microsoft.KeyVault/vaults/Life"
    assert (made.id, made.name, made.type) == (path, "Life", "Microsoft.KeyVault/vaults")
    assert (made.location, made.tags) == ("westeurope", {"a": "b"})
    properties = made.properties
    assert properties.vault_uri == f"https://life.{managed.vaults}/"
    assert (properties.tenant_id, properties.sku.name) == (managed.tenant, "standard")
    assert properties.enable_rbac_authorization
    assert (properties.enable_soft_delete, properties.soft_delete_retention_in_days) == (True, 90)
    assert properties.enable_purge_protection is None
    assert properties.provisioning_state == "Succeeded"
    assert made.system_data.created_at is not None

    # What was made by one plane is there in the other one, at the address the first one gave.
    with SecretClient(properties.vault_uri, managed.credential(), **managed.transport) as secrets:
        secrets.set_secret("s", "v")
        assert secrets.get_secret("s").value == "v"

    changed = vaults.vaults.update(
        GROUP,
        "life",
        VaultPatchParameters(tags={"c": "d"}, properties=VaultPatchProperties(sku=Sku(family="A", name="premium"))),
    )
    assert (changed.tags, changed.properties.sku.name) == ({"c": "d"}, "premium")
    assert vaults.vaults.get(GROUP, "LIFE").tags == {"c": "d"}

    vaults.vaults.delete(GROUP, "Life")
    with pytest.raises(ResourceNotFoundError) as missing:
        vaults.vaults.get(GROUP, "Life")
    assert code(missing.value) == "ResourceNotFound"
    deleted = vaults.vaults.get_deleted("Life", "West Europe")
    assert (deleted.name, deleted.properties.vault_id) == ("Life", path)
    assert deleted.properties.scheduled_purge_date > deleted.properties.deletion_date
    assert "Life" in [one.name for one in vaults.vaults.list_deleted()]
    with pytest.raises(ResourceExistsError) as taken:
        vaults.vaults.begin_create_or_update(GROUP, "Life", wanted(managed))
    assert code(taken.value) == "ConflictError"

    back = vaults.vaults.begin_create_or_update(GROUP, "Life", wanted(managed, create_mode="recover")).result()
    assert back.tags == {"c": "d"}
    with SecretClient(properties.vault_uri, managed.credential(), **managed.transport) as secrets:
        assert secrets.get_secret("s").value == "v"

    vaults.vaults.delete(GROUP, "Life")
    vaults.vaults.begin_purge_deleted("Life", "westeurope").result()
    with pytest.raises(ResourceNotFoundError):
        vaults.vaults.get_deleted("Life", "westeurope")
    assert vaults.vaults.check_name_availability(VaultCheckNameAvailabilityParameters(name="Life")).name_available


def test_making_a_vault_that_is_there_has_it_be_so(vaults: Any, managed: Served) -> None:
    vaults.vaults.begin_create_or_update(GROUP, "again", wanted(managed, tags={"a": "b"})).result()
    network = NetworkRuleSet(default_action="Deny", bypass="None", ip_rules=[IPRule(value="203.0.113.0/24")])
    vaults.vaults.begin_create_or_update(
        GROUP, "again", wanted(managed, network_acls=network, enable_purge_protection=True)
    ).result()
    found = vaults.vaults.get(GROUP, "again")
    assert found.tags == {}
    assert found.properties.enable_purge_protection
    rules = found.properties.network_acls
    assert (rules.default_action, rules.bypass, [one.value for one in rules.ip_rules]) == (
        "Deny", "None", ["203.0.113.0/24"]
    )  # fmt: skip
    with pytest.raises(HttpResponseError) as elsewhere:
        vaults.vaults.begin_create_or_update(GROUP, "again", wanted(managed, location="northeurope"))
    assert code(elsewhere.value) == "InvalidResourceLocation"
    with pytest.raises(HttpResponseError) as off:
        vaults.vaults.update(
            GROUP, "again", VaultPatchParameters(properties=VaultPatchProperties(enable_purge_protection=False))
        )
    assert code(off.value) == "BadRequest"


def test_what_is_sent_back_as_it_was_got_changes_nothing(vaults: Any, managed: Served) -> None:
    made = vaults.vaults.begin_create_or_update(GROUP, "roundtrip", wanted(managed, tags={"a": "b"})).result()
    same = vaults.vaults.begin_create_or_update(
        GROUP,
        "roundtrip",
        VaultCreateOrUpdateParameters(location=made.location, tags=made.tags, properties=made.properties),
    ).result()
    assert same.as_dict() == made.as_dict()


def test_a_name_is_free_or_not(vaults: Any) -> None:
    def check(name: str) -> Any:
        return vaults.vaults.check_name_availability(VaultCheckNameAvailabilityParameters(name=name))

    assert check("nobody-has-it").name_available
    taken = check(SHOP)
    assert (taken.name_available, taken.reason) == (False, "AlreadyExists")
    wrong = check("1--x")
    assert (wrong.name_available, wrong.reason) == (False, "AccountNameInvalid")


def test_a_vault_of_another_group_is_not_there(vaults: Any, managed: Served) -> None:
    vaults.vaults.begin_create_or_update(GROUP, "homely", wanted(managed)).result()
    with pytest.raises(ResourceNotFoundError):
        vaults.vaults.get("elsewhere", "homely")
    with pytest.raises(HttpResponseError) as refusal:
        vaults.vaults.update("elsewhere", "homely", VaultPatchParameters(tags={}))
    assert code(refusal.value) == "ResourceNotFound"
    vaults.vaults.delete("elsewhere", "homely")
    assert vaults.vaults.get(GROUP, "homely").name == "homely"
    with pytest.raises(ResourceExistsError) as taken:
        vaults.vaults.begin_create_or_update("elsewhere", "homely", wanted(managed))
    assert code(taken.value) == "VaultAlreadyExists"


def test_lists_come_in_pages_by_group_and_by_subscription(vaults: Any, managed: Served) -> None:
    names = [f"paged-{n}" for n in range(5)]
    for name in names:
        vaults.vaults.begin_create_or_update("paging", name, wanted(managed)).result()
    pages = [[one.name for one in page] for page in vaults.vaults.list_by_resource_group("PAGING", top=2).by_page()]
    assert pages == [names[:2], names[2:4], names[4:]]
    everywhere = [one.name for one in vaults.vaults.list_by_subscription(top=3)]
    assert everywhere == sorted(everywhere, key=str.lower)
    assert {*names, SHOP} <= {*everywhere}
    listed = list(vaults.vaults.list(top=2))
    assert {one.name for one in listed} == {*everywhere}
    assert {one.type for one in listed} == {"Microsoft.KeyVault/vaults"}


def test_access_policies_are_added_replaced_and_taken_away(vaults: Any, managed: Served) -> None:
    def entry(who: str, **permissions: list[str]) -> AccessPolicyEntry:
        return AccessPolicyEntry(tenant_id=managed.tenant, object_id=who, permissions=Permissions(**permissions))

    def change(kind: str, *entries: AccessPolicyEntry) -> dict[str, Any]:
        body = VaultAccessPolicyParameters(properties=VaultAccessPolicyProperties(access_policies=[*entries]))
        left = vaults.vaults.update_access_policy(GROUP, "policed", kind, body).properties.access_policies
        return {one.object_id: (one.permissions.secrets, one.permissions.keys_property) for one in left}

    made = vaults.vaults.begin_create_or_update(
        GROUP,
        "policed",
        wanted(managed, enable_rbac_authorization=False, access_policies=[entry(STRANGER, secrets=["Get"])]),
    ).result()
    assert not made.properties.enable_rbac_authorization
    assert [one.object_id for one in made.properties.access_policies] == [STRANGER]
    uri = made.properties.vault_uri
    assert change("add", entry(STRANGER, secrets=["list"], keys_property=["all"])) == {
        STRANGER: (["get", "list"], ["all"])
    }
    assert change("add", entry(READER, secrets=["set"])).keys() == {READER, STRANGER}
    with SecretClient(uri, managed.credential(READER), **managed.transport) as secrets:
        assert secrets.set_secret("by-policy", "v").name == "by-policy"
    assert change("replace", entry(STRANGER, secrets=["get"]))[STRANGER] == (["get"], [])
    assert change("remove", entry(READER, secrets=["set"])).keys() == {STRANGER}
    with (
        SecretClient(uri, managed.credential(READER), **managed.transport) as secrets,
        pytest.raises(HttpResponseError) as refusal,
    ):
        secrets.set_secret("by-policy", "v")
    assert refusal.value.status_code == 403
    vaults.vaults.update(GROUP, "policed", VaultPatchParameters(properties=VaultPatchProperties(access_policies=[])))
    assert vaults.vaults.get(GROUP, "policed").properties.access_policies == []
    with pytest.raises(HttpResponseError) as unknown:
        change("add", entry(STRANGER, secrets=["gte"]))
    assert code(unknown.value) == "BadRequest"


def test_policies_that_are_sent_back_take_no_right_to_change_them(
    vaults: Any, managed: Served, asked: Callable[..., Any]
) -> None:
    policy = {"objectId": STRANGER, "tenantId": managed.tenant, "permissions": {"secrets": ["Get"], "keys": []}}
    properties = wanted(managed, enable_rbac_authorization=False).properties
    properties.access_policies = [AccessPolicyEntry(policy)]
    made = vaults.vaults.begin_create_or_update(
        GROUP, "sent-back", VaultCreateOrUpdateParameters(location="l", properties=properties)
    ).result()
    role = str(uuid.uuid4())
    top = f"/subscriptions/{managed.subscription}/providers/Microsoft.Authorization"
    actions = ["Microsoft.KeyVault/vaults/read", "Microsoft.KeyVault/vaults/write"]
    definition = {"roleName": "tagger", "permissions": [{"actions": actions}], "assignableScopes": [made.id]}
    put = {"version": "2022-04-01"}
    asked("PUT", f"{top}/roleDefinitions/{role}", json_body={"properties": definition}, **put)
    given = {"roleDefinitionId": f"{top}/roleDefinitions/{role}", "principalId": STRANGER}
    path = f"{made.id}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    assert asked("PUT", path, json_body={"properties": given}, **put).status == 201
    with management(managed, KeyVaultManagementClient, STRANGER) as tagger:
        same = VaultPatchProperties(access_policies=made.properties.access_policies)
        found = tagger.vaults.update(GROUP, "sent-back", VaultPatchParameters(tags={"a": "b"}, properties=same))
        assert found.tags == {"a": "b"}
        other = VaultPatchProperties(access_policies=[])
        with pytest.raises(HttpResponseError) as refusal:
            tagger.vaults.update(GROUP, "sent-back", VaultPatchParameters(tags={}, properties=other))
        assert code(refusal.value) == "AuthorizationFailed"
        # Refused in part is refused in whole.
        assert tagger.vaults.get(GROUP, "sent-back").tags == {"a": "b"}
    # With it goes what the stranger was given: the others tell that he sees nothing.
    vaults.vaults.delete(GROUP, "sent-back")


def test_a_vault_whose_policies_are_refused_is_not_made(vaults: Any, managed: Served) -> None:
    bad = AccessPolicyEntry(
        tenant_id=managed.tenant, object_id=STRANGER, permissions=Permissions(keys_property=["nothing"])
    )
    with pytest.raises(HttpResponseError):
        vaults.vaults.begin_create_or_update(GROUP, "halfway", wanted(managed, access_policies=[bad]))
    with pytest.raises(ResourceNotFoundError):
        vaults.vaults.get(GROUP, "halfway")
    assert vaults.vaults.check_name_availability(VaultCheckNameAvailabilityParameters(name="halfway")).name_available


@pytest.mark.parametrize(("version", "by_roles"), [("2023-07-01", False), ("2026-02-01", True)])
def test_what_a_vault_goes_by_where_nothing_is_said_is_the_versions(
    managed: Served, asked: Callable[..., Any], version: str, by_roles: bool
) -> None:
    path = (
        f"/subscriptions/{managed.subscription}/resourceGroups/{GROUP}/providers/Microsoft.KeyVault/vaults/v{version}"
    )
    body = {"location": "l", "properties": {"tenantId": managed.tenant, "sku": {"family": "A", "name": "standard"}}}
    answer = asked("PUT", path, version=version, json_body=body)
    assert answer.status == 201
    assert answer.json["properties"]["enableRbacAuthorization"] is by_roles


def test_who_may_only_see_changes_nothing_and_a_stranger_sees_nothing(managed: Served) -> None:
    with management(managed, KeyVaultManagementClient, READER) as reader:
        assert SHOP in [one.name for one in reader.vaults.list_by_subscription()]
        with pytest.raises(HttpResponseError) as refusal:
            reader.vaults.begin_create_or_update(GROUP, "forbidden", wanted(managed))
        assert (refusal.value.status_code, code(refusal.value)) == (403, "AuthorizationFailed")
        with pytest.raises(HttpResponseError) as refusal:
            reader.vaults.delete(OWN, SHOP)
        assert (refusal.value.status_code, code(refusal.value)) == (403, "AuthorizationFailed")
    with management(managed, KeyVaultManagementClient, STRANGER) as stranger:
        assert list(stranger.vaults.list_by_subscription()) == []
        for name in (SHOP, "nowhere"):
            with pytest.raises(HttpResponseError) as refusal:
                stranger.vaults.get(OWN, name)
            assert code(refusal.value) == "AuthorizationFailed"
            assert refusal.value.error is not None
            assert refusal.value.error.message == "denied."


@pytest.mark.parametrize(
    "properties",
    [
        {"enabledForDeployment": True},
        {"enableSoftDelete": False},
        {"publicNetworkAccess": "Disabled"},
        {"tenantId": STRANGER},
        {"sku": {"family": "B", "name": "standard"}},
        {"networkAcls": {"virtualNetworkRules": [{"id": "/x"}]}},
        {"networkAcls": {"defaultAction": "Maybe"}},
        {"networkAcls": {"ipRules": [{"value": "nowhere"}]}},
        {"softDeleteRetentionInDays": 6},
        {"createMode": "undo"},
        {"accessPolicies": [{"objectId": "x", "permissions": {}}]},
        {"accessPolicies": [{"objectId": STRANGER, "applicationId": READER, "permissions": {"keys": ["get"]}}]},
    ],
)
def test_what_no_vault_here_can_be_is_refused_not_forgotten(
    managed: Served, asked: Callable[..., Any], properties: dict[str, Any]
) -> None:
    path = f"/subscriptions/{managed.subscription}/resourceGroups/{GROUP}/providers/Microsoft.KeyVault/vaults/refused"
    plain = {"tenantId": managed.tenant, "sku": {"family": "A", "name": "standard"}}
    answer = asked("PUT", path, json_body={"location": "l", "properties": plain | properties})
    assert answer.status == 400
    assert asked("GET", path).code == "ResourceNotFound"


def test_private_links_are_none(vaults: Any, managed: Served, asked: Callable[..., Any]) -> None:
    vaults.vaults.begin_create_or_update(GROUP, "linked", wanted(managed)).result()
    assert list(vaults.private_endpoint_connections.list_by_resource(GROUP, "linked")) == []
    assert vaults.private_link_resources.list_by_vault(GROUP, "linked").value == []
    with pytest.raises(ResourceNotFoundError):
        vaults.private_endpoint_connections.get(GROUP, "linked", "one")


PROGRAM = """
import asyncio, os
from azure.identity.aio import DefaultAzureCredential
from azure.mgmt.keyvault.aio import KeyVaultManagementClient

async def main():
    where = os.environ["KVSTACK_RESOURCE_MANAGER"]
    async with DefaultAzureCredential(disable_instance_discovery=True) as signed_in:
        async with KeyVaultManagementClient(
            signed_in, os.environ["AZURE_SUBSCRIPTION_ID"], where, credential_scopes=[where + "/.default"]
        ) as client:
            properties = {"tenant_id": os.environ["AZURE_TENANT_ID"], "sku": {"family": "A", "name": "standard"}}
            making = await client.vaults.begin_create_or_update(
                "payments", "asynchronous", {"location": "here", "properties": properties}
            )
            print((await making.result()).name)
            print("asynchronous" in [one.name async for one in client.vaults.list_by_subscription()])

asyncio.run(main())
"""


def test_an_asynchronous_program_needs_nothing_but_the_environment(managed: Served) -> None:
    ran = client_program(managed, PROGRAM)
    assert (ran.returncode, ran.stdout) == (0, "asynchronous\nTrue\n"), ran
