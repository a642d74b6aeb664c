"""The operations on role assignments, in Azure's words. Source: azure/openapi/authorization, authorization.json."""

from typing import Any, Final

import msgspec

from kvstack.server.answer import NOTHING, Answer, answered
from kvstack.server.filters import ASSIGNED_TO, AT_SCOPE, PRINCIPAL, filtered
from kvstack.server.resource_manager.context import Asked, listed, timestamp
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.role_ids import definition_path, role_of, told_type, type_of
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import AUTHORIZATION
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.errors import NotFound

_KIND: Final = "Microsoft.Authorization/roleAssignments"


class GivenAssignment(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives of an assignment."""

    role_definition_id: str
    principal_id: str
    principal_type: str | None = None
    description: str | None = None
    condition: str | None = None
    condition_version: str | None = None


class PutAssignment(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to make one."""

    properties: GivenAssignment


def create(asked: Asked) -> Answer:
    """RoleAssignments_Create, RoleAssignments_CreateById."""
    given = asked.document(PutAssignment).properties
    if given.condition and given.condition_version not in (None, "2.0"):
        raise bad_request("`conditionVersion` is `2.0`.", "InvalidConditionVersion")
    made = asked.service.create_role_assignment(
        asked.caller,
        asked.scope,
        role=role_of(given.role_definition_id),
        principal_id=given.principal_id,
        principal_type=type_of(given.principal_type),
        id=asked.name,
        description=given.description or "",
        condition=given.condition or "",
    )
    return answered(_document(asked, made), 201)


def get(asked: Asked) -> Answer:
    """RoleAssignments_Get, RoleAssignments_GetById."""
    return answered(_document(asked, asked.service.get_role_assignment(asked.caller, asked.name, scope=asked.scope)))


def delete(asked: Asked) -> Answer:
    """RoleAssignments_Delete, RoleAssignments_DeleteById; of none there is nothing to tell."""
    try:
        gone = asked.service.delete_role_assignment(asked.caller, asked.name, scope=asked.scope)
    except NotFound:
        return NOTHING
    return answered(_document(asked, gone))


def list_at(asked: Asked) -> Answer:
    """RoleAssignments_ListForScope, _ListForResource, _ListForResourceGroup, _ListForSubscription: those at the scope,
    above and below it that hold now; `atScope()` leaves out those below."""
    asked_for = filtered(asked.request.query, (AT_SCOPE, PRINCIPAL, ASSIGNED_TO))
    found = asked.service.list_role_assignments(
        asked.caller,
        asked.scope,
        below=AT_SCOPE not in asked_for,
        principal_id=asked_for.get(ASSIGNED_TO) or asked_for.get(PRINCIPAL) or "",
        with_groups=ASSIGNED_TO in asked_for,
        in_force=True,
    )
    return listed(asked, found, lambda one: one.id, lambda one: _document(asked, one))


def _document(asked: Asked, one: RoleAssignment) -> dict[str, Any]:
    return {
        "id": f"{one.scope.path}/providers/{_KIND}/{one.id}",
        "name": one.id,
        "type": _KIND,
        "properties": {
            "roleDefinitionId": definition_path(asked, one.role_id),
            "principalId": one.principal_id,
            "principalType": told_type(one.principal_type),
            "scope": one.scope.path,
            "description": one.description or None,
            "condition": one.condition or None,
            "conditionVersion": "2.0" if one.condition else None,
            "createdOn": timestamp(one.created),
            "updatedOn": timestamp(one.created),
            "createdBy": one.created_by,
            "updatedBy": one.created_by,
            "delegatedManagedIdentityResourceId": None,
        },
    }


_LIST: Final = f"{{scope}}/providers/{_KIND}"
_ONE: Final = f"{_LIST}/{{name}}"
OPERATIONS: Final = (
    Operation("RoleAssignments_ListForScope", "GET", _LIST, list_at, AUTHORIZATION),
    Operation("RoleAssignments_Get", "GET", _ONE, get, AUTHORIZATION),
    Operation("RoleAssignments_Create", "PUT", _ONE, create, AUTHORIZATION),
    Operation("RoleAssignments_Delete", "DELETE", _ONE, delete, AUTHORIZATION),
)
