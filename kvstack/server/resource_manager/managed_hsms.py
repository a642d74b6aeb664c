"""The operations on Managed HSMs as resources. Activating one takes its custodians, and is the data plane's."""

from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from kvstack.server.answer import NOTHING, Answer, Header, Refusal, answered, refused
from kvstack.server.resource_manager.context import MANAGED_HSMS, Asked, listed, path_of, system_data
from kvstack.server.resource_manager.errors import bad_request, elsewhere, resource_not_found
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.vault_bodies import GivenNetwork, location_of, network_of
from kvstack.server.resource_manager.vault_documents import deleted_document
from kvstack.server.resource_manager.versions import MANAGED_HSM
from kvstack.terms.scope import Scope
from kvstack.vault.errors import NotFound
from kvstack.vault.records import NetworkRules, Vault

_SIZE: Final = ("B", "Standard_B1")
# A client waits 30 s between two looks unless it is told otherwise.
_SOON: Final[Header] = (b"retry-after-ms", b"50")
_PURGING: Final = "purge-"


class GivenSize(msgspec.Struct, frozen=True, rename="camel"):
    """A SKU."""

    family: str
    name: str


class GivenProperties(msgspec.Struct, frozen=True, rename="camel"):
    """A Managed HSM's properties; what is not given stays, or is what a new one has."""

    tenant_id: str | None = None
    initial_admin_object_ids: list[str] | None = None
    enable_soft_delete: bool | None = None
    soft_delete_retention_in_days: int | None = None
    enable_purge_protection: bool | None = None
    create_mode: str | None = None
    network_acls: GivenNetwork | None = None
    public_network_access: str | None = None
    regions: list[dict[str, Any]] | None = None


NO_PROPERTIES: Final = GivenProperties()


class GivenIdentity(msgspec.Struct, frozen=True, rename="camel"):
    """Identities that a Managed HSM acts under: none does."""

    type: str


