"""Roles inside a Managed HSM, in Azure's words. Source: azure/openapi/data-plane, rbac.json."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.data_plane.api import SCOPE, Operation
from kvstack.server.data_plane.context import Asked, page
from kvstack.server.filters import AT_SCOPE, PRINCIPAL, filtered
from kvstack.terms.local_role import local_roles
from kvstack.terms.name import folded
from kvstack.terms.principal import is_guid
from kvstack.terms.role import RoleDefinition
from kvstack.vault.local_access import LocalAssignment

T = TypeVar("T")
_ASSIGNMENTS: Final = "Microsoft.Authorization/roleAssignments"
_DEFINITIONS: Final = "Microsoft.Authorization/roleDefinitions"
_PROVIDER: Final = "Microsoft.KeyVault"
_BUILT_IN, _CUSTOM = "AKVBuiltInRole", "CustomRole"
_TYPE, _NAME = "type", "roleName"


class GivenAssignment(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives of an assignment."""

    role_definition_id: str
    principal_id: str


class PutAssignment(msgspec.Struct, frozen=True):
    """What a client gives to make one."""

    properties: GivenAssignment


class GivenPermission(msgspec.Struct, frozen=True, rename="camel"):
    """What a role allows. Resource manager's actions mean nothing inside a Managed HSM."""

    actions: list[str] | None = None
    not_actions: list[str] | None = None
    data_actions: list[str] | None = None
    not_data_actions: list[str] | None = None


