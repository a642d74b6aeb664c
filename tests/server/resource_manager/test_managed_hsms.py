"""Azure's own client for vaults, unmodified: a Managed HSM of real tokens from its making to its purge."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault.models import (
    CheckMhsmNameAvailabilityParameters,
    ManagedHsm,
    ManagedHsmProperties,
    ManagedHsmSku,
)

from tests.server.resource_manager.clients import management
from tests.server.served import APP, READER, STRANGER, Served

GROUP = "hsms"


@pytest.fixture(scope="module")
def hsms(hsm_managed: Served) -> Iterator[Any]:
    with management(hsm_managed, KeyVaultManagementClient) as found:
        yield found


def wanted(served: Served, **more: Any) -> ManagedHsm:
    properties = {"tenant_id": served.tenant, "initial_admin_object_ids": [APP]} | more
    return ManagedHsm(
        location="westeurope",
        sku=ManagedHsmSku(family="B", name="Standard_B1"),
        tags={"a": "b"},
        properties=ManagedHsmProperties(**properties),
    )


def code(error: HttpResponseError) -> str:
    assert error.error is not None
    return str(error.error.code)


def test_a_managed_hsm_is_made_changed_deleted_recovered_and_purged(hsms: Any, hsm_managed: Served) -> None:
    began = time.monotonic()
    made = hsms.managed_hsms.begin_create_or_update(GROUP, "Pool", wanted(hsm_managed)).result()
    path = f"/subscriptions/{hsm_managed.subscription}/resourceGroups/{GROUP}/providers/Microsoft.KeyVault/managedHSMs"
    assert (made.id, made.name, made.location, made.tags) == (f"{path}/Pool", "Pool", "westeurope", {"a": "b"})
    properties = made.properties
    assert properties.hsm_uri == f"https://pool.managedhsm.localhost:{hsm_managed.port}/"
    assert properties.initial_admin_object_ids == [APP]
    assert (properties.provisioning_state, properties.security_domain_properties.activation_status) == (
        "Succeeded", "NotActivated"
    )  # fmt: skip
    changed = hsms.managed_hsms.begin_update(GROUP, "pool", ManagedHsm(tags={"c": "d"})).result()
    assert changed.tags == {"c": "d"}
    same = hsms.managed_hsms.begin_create_or_update(GROUP, "Pool", changed).result()
    assert same.as_dict() == changed.as_dict()
    assert [one.name for one in hsms.managed_hsms.list_by_resource_group("HSMS")] == ["Pool"]
    assert [one.name for one in hsms.managed_hsms.list_by_subscription()] == ["Pool"]
    # Its kind is not the other one.
    with pytest.raises(HttpResponseError):
        hsms.vaults.get(GROUP, "Pool")
    taken = hsms.managed_hsms.check_mhsm_name_availability(CheckMhsmNameAvailabilityParameters(name="pool"))
    assert (taken.name_available, taken.reason) == (False, "AlreadyExists")

    hsms.managed_hsms.begin_delete(GROUP, "Pool").result()
    with pytest.raises(ResourceNotFoundError):
        hsms.managed_hsms.get(GROUP, "Pool")
    deleted = hsms.managed_hsms.get_deleted("Pool", "westeurope")
    assert deleted.properties.mhsm_id == f"{path}/Pool"
    assert [one.name for one in hsms.managed_hsms.list_deleted()] == ["Pool"]
    with pytest.raises(ResourceExistsError) as held:
        hsms.managed_hsms.begin_create_or_update(GROUP, "Pool", wanted(hsm_managed))
    assert code(held.value) == "ConflictError"
    back = hsms.managed_hsms.begin_create_or_update(GROUP, "Pool", wanted(hsm_managed, create_mode="recover")).result()
    assert back.tags == {"c": "d"}

    hsms.managed_hsms.begin_delete(GROUP, "Pool").result()
    # Azure's client waits 30 s between two looks where it is not told otherwise.
    hsms.managed_hsms.begin_purge_deleted("Pool", "westeurope").result()
    with pytest.raises(ResourceNotFoundError):
        hsms.managed_hsms.get_deleted("Pool", "westeurope")
    assert time.monotonic() - began < 25


def test_in_one_that_is_not_activated_there_are_no_keys(hsms: Any, hsm_managed: Served) -> None:
    hsms.managed_hsms.begin_create_or_update(GROUP, "idle", wanted(hsm_managed)).result()
    with pytest.raises(HttpResponseError) as refusal:
        list(hsms.managed_hsm_keys.list(GROUP, "idle"))
    assert refusal.value.status_code == 403
    assert "not activated" in str(refusal.value)
    assert list(hsms.mhsm_regions.list_by_resource(GROUP, "idle")) == []
    assert list(hsms.mhsm_private_endpoint_connections.list_by_resource(GROUP, "idle")) == []


@pytest.mark.parametrize(
    "more",
    [
        {"sku": {"family": "B", "name": "Custom_B32"}},
        {"identity": {"type": "SystemAssigned"}},
        {"properties": {"networkAcls": {"defaultAction": "Deny"}}},
        {"properties": {"regions": [{"name": "northeurope"}]}},
        {"properties": {"enableSoftDelete": False}},
        {"properties": {"tenantId": STRANGER}},
        {"properties": {"softDeleteRetentionInDays": 6}},
        {"properties": {"initialAdminObjectIds": ["me"]}},
        {"properties": {"createMode": "undo"}},
        {"location": None},
    ],
)
def test_what_no_managed_hsm_here_can_be_is_refused(hsm_managed: Served, hsms: Any, more: dict[str, Any]) -> None:
    path = (
        f"/subscriptions/{hsm_managed.subscription}/resourceGroups/{GROUP}/providers/Microsoft.KeyVault/managedHSMs/no"
    )
    answer = hsm_managed.ask(
        "PUT",
        f"{path}?api-version=2026-02-01",
        host=hsm_managed.management,
        token=hsm_managed.management_token(),
        json_body={"location": "l", "properties": {}} | more,
    )
    assert answer.status == 400, answer
    with pytest.raises(ResourceNotFoundError):
        hsms.managed_hsms.get(GROUP, "no")


def test_who_may_only_see_makes_none(hsm_managed: Served) -> None:
    with management(hsm_managed, KeyVaultManagementClient, READER) as reader:
        with pytest.raises(HttpResponseError) as refusal:
            reader.managed_hsms.begin_create_or_update(GROUP, "mine", wanted(hsm_managed))
        assert (refusal.value.status_code, code(refusal.value)) == (403, "AuthorizationFailed")


def test_without_an_hsm_there_is_none(managed: Served, vaults: Any, asked: Callable[..., Any]) -> None:
    path = f"/subscriptions/{managed.subscription}/resourceGroups/{GROUP}/providers/Microsoft.KeyVault/managedHSMs/none"
    answer = asked("PUT", path, json_body={"location": "l", "properties": {}})
    assert answer.status in (400, 503), answer
    assert answer.json["error"]["code"]
    assert list(vaults.managed_hsms.list_by_subscription()) == []