class GivenHsm(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to make a Managed HSM, or to change one."""

    location: str | None = None
    sku: GivenSize | None = None
    properties: GivenProperties | None = None
    tags: dict[str, str] | None = None
    identity: GivenIdentity | None = None


def get_hsm(asked: Asked) -> Answer:
    """ManagedHsms_Get."""
    try:
        found = asked.service.get_managed_hsm(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        raise resource_not_found(f"{MANAGED_HSMS}/{asked.name}", asked.group) from None
    return answered(_document(asked, found))


def list_hsms_of_group(asked: Asked) -> Answer:
    """ManagedHsms_ListByResourceGroup."""
    found = asked.service.list_managed_hsms(asked.caller)
    here = [one for one in found if one.resource_group.lower() == asked.group.lower()]
    return listed(asked, here, lambda one: one.folded, lambda one: _document(asked, one))


def list_hsms(asked: Asked) -> Answer:
    """ManagedHsms_ListBySubscription."""
    found = asked.service.list_managed_hsms(asked.caller)
    return listed(asked, found, lambda one: one.folded, lambda one: _document(asked, one))


def put_hsm(asked: Asked) -> Answer:
    """ManagedHsms_CreateOrUpdate. It is there when this answers: nothing is polled."""
    given = asked.document(GivenHsm)
    if given.location is None:
        raise bad_request("`location` is missing.", "LocationRequired")
    location = location_of(given.location)
    properties = given.properties or NO_PROPERTIES
    _require_there_is(given, asked.service.tenant_id)
    mode = (properties.create_mode or "default").lower()
    if mode not in ("default", "recover"):
        raise bad_request("`properties.createMode` is `default` or `recover`.")
    if mode == "recover":
        return answered(_document(asked, _recovered(asked, location)))
    try:
        there = asked.service.get_managed_hsm(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        return answered(_document(asked, _made(asked, given, location)))
    if there.location.lower() != location:
        raise elsewhere(there.name, there.location)
    return answered(_document(asked, _changed(asked, there, properties, given.tags or {})))


def patch_hsm(asked: Asked) -> Answer:
    """ManagedHsms_Update: what is not given stays."""
    given = asked.document(GivenHsm)
    _require_there_is(given, asked.service.tenant_id)
    there = asked.service.get_managed_hsm(asked.caller, asked.name, resource_group=asked.group)
    return answered(_document(asked, _changed(asked, there, given.properties or NO_PROPERTIES, given.tags)))


def delete_hsm(asked: Asked) -> Answer:
    """ManagedHsms_Delete: it can be recovered."""
    try:
        asked.service.delete_managed_hsm(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        return NOTHING
    return Answer(200, b"", ())


def list_deleted(asked: Asked) -> Answer:
    """ManagedHsms_ListDeleted."""
    found = asked.service.list_deleted_managed_hsms(asked.caller)
    return listed(asked, found, lambda one: one.folded, lambda one: deleted_document(asked, one))


def get_deleted(asked: Asked) -> Answer:
    """ManagedHsms_GetDeleted."""
    return answered(deleted_document(asked, _deleted(asked)))


def purge_deleted(asked: Asked) -> Answer:
    """ManagedHsms_PurgeDeleted: gone for good when this answers, though Azure's clients only take it as begun."""
    there = _deleted(asked)
    left = asked.service.purge_managed_hsm(asked.caller, asked.name)
    if left:
        words = f"It is purged, but some of its tokens have to be destroyed by their own means: {' '.join(left)}"
        raise Refusal(refused(409, "TokensLeft", words))
    place = f"{asked.base}{asked.subscription}/providers/Microsoft.KeyVault/locations/{quote(there.location)}"
    where = f"{place}/operationResults/{_PURGING}{there.name}?api-version={asked.version}"
    return Answer(202, b"", ((b"location", where.encode()), _SOON))


def purged(asked: Asked) -> Answer:
    """Whether a purge has ended, which is what its answer leads to."""
    name = asked.name
    if not name.startswith(_PURGING):
        raise resource_not_found(f"operationResults/{name}", "")
    try:
        asked.service.get_deleted_managed_hsm(asked.caller, name.removeprefix(_PURGING))
    except NotFound:
        return Answer(200, b"", ())
    where = asked.request.uri.encode("latin-1", "replace")
    return Answer(202, b"", ((b"location", where), _SOON))


def _made(asked: Asked, given: GivenHsm, location: str) -> Vault:
    properties = given.properties or NO_PROPERTIES
    days = properties.soft_delete_retention_in_days
    return asked.service.create_managed_hsm(
        asked.caller,
        asked.name,
        resource_group=asked.group,
        location=location,
        soft_delete_retention_days=90 if days is None else days,
        purge_protection=bool(properties.enable_purge_protection),
        administrators=properties.initial_admin_object_ids or (),
        tags=given.tags,
    )


def _changed(asked: Asked, there: Vault, given: GivenProperties, tags: dict[str, str] | None) -> Vault:
    days, administrators = given.soft_delete_retention_in_days, given.initial_admin_object_ids
    if days not in (None, there.soft_delete_retention_days):
        raise bad_request("`properties.softDeleteRetentionInDays` is set once, when a Managed HSM is made.")
    first = there.pool.administrators if there.pool is not None else ()
    if administrators is not None and {one.lower() for one in administrators} != {*first}:
        raise bad_request("`properties.initialAdminObjectIds` are those it was made with; roles inside it change.")
    return asked.service.update_managed_hsm(
        asked.caller,
        asked.name,
        resource_group=asked.group,
        purge_protection=UNSET if given.enable_purge_protection is None else given.enable_purge_protection,
        tags=UNSET if tags is None else tags,
    )


def _recovered(asked: Asked, location: str) -> Vault:
    place = Scope(asked.service.top.subscription, asked.group, asked.name, managed_hsm=True)
    with asked.service.as_one(asked.caller, "ManagedHsmDeploy", place):
        there = asked.service.recover_managed_hsm(asked.caller, asked.name)
        if there.resource_group.lower() != asked.group.lower() or there.location.lower() != location:
            raise resource_not_found(f"Microsoft.KeyVault/deletedManagedHSMs/{asked.name}", asked.group)
        return there


def _deleted(asked: Asked) -> Vault:
    """Return the deleted Managed HSM, which has to be where it is looked for."""
    location = asked.names["location"]
    nothing = resource_not_found(f"Microsoft.KeyVault/locations/{location}/deletedManagedHSMs/{asked.name}", "")
    try:
        found = asked.service.get_deleted_managed_hsm(asked.caller, asked.name)
    except NotFound:
        raise nothing from None
    if found.location.replace(" ", "").lower() != location.replace(" ", "").lower():
        raise nothing
    return found


def _require_there_is(given: GivenHsm, tenant: str) -> None:
    """Refuse what no Managed HSM here can be. Raises Refusal."""
    properties = given.properties or NO_PROPERTIES
    if properties.tenant_id is not None and properties.tenant_id.lower() != tenant:
        raise bad_request("`properties.tenantId` is another tenant's.", "InvalidTenantId")
    if given.sku is not None and (given.sku.family, given.sku.name) != _SIZE:
        raise bad_request(f"`sku` is of family `{_SIZE[0]}`, `{_SIZE[1]}`: there is one size.", "InvalidSku")
    if given.identity is not None and given.identity.type.lower() != "none":
        raise bad_request("`identity`: a Managed HSM acts under nobody's name here.")
    if properties.enable_soft_delete is False:
        raise bad_request("`properties.enableSoftDelete` cannot be false: every Managed HSM has soft delete.")
    if (properties.public_network_access or "enabled").lower() != "enabled":
        raise bad_request("`properties.publicNetworkAccess` is `Enabled`: there is no other network.")
    if properties.network_acls is not None and network_of(properties.network_acls) != NetworkRules():
        raise bad_request("`properties.networkAcls`: a Managed HSM here has no rules of its own for networks.")
    if properties.regions:
        raise bad_request("`properties.regions`: a Managed HSM here is in one place; it may have several tokens.")


def _document(asked: Asked, one: Vault) -> dict[str, Any]:
    active = one.pool is not None and one.pool.activated is not None
    words = (
        "The security domain is with its custodians."
        if active
        else "The security domain was never downloaded: no key can be made before it is."
    )
    properties: dict[str, Any] = {
        "tenantId": asked.service.tenant_id,
        "initialAdminObjectIds": one.pool.administrators if one.pool is not None else (),
        "hsmUri": asked.vault_uri(one),
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": one.soft_delete_retention_days,
        "provisioningState": "Succeeded",
        "statusMessage": words,
        "publicNetworkAccess": "Enabled",
        "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": []},
        "privateEndpointConnections": [],
        "securityDomainProperties": {
            "activationStatus": "Active" if active else "NotActivated",
            "activationStatusMessage": words,
        },
        "enablePurgeProtection": one.purge_protection,
    }
    return {
        "id": path_of(one, asked.subscription),
        "name": one.name,
        "type": MANAGED_HSMS,
        "location": one.location,
        "sku": {"family": _SIZE[0], "name": _SIZE[1]},
        "tags": one.tags,
        "systemData": system_data(one),
        "properties": properties,
    }