class GivenDefinition(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives of a definition."""

    role_name: str | None = None
    description: str | None = None
    type: str | None = None
    permissions: list[GivenPermission] | None = None
    assignable_scopes: list[str] | None = None


class PutDefinition(msgspec.Struct, frozen=True):
    """What a client gives to define a role, or to change one."""

    properties: GivenDefinition


def create_assignment(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleAssignments_Create."""
    given = asked.request.document(PutAssignment).properties
    made = asked.service.assign_local_role(
        asked.caller,
        asked.vault,
        role=_role(given.role_definition_id),
        principal_id=given.principal_id,
        principal_type=None,
        scope=names[0],
        id=names[1],
    )
    return answered(_assignment(made), 201)


def get_assignment(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleAssignments_Get."""
    return answered(
        _assignment(asked.service.get_local_assignment(asked.caller, asked.vault, names[1], scope=names[0]))
    )


def delete_assignment(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleAssignments_Delete."""
    gone = asked.service.unassign_local_role(asked.caller, asked.vault, names[1], scope=names[0])
    return answered(_assignment(gone))


def list_assignments(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleAssignments_ListForScope: those at the scope, above and below it; `atScope()` leaves out those below."""
    asked_for = filtered(asked.request.query, (AT_SCOPE, PRINCIPAL))
    here, principal = names[0].lower(), asked_for.get(PRINCIPAL, "").lower()
    found = [
        one
        for one in asked.service.list_local_assignments(asked.caller, asked.vault)
        if (_within(here, one.scope.lower()) or (AT_SCOPE not in asked_for and _within(one.scope.lower(), here)))
        and principal in ("", one.principal_id)
    ]
    return _page(asked, names[0], _ASSIGNMENTS, found, lambda one: one.id, _assignment)


def put_definition(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleDefinitions_CreateOrUpdate."""
    _require_top(names[0])
    given = asked.request.document(PutDefinition).properties
    permissions = given.permissions or []
    if any(one.actions or one.not_actions for one in permissions):
        raise _bad_definition("`actions` and `notActions` mean nothing inside a Managed HSM: `dataActions` do.")
    if len(permissions) > 1:
        raise _bad_definition("`permissions` is one set of actions.")
    if given.assignable_scopes is not None and given.assignable_scopes not in ([], ["/"]):
        raise _bad_definition("`assignableScopes` is `/`: a role of a Managed HSM can be given anywhere in it.")
    permission = permissions[0] if permissions else GivenPermission()
    made = asked.service.define_local_role(
        asked.caller,
        asked.vault,
        name=given.role_name or "",
        description=given.description or "",
        data_actions=permission.data_actions or (),
        not_data_actions=permission.not_data_actions or (),
        id=names[1],
    )
    return answered(_definition(made.definition), 201)


def get_definition(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleDefinitions_Get."""
    return answered(_definition(asked.service.get_local_role(asked.caller, asked.vault, names[1])))


def delete_definition(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleDefinitions_Delete."""
    _require_top(names[0])
    return answered(_definition(asked.service.remove_local_role(asked.caller, asked.vault, names[1]).definition))


def list_definitions(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RoleDefinitions_List: every role there is inside, the built-in ones too."""
    asked_for = filtered(asked.request.query, (AT_SCOPE, _TYPE, _NAME))
    found = [
        one
        for one in asked.service.list_local_roles(asked.caller, asked.vault)
        if asked_for.get(_TYPE, _type(one)).lower() == _type(one).lower()
        and folded(asked_for.get(_NAME, one.name)) == folded(one.name)
    ]
    return _page(asked, names[0], _DEFINITIONS, found, lambda one: one.id, _definition)


def _page(
    asked: Asked, scope: str, kind: str, found: Sequence[T], key: Callable[[T], str], told: Callable[[T], Any]
) -> Answer:
    """Return one page of a list; the next one has the same filter."""
    path = f"{scope.rstrip('/')}/providers/{kind}"
    more = "".join(f"&$filter={_quoted(text)}" for text in [asked.request.query.get("$filter")] if text)
    return page(asked, sorted(found, key=key), key, told, path, more)


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _assignment(one: LocalAssignment) -> Mapping[str, Any]:
    return {
        "id": f"{one.scope.rstrip('/')}/providers/{_ASSIGNMENTS}/{one.id}",
        "name": one.id,
        "type": _ASSIGNMENTS,
        "properties": {
            "scope": one.scope,
            "roleDefinitionId": _definition_id(one.role_id),
            "principalId": one.principal_id,
        },
    }


def _definition(role: RoleDefinition) -> Mapping[str, Any]:
    return {
        "id": _definition_id(role.id),
        "name": role.id,
        "type": _DEFINITIONS,
        "properties": {
            "roleName": role.name,
            "description": role.description,
            "type": _type(role),
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": [],
                    "notActions": [],
                    "dataActions": role.data_actions,
                    "notDataActions": role.not_data_actions,
                }
            ],
        },
    }


def _definition_id(role_id: str) -> str:
    return f"{_PROVIDER}/providers/{_DEFINITIONS}/{role_id}"


def _role(given: str) -> str:
    """Return the id of a role, which Azure's clients give as a path, or alone. Raises Refusal."""
    role = given.rpartition("/")[2]
    if not is_guid(role):
        raise Refusal(
            refused(400, "BadParameter", f"`roleDefinitionId` is {_definition_id('GUID')}, as the role's own `id`.")
        )
    return role.lower()


def _type(role: RoleDefinition) -> str:
    return _BUILT_IN if role.id in local_roles() else _CUSTOM


def _within(inner: str, outer: str) -> bool:
    return outer == "/" or inner == outer or inner.startswith(f"{outer}/")


def _require_top(scope: str) -> None:
    if scope != "/":
        raise _bad_definition("A role of a Managed HSM is defined at `/`.")


def _bad_definition(words: str) -> Refusal:
    return Refusal(refused(400, "BadParameter", words))


_EVERY: Final = (SCOPE, "providers", "microsoft.authorization")
_ROLES: Final = (*_EVERY, "roledefinitions")
_GIVEN: Final = (*_EVERY, "roleassignments")
_SINCE: Final = "7.2"

OPERATIONS: Final = (
    Operation("RoleAssignments_ListForScope", "GET", _GIVEN, list_assignments, "reading", _SINCE),
    Operation("RoleAssignments_Get", "GET", (*_GIVEN, "{}"), get_assignment, "reading", _SINCE),
    Operation("RoleAssignments_Create", "PUT", (*_GIVEN, "{}"), create_assignment, "changing", _SINCE),
    Operation("RoleAssignments_Delete", "DELETE", (*_GIVEN, "{}"), delete_assignment, "changing", _SINCE),
    Operation("RoleDefinitions_List", "GET", _ROLES, list_definitions, "reading", _SINCE),
    Operation("RoleDefinitions_Get", "GET", (*_ROLES, "{}"), get_definition, "reading", _SINCE),
    Operation("RoleDefinitions_CreateOrUpdate", "PUT", (*_ROLES, "{}"), put_definition, "changing", _SINCE),
    Operation("RoleDefinitions_Delete", "DELETE", (*_ROLES, "{}"), delete_definition, "changing", _SINCE),
)
