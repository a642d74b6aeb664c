"""How roles and principals are named by resource manager, and what is meant."""

import re
from typing import Final

from kvstack.server.resource_manager.context import Asked
from kvstack.server.resource_manager.errors import bad_request
from kvstack.terms.principal import PrincipalType, is_guid

_PROVIDER: Final = "/providers/Microsoft.Authorization"
_DEFINITION = re.compile(r".*/providers/Microsoft\.Authorization/roleDefinitions/([^/]+)", re.IGNORECASE)
_TYPES: Final[dict[str, PrincipalType]] = {
    "user": "user",
    "group": "group",
    "serviceprincipal": "service_principal",
}
_TOLD: Final[dict[PrincipalType, str]] = {
    "user": "User",
    "group": "Group",
    "service_principal": "ServicePrincipal",
    "managed_identity": "ServicePrincipal",
}


def definition_path(asked: Asked, role_id: str) -> str:
    """Return the id of a role definition as resource manager writes it."""
    return f"{asked.subscription}{_PROVIDER}/roleDefinitions/{role_id}"


def role_of(path: str) -> str:
    """Return the GUID of a role definition's id. Raises Refusal."""
    matched = _DEFINITION.fullmatch(path)
    if matched is None or not is_guid(matched[1]):
        raise bad_request(
            "`roleDefinitionId` is /subscriptions/ID/providers/Microsoft.Authorization/roleDefinitions/GUID.",
            "InvalidRoleDefinitionId",
        )
    return matched[1].lower()


def type_of(text: str | None) -> PrincipalType | None:
    """Return a principal's type, None where it was not told. Raises Refusal."""
    if text is None:
        return None
    found = _TYPES.get(text.lower())
    if found is None:
        raise bad_request("`principalType` is `User`, `Group` or `ServicePrincipal`.", "InvalidPrincipalType")
    return found


def told_type(principal_type: PrincipalType) -> str:
    """Return a principal's type in Azure's words."""
    return _TOLD[principal_type]
