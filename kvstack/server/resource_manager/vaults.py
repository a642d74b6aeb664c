"""The operations on vaults as resources, in Azure's words. Source: azure/openapi/resource-manager, keyvault.json."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from msgspec import UNSET

from kvstack.server.answer import NOTHING, Answer, answered
from kvstack.server.resource_manager.context import Asked, listed
from kvstack.server.resource_manager.errors import bad_request, elsewhere, resource_not_found
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.vault_bodies import (
    NO_PROPERTIES,
    GivenProperties,
    PatchVault,
    PutVault,
    location_of,
    network_of,
    policies_of,
    require_there_is,
    sku_of,
)
from kvstack.server.resource_manager.vault_documents import vault_document
from kvstack.server.resource_manager.versions import KEY_VAULT, ROLES_BY_DEFAULT
from kvstack.terms.access_policy import COLLECTIONS, AccessModel, spelled
from kvstack.terms.scope import Scope
from kvstack.vault.access_policies import GivenPolicy
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.errors import NotFound
from kvstack.vault.records import NetworkRules, Vault


def get_vault(asked: Asked) -> Answer:
    """Vaults_Get."""
    return answered(vault_document(asked, _vault(asked)))


def list_vaults_of_group(asked: Asked) -> Answer:
    """Vaults_ListByResourceGroup."""
    found = asked.service.list_vaults(asked.caller)
    here = [one for one in found if one.resource_group.lower() == asked.group.lower()]
    return listed(asked, here, lambda one: one.folded, lambda one: vault_document(asked, one))


def list_vaults(asked: Asked) -> Answer:
    """Vaults_ListBySubscription."""
    found = asked.service.list_vaults(asked.caller)
    return listed(asked, found, lambda one: one.folded, lambda one: vault_document(asked, one))


def put_vault(asked: Asked) -> Answer:
    """Vaults_CreateOrUpdate: makes a vault, recovers a deleted one, or has the one that is there be so."""
    given = asked.document(PutVault)
    location = location_of(given.location)
    properties = given.properties
    require_there_is(properties, asked.service.tenant_id)
    mode = (properties.create_mode or "default").lower()
    if mode not in ("default", "recover"):
        raise bad_request("`properties.createMode` is `default` or `recover`.")
    if mode == "recover":
        return answered(vault_document(asked, _recovered(asked, location)), 201)
    there = _there(asked)
    if there is not None and there.location.lower() != location:
        raise elsewhere(there.name, there.location)
    with _whole(asked, properties):
        vault = _made(asked, given, location) if there is None else _changed(asked, properties, given.tags or {})
    return answered(vault_document(asked, vault), 201 if there is None else 200)


def patch_vault(asked: Asked) -> Answer:
    """Vaults_Update: what is not given stays."""
    given = asked.document(PatchVault)
    properties = given.properties or NO_PROPERTIES
    require_there_is(properties, asked.service.tenant_id)
    with _whole(asked, properties):
        vault = _changed(asked, properties, given.tags)
    return answered(vault_document(asked, vault))


def delete_vault(asked: Asked) -> Answer:
    """Vaults_Delete: it can be recovered."""
    try:
        asked.service.delete_vault(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        return NOTHING
    return Answer(200, b"", ())


def _vault(asked: Asked) -> Vault:
    try:
        return asked.service.get_vault(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        raise resource_not_found(f"Microsoft.KeyVault/vaults/{asked.name}", asked.group) from None


def _there(asked: Asked) -> Vault | None:
    try:
        return asked.service.get_vault(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        return None


def _whole(asked: Asked, given: GivenProperties) -> AbstractContextManager[None]:
    """Make a vault and its access policies one change, where both are given."""
    if given.access_policies is None:
        return nullcontext()
    return asked.service.as_one(asked.caller, "VaultDeploy", _scope(asked))


def _made(asked: Asked, given: PutVault, location: str) -> Vault:
    properties = given.properties
    if properties.sku is None:
        raise bad_request("`properties.sku` is missing.", "InvalidSku")
    days = properties.soft_delete_retention_in_days
    made = asked.service.create_vault(
        asked.caller,
        asked.name,
        resource_group=asked.group,
        location=location,
        sku=sku_of(properties.sku),
        soft_delete_retention_days=90 if days is None else days,
        purge_protection=bool(properties.enable_purge_protection),
        network=NetworkRules() if properties.network_acls is None else network_of(properties.network_acls),
        tags=given.tags,
        access_model=_access_model(asked, properties),
    )
    _set_policies(asked, properties)
    return made


def _recovered(asked: Asked, location: str) -> Vault:
    with asked.service.as_one(asked.caller, "VaultDeploy", _scope(asked)):
        there = asked.service.recover_vault(asked.caller, asked.name)
        if there.resource_group.lower() != asked.group.lower() or there.location.lower() != location:
            raise resource_not_found(f"Microsoft.KeyVault/deletedVaults/{asked.name}", asked.group)
        return there


def _changed(asked: Asked, given: GivenProperties, tags: dict[str, str] | None) -> Vault:
    changed = asked.service.update_vault(
        asked.caller,
        asked.name,
        resource_group=asked.group,
        sku=UNSET if given.sku is None else sku_of(given.sku),
        soft_delete_retention_days=(
            UNSET if given.soft_delete_retention_in_days is None else given.soft_delete_retention_in_days
        ),
        purge_protection=UNSET if given.enable_purge_protection is None else given.enable_purge_protection,
        network=UNSET if given.network_acls is None else network_of(given.network_acls),
        tags=UNSET if tags is None else tags,
        access_model=UNSET if given.enable_rbac_authorization is None else _access_model(asked, given),
    )
    _set_policies(asked, given)
    return changed


def _set_policies(asked: Asked, given: GivenProperties) -> None:
    """Have the vault's access policies be those that are given. A client sends back what it got: where they are so
    already nothing changes, and the right to change them is not asked for."""
    if given.access_policies is None:
        return
    wanted = policies_of(given.access_policies, asked.service.tenant_id)
    there = asked.service.get_vault(asked.caller, asked.name, resource_group=asked.group)
    if _meaning(wanted) != _meaning(asked.service.access_policies_of(there)):
        asked.service.change_access_policies(asked.caller, asked.name, wanted, "all", resource_group=asked.group)


def _meaning(policies: Iterable[GivenPolicy | AccessPolicy]) -> list[tuple[str, list[frozenset[str]]]]:
    """Return what policies permit whom, in one spelling."""
    found = [
        (one.principal_id.lower(), [spelled(kind, getattr(one, kind)) for kind in COLLECTIONS]) for one in policies
    ]
    return sorted(one for one in found if any(one[1]))


def _access_model(asked: Asked, given: GivenProperties) -> AccessModel:
    by_roles = given.enable_rbac_authorization
    if by_roles is None:
        by_roles = asked.version >= ROLES_BY_DEFAULT
    return "rbac" if by_roles else "access_policies"


def _scope(asked: Asked) -> Scope:
    return Scope(asked.service.top.subscription, asked.group, asked.name)


_SUBSCRIPTION: Final = "/subscriptions/{subscription}"
_GROUP: Final = f"{_SUBSCRIPTION}/resourceGroups/{{group}}/providers/Microsoft.KeyVault/vaults"
_VAULT: Final = f"{_GROUP}/{{name}}"
OPERATIONS: Final = (
    Operation("Vaults_Get", "GET", _VAULT, get_vault, KEY_VAULT),
    Operation("Vaults_CreateOrUpdate", "PUT", _VAULT, put_vault, KEY_VAULT),
    Operation("Vaults_Update", "PATCH", _VAULT, patch_vault, KEY_VAULT),
    Operation("Vaults_Delete", "DELETE", _VAULT, delete_vault, KEY_VAULT),
    Operation("Vaults_ListByResourceGroup", "GET", _GROUP, list_vaults_of_group, KEY_VAULT),
    Operation(
        "Vaults_ListBySubscription",
        "GET",
        f"{_SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults",
        list_vaults,
        KEY_VAULT,
    ),
)