_SUBSCRIPTION: Final = "/subscriptions/{subscription}"
_PROVIDER: Final = f"{_SUBSCRIPTION}/providers/Microsoft.KeyVault"
_GROUP: Final = f"{_SUBSCRIPTION}/resourceGroups/{{group}}/providers/{MANAGED_HSMS}"
_ONE: Final = f"{_GROUP}/{{name}}"
_DELETED: Final = f"{_PROVIDER}/locations/{{location}}/deletedManagedHSMs/{{name}}"
OPERATIONS: Final = (
    Operation("ManagedHsms_Get", "GET", _ONE, get_hsm, MANAGED_HSM),
    Operation("ManagedHsms_CreateOrUpdate", "PUT", _ONE, put_hsm, MANAGED_HSM),
    Operation("ManagedHsms_Update", "PATCH", _ONE, patch_hsm, MANAGED_HSM),
    Operation("ManagedHsms_Delete", "DELETE", _ONE, delete_hsm, MANAGED_HSM),
    Operation("ManagedHsms_ListByResourceGroup", "GET", _GROUP, list_hsms_of_group, MANAGED_HSM),
    Operation("ManagedHsms_ListBySubscription", "GET", f"{_PROVIDER}/managedHSMs", list_hsms, MANAGED_HSM),
    Operation("ManagedHsms_ListDeleted", "GET", f"{_PROVIDER}/deletedManagedHSMs", list_deleted, MANAGED_HSM),
    Operation("ManagedHsms_GetDeleted", "GET", _DELETED, get_deleted, MANAGED_HSM),
    Operation("ManagedHsms_PurgeDeleted", "POST", f"{_DELETED}/purge", purge_deleted, MANAGED_HSM),
    Operation(
        "OperationResults_Get",
        "GET",
        f"{_PROVIDER}/locations/{{location}}/operationResults/{{name}}",
        purged,
        MANAGED_HSM,
    ),
)
