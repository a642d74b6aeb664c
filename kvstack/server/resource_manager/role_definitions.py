"""The operations on role definitions: Azure's built-in ones, and those of the store's own."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from kvstack.server.answer import NOTHING, Answer, Refusal, answered, refused
from kvstack.server.filters import AT_SCOPE, filtered
from kvstack.server.resource_manager.context import Asked, listed, timestamp
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.role_ids import definition_path
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import ROLE_DEFINITIONS
from kvstack.terms.name import folded
from kvstack.terms.role import RoleDefinition, built_in_roles_by_id
from kvstack.terms.scope import Scope
from kvstack.terms.scope import scope as scope_of
from kvstack.vault.errors import NotFound
from kvstack.vault.registry import CustomRole

_KIND: Final = "Microsoft.Authorization/roleDefinitions"
_BELOW: Final = "atScopeAndBelow"
_TYPE: Final = "type"
_NAME: Final = "roleName"
_BUILT_IN: Final = "BuiltInRole"
_CUSTOM: Final = "CustomRole"


class GivenPermission(msgspec.Struct, frozen=True, rename="camel"):
    """What a role allows."""

    actions: list[str] | None = None
    not_actions: list[str] | None = None
    data_actions: list[str] | None = None
    not_data_actions: list[str] | None = None


class GivenDefinition(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives of a definition."""

    role_name: str
    permissions: list[GivenPermission]
    assignable_scopes: list[str]
    description: str | None = None


class PutDefinition(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to define a role, or to change one."""

    properties: GivenDefinition


class Told(msgspec.Struct, frozen=True):
    """A definition as it is told. scopes: where it may be given; custom: when it was made, None for a built-in one."""

    role: RoleDefinition
    scopes: tuple[Scope, ...] = ()
    custom: CustomRole | None = None


def list_at(asked: Asked) -> Answer:
    """RoleDefinitions_List: the built-in ones, and those of the store's own that may be given at the scope."""
    asked_for = filtered(asked.request.query, (AT_SCOPE, _BELOW, _TYPE, _NAME))
    found = [
        one
        for one in _all(asked, below=_BELOW in asked_for)
        if asked_for.get(_TYPE, _type(one)).lower() == _type(one).lower()
        and folded(asked_for.get(_NAME, one.role.name)) == folded(one.role.name)
    ]
    return listed(asked, found, lambda one: one.role.id, lambda one: _document(asked, one))


def get(asked: Asked) -> Answer:
    """RoleDefinitions_Get, RoleDefinitions_GetById."""
    for one in _all(asked, below=True):
        if one.role.id == asked.name.lower():
            return answered(_document(asked, one))
    raise Refusal(
        refused(
            404, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{asked.name}' does not exist."
        )
    )


def put(asked: Asked) -> Answer:
    """RoleDefinitions_CreateOrUpdate."""
    given = asked.document(PutDefinition).properties
    if len(given.permissions) != 1:
        raise bad_request("`permissions` is one set of actions.", "InvalidRoleDefinition")
    (permission,) = given.permissions
    made = asked.service.put_role_definition(
        asked.caller,
        given.role_name,
        id=asked.name,
        description=given.description or "",
        assignable_scopes=[_scope(one) for one in given.assignable_scopes],
        actions=permission.actions or (),
        not_actions=permission.not_actions or (),
        data_actions=permission.data_actions or (),
        not_data_actions=permission.not_data_actions or (),
    )
    return answered(_document(asked, _told(made)), 201)


def delete(asked: Asked) -> Answer:
    """RoleDefinitions_Delete; of none there is nothing to tell."""
    try:
        gone = asked.service.delete_role_definition(asked.caller, asked.name)
    except NotFound:
        return NOTHING
    return answered(_document(asked, _told(gone)))


def _all(asked: Asked, *, below: bool) -> Iterator[Told]:
    """Yield what may be given at the scope. below: or below it."""
    here = asked.scope
    yield from (Told(role) for role in built_in_roles_by_id().values())
    for custom in asked.service.list_role_definitions(asked.caller):
        if any(one.contains(here) or (below and here.contains(one)) for one in custom.assignable_scopes):
            yield _told(custom)


def _told(custom: CustomRole) -> Told:
    return Told(custom.definition, custom.assignable_scopes, custom)


def _type(one: Told) -> str:
    return _BUILT_IN if one.custom is None else _CUSTOM


def _scope(path: str) -> Scope:
    try:
        return scope_of(path)
    except ValueError:
        raise bad_request("`assignableScopes` are of a subscription, a group or a vault.", "InvalidScope") from None


def _document(asked: Asked, one: Told) -> dict[str, Any]:
    made: datetime | None = one.custom.created if one.custom is not None else None
    changed: datetime | None = one.custom.updated if one.custom is not None else None
    role = one.role
    return {
        "id": definition_path(asked, role.id),
        "name": role.id,
        "type": _KIND,
        "properties": {
            "roleName": role.name,
            "type": _type(one),
            "description": role.description,
            "assignableScopes": [scope.path for scope in one.scopes] or ["/"],
            "permissions": [
                {
                    "actions": role.actions,
                    "notActions": role.not_actions,
                    "dataActions": role.data_actions,
                    "notDataActions": role.not_data_actions,
                }
            ],
            "createdOn": timestamp(made),
            "updatedOn": timestamp(changed),
            "updatedBy": one.custom.updated_by if one.custom is not None else None,
        },
    }


_LIST: Final = f"{{scope}}/providers/{_KIND}"
_ONE: Final = f"{_LIST}/{{name}}"
OPERATIONS: Final = (
    Operation("RoleDefinitions_List", "GET", _LIST, list_at, ROLE_DEFINITIONS),
    Operation("RoleDefinitions_Get", "GET", _ONE, get, ROLE_DEFINITIONS),
    Operation("RoleDefinitions_CreateOrUpdate", "PUT", _ONE, put, ROLE_DEFINITIONS),
    Operation("RoleDefinitions_Delete", "DELETE", _ONE, delete, ROLE_DEFINITIONS),
)
