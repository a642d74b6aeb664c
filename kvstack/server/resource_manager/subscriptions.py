"""The operations on where vaults are: tenant, subscription, resource groups, and all resources in one list."""

from collections.abc import Iterator
from typing import Any, Final

from kvstack.server.answer import NOTHING, Answer, answered
from kvstack.server.filters import filtered
from kvstack.server.resource_manager.context import (
    IDENTITIES,
    MANAGED_HSMS,
    VAULTS,
    Asked,
    listed,
    path_of,
)
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import KEY_VAULT, RESOURCES
from kvstack.vault.identities import ManagedIdentity
from kvstack.vault.records import Vault
from kvstack.vault.resource_groups import HomeSubscription, ResourceGroup

_FILTERED: Final = ("resourceType", "name", "resourceGroup", "location")


def list_tenants(asked: Asked) -> Answer:
    """Tenants_List: the one there is."""
    tenant = asked.service.tenant_id
    return answered({"value": [{"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": asked.domain}]})


def list_subscriptions(asked: Asked) -> Answer:
    """Subscriptions_List."""
    found = asked.service.list_home_subscriptions(asked.caller)
    return listed(asked, found, lambda one: one.id, lambda one: _subscription(asked, one))


def get_subscription(asked: Asked) -> Answer:
    """Subscriptions_Get."""
    return answered(_subscription(asked, asked.service.get_home_subscription(asked.caller)))


def list_resource_groups(asked: Asked) -> Answer:
    """ResourceGroups_List."""
    found = asked.service.list_resource_groups(asked.caller)
    return listed(asked, found, lambda one: one.name.lower(), lambda one: _group(asked, one))


def get_resource_group(asked: Asked) -> Answer:
    """ResourceGroups_Get."""
    return answered(_group(asked, asked.service.get_resource_group(asked.caller, asked.group)))


def check_resource_group(asked: Asked) -> Answer:
    """ResourceGroups_CheckExistence."""
    asked.service.get_resource_group(asked.caller, asked.group)
    return NOTHING


def list_resources(asked: Asked) -> Answer:
    """Resources_List, which `vaults.list()` of azure-mgmt-keyvault asks for: vaults, Managed HSMs and identities."""
    wanted = filtered(asked.request.query, _FILTERED, "InvalidFilterInQueryString")
    found = [
        one
        for one in _resources(asked, wanted.get("resourceType", "").lower())
        if _within(asked.names.get("group"), one)
        and _within(wanted.get("resourceGroup"), one)
        and wanted.get("name", one.name).lower() == one.name.lower()
        and wanted.get("location", one.location).lower() == one.location.lower()
    ]
    return listed(asked, found, lambda one: path_of(one, "").lower(), lambda one: _resource(asked, one))


def _resources(asked: Asked, wanted: str) -> Iterator[Vault | ManagedIdentity]:
    """Yield those of a type, in lower case; all where it is empty."""
    service, caller = asked.service, asked.caller
    if wanted in ("", VAULTS.lower()):
        yield from service.list_vaults(caller)
    if wanted in ("", MANAGED_HSMS.lower()):
        yield from service.list_managed_hsms(caller)
    if wanted in ("", IDENTITIES.lower()):
        yield from service.list_identities(caller)


def _within(group: str | None, thing: Vault | ManagedIdentity) -> bool:
    return group is None or group.lower() == thing.resource_group.lower()


def _resource(asked: Asked, thing: Vault | ManagedIdentity) -> dict[str, Any]:
    path = path_of(thing, asked.subscription)
    kind = path.rpartition("/providers/")[2].rpartition("/")[0]
    return {"id": path, "name": thing.name, "type": kind, "location": thing.location, "tags": thing.tags}


def _subscription(asked: Asked, one: HomeSubscription) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{one.id}",
        "subscriptionId": one.id,
        "tenantId": one.tenant_id,
        "displayName": asked.domain,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def _group(asked: Asked, one: ResourceGroup) -> dict[str, Any]:
    return {
        "id": f"{asked.subscription}/resourceGroups/{one.name}",
        "name": one.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": one.location,
        "tags": {},
        "properties": {"provisioningState": "Succeeded"},
    }


_ONE: Final = "/subscriptions/{subscription}"
# azure-mgmt-keyvault asks for the first page by a version of this list's, for the others by one of its vaults'.
_LISTED: Final = (*RESOURCES, *(one for one in KEY_VAULT if one not in RESOURCES))
OPERATIONS: Final = (
    Operation("Tenants_List", "GET", "/tenants", list_tenants, RESOURCES),
    Operation("Subscriptions_List", "GET", "/subscriptions", list_subscriptions, RESOURCES),
    Operation("Subscriptions_Get", "GET", _ONE, get_subscription, RESOURCES),
    Operation("ResourceGroups_List", "GET", f"{_ONE}/resourceGroups", list_resource_groups, RESOURCES),
    Operation("ResourceGroups_Get", "GET", f"{_ONE}/resourceGroups/{{group}}", get_resource_group, RESOURCES),
    Operation(
        "ResourceGroups_CheckExistence",
        "HEAD",
        f"{_ONE}/resourceGroups/{{group}}",
        check_resource_group,
        RESOURCES,
    ),
    Operation("Vaults_List", "GET", f"{_ONE}/resources", list_resources, _LISTED),
    Operation(
        "Resources_ListByResourceGroup",
        "GET",
        f"{_ONE}/resourceGroups/{{group}}/resources",
        list_resources,
        RESOURCES,
    ),
)
