"""Whether a vault is in the resource group somebody names it by."""

import msgspec

from kvstack.terms.name import folded
from kvstack.terms.scope import Scope
from kvstack.vault.records import Vault


def is_within(vault: Vault, resource_group: str | None) -> bool:
    """Tell whether a vault is in a resource group; None stands for any."""
    return resource_group is None or folded(resource_group) == folded(vault.resource_group)


def scope_within(scope: Scope, resource_group: str | None) -> Scope:
    """Return a vault's scope, or, where it is in another resource group than this, the one a namesake in it would have:
    who asks for one there needs rights there, and learns nothing of the other."""
    if resource_group is None or folded(resource_group) == folded(scope.resource_group):
        return scope
    return msgspec.structs.replace(scope, resource_group=resource_group)
