"""The operations on user-assigned managed identities, as azure-mgmt-msi sends them."""

from typing import Any, Final

import msgspec

from kvstack.server.answer import NOTHING, Answer, answered
from kvstack.server.resource_manager.context import IDENTITIES as KIND
from kvstack.server.resource_manager.context import Asked, listed, path_of, system_data
from kvstack.server.resource_manager.errors import elsewhere, resource_not_found
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.vault_bodies import location_of
from kvstack.server.resource_manager.versions import IDENTITIES
from kvstack.terms.scope import Scope
from kvstack.vault.errors import NotFound
from kvstack.vault.identities import ManagedIdentity


class PutIdentity(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to make an identity."""

    location: str
    tags: dict[str, str] | None = None


class PatchIdentity(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to change one: nothing but its tags ever changes."""

    tags: dict[str, str] | None = None


def get(asked: Asked) -> Answer:
    """UserAssignedIdentities_Get."""
    return answered(_document(asked, _identity(asked)))


def put(asked: Asked) -> Answer:
    """UserAssignedIdentities_CreateOrUpdate."""
    given = asked.document(PutIdentity)
    location = location_of(given.location)
    service, caller = asked.service, asked.caller
    place = Scope(service.top.subscription, asked.group)
    with service.as_one(caller, "ManagedIdentityDeploy", place):
        try:
            found = service.update_identity(caller, asked.name, resource_group=asked.group, tags=given.tags or {})
            status = 200
        except NotFound:
            found = service.create_identity(
                caller, asked.name, resource_group=asked.group, location=location, tags=given.tags
            )
            status = 201
        if found.location.lower() != location:
            raise elsewhere(found.name, found.location)
    return answered(_document(asked, found), status)


def patch(asked: Asked) -> Answer:
    """UserAssignedIdentities_Update."""
    given = asked.document(PatchIdentity)
    if given.tags is None:
        return answered(_document(asked, _identity(asked)))
    changed = asked.service.update_identity(asked.caller, asked.name, resource_group=asked.group, tags=given.tags)
    return answered(_document(asked, changed))


def delete(asked: Asked) -> Answer:
    """UserAssignedIdentities_Delete: gone for good, with all it was given."""
    try:
        asked.service.delete_identity(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        return NOTHING
    return Answer(200, b"", ())


def list_of_group(asked: Asked) -> Answer:
    """UserAssignedIdentities_ListByResourceGroup."""
    return _listed(asked, asked.service.list_identities(asked.caller, resource_group=asked.group))


def list_all(asked: Asked) -> Answer:
    """UserAssignedIdentities_ListBySubscription."""
    return _listed(asked, asked.service.list_identities(asked.caller))


def _listed(asked: Asked, found: tuple[ManagedIdentity, ...]) -> Answer:
    return listed(asked, found, lambda one: f"{one.group}/{one.folded}", lambda one: _document(asked, one))


def _identity(asked: Asked) -> ManagedIdentity:
    try:
        return asked.service.get_identity(asked.caller, asked.name, resource_group=asked.group)
    except NotFound:
        raise resource_not_found(f"{KIND}/{asked.name}", asked.group) from None


def _document(asked: Asked, one: ManagedIdentity) -> dict[str, Any]:
    return {
        "id": path_of(one, asked.subscription),
        "name": one.name,
        "type": KIND,
        "location": one.location,
        "tags": one.tags,
        "systemData": system_data(one),
        "properties": {
            "tenantId": asked.service.tenant_id,
            "principalId": one.principal_id,
            "clientId": one.client_id,
        },
    }


_SUBSCRIPTION: Final = "/subscriptions/{subscription}"
_GROUP: Final = f"{_SUBSCRIPTION}/resourceGroups/{{group}}/providers/{KIND}"
_ONE: Final = f"{_GROUP}/{{name}}"
OPERATIONS: Final = (
    Operation("UserAssignedIdentities_Get", "GET", _ONE, get, IDENTITIES),
    Operation("UserAssignedIdentities_CreateOrUpdate", "PUT", _ONE, put, IDENTITIES),
    Operation("UserAssignedIdentities_Update", "PATCH", _ONE, patch, IDENTITIES),
    Operation("UserAssignedIdentities_Delete", "DELETE", _ONE, delete, IDENTITIES),
    Operation("UserAssignedIdentities_ListByResourceGroup", "GET", _GROUP, list_of_group, IDENTITIES),
    Operation(
        "UserAssignedIdentities_ListBySubscription", "GET", f"{_SUBSCRIPTION}/providers/{KIND}", list_all, IDENTITIES
    ),
)
