"""Managed identities: what one may be called, and how one is named where nobody knows its principal id yet."""

import re

from kvstack.terms.principal import is_guid
from kvstack.terms.scope import Scope

# Source: Azure's naming rules of Microsoft.ManagedIdentity/userAssignedIdentities.
IDENTITY_NAME = r"^[0-9a-zA-Z][0-9a-zA-Z_-]{2,127}$(?!\n)"
_IDENTITY_NAME = re.compile(IDENTITY_NAME)
_COLLECTION = "userAssignedIdentities"
_PATH = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/([^/]+)",
    re.IGNORECASE,
)


def identity_name_problem(name: str) -> str | None:
    """Return why a managed identity may not have this name, or None."""
    if not _IDENTITY_NAME.fullmatch(name):
        return (
            f"`{name}` cannot name a managed identity: 3-128 letters, digits, `-` and `_`, starting with a letter or "
            "digit"
        )
    if is_guid(name):
        # Wherever a principal is named, it would be taken for the one with this id.
        return f"`{name}` cannot name a managed identity: it reads as a principal's id"
    return None


def identity_principal(resource_group: str, name: str) -> str:
    """Return how a stack names an identity as a principal: its principal id is known only once it is made.

    resource_group: empty for the backend's own.
    """
    return f"identity/{resource_group}/{name}".lower()


def identity_named(principal: str) -> tuple[str, str] | None:
    """Return the resource group and name of the identity a principal is named by, None for any other principal."""
    match principal.split("/"):
        case ["identity", resource_group, name] if name:
            return resource_group, name
        case _:
            return None


def in_resource_group(principal: str, resource_group: str) -> str:
    """Return a principal with this resource group where it is an identity that names none."""
    named = identity_named(principal)
    return identity_principal(resource_group, named[1]) if named is not None and not named[0] else principal


def identity_scope(subscription: str, resource_group: str, name: str) -> Scope:
    """Return the place of an identity in the tree of scopes: below its resource group, in no vault."""
    return Scope(subscription, resource_group, item=f"{_COLLECTION}/{name}")


def identity_scope_of(path: str) -> Scope | None:
    """Return the scope of an identity's resource manager path, None for the path of anything else."""
    matched = _PATH.fullmatch(path)
    return identity_scope(*matched.groups()) if matched is not None else None
