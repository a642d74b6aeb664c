"""The operations on deny assignments: Azure lets nobody make one by hand, so that they are only looked at."""

from collections.abc import Iterable
from typing import Any, Final

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.filters import AT_SCOPE, filtered
from kvstack.server.resource_manager.context import Asked, listed, timestamp
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import DENY_ASSIGNMENTS
from kvstack.terms.principal import EVERYONE
from kvstack.vault.denial import DenyAssignment

_KIND: Final = "Microsoft.Authorization/denyAssignments"


def list_at(asked: Asked) -> Answer:
    """DenyAssignments_ListForScope, _ListForResource, _ListForResourceGroup, _List."""
    asked_for = filtered(asked.request.query, (AT_SCOPE,))
    here, below = asked.scope, AT_SCOPE not in asked_for
    found = [
        one
        for one in asked.service.list_deny_assignments(asked.caller)
        if one.scope.contains(here) or (below and here.contains(one.scope))
    ]
    return listed(asked, found, lambda one: one.id, lambda one: _document(asked, one))


def get(asked: Asked) -> Answer:
    """DenyAssignments_Get, DenyAssignments_GetById."""
    here = asked.scope.folded
    for one in asked.service.list_deny_assignments(asked.caller):
        if one.id == asked.name.lower() and one.scope.folded == here:
            return answered(_document(asked, one))
    raise Refusal(refused(404, "DenyAssignmentNotFound", f"The deny assignment '{asked.name}' is not found."))


def _document(_: Asked, one: DenyAssignment) -> dict[str, Any]:
    return {
        "id": f"{one.scope.path}/providers/{_KIND}/{one.id}",
        "name": one.id,
        "type": _KIND,
        "properties": {
            "denyAssignmentName": one.name,
            "description": one.description,
            "permissions": [
                {
                    "actions": one.actions,
                    "notActions": one.not_actions,
                    "dataActions": one.data_actions,
                    "notDataActions": one.not_data_actions,
                }
            ],
            "scope": one.scope.path,
            "doNotApplyToChildScopes": not one.below,
            "principals": _principals(one.principals),
            "excludePrincipals": _principals(one.excluded),
            "isSystemProtected": False,
            "createdOn": timestamp(one.created),
            "createdBy": one.created_by,
        },
    }


def _principals(ids: Iterable[str]) -> list[dict[str, str]]:
    return [{"id": one} | ({"type": "SystemDefined"} if one == EVERYONE else {}) for one in sorted(ids)]


_LIST: Final = f"{{scope}}/providers/{_KIND}"
OPERATIONS: Final = (
    Operation("DenyAssignments_ListForScope", "GET", _LIST, list_at, DENY_ASSIGNMENTS),
    Operation("DenyAssignments_Get", "GET", f"{_LIST}/{{name}}", get, DENY_ASSIGNMENTS),
)
