"""Principals of a stack, as the embedded vault knows them: of a managed identity, the id it was made with."""

from kvstack.terms.identity import identity_named
from kvstack.vault.caller import Caller
from kvstack.vault.service import VaultService


def principal_id(service: VaultService, caller: Caller, principal: str) -> str:
    """Return a principal's id. Asked anew each time: a namesake made meanwhile is another principal. Raises NotFound
    for a managed identity that is not there."""
    named = identity_named(principal)
    if named is None:
        return principal
    resource_group, name = named
    return service.get_identity(caller, name, resource_group=resource_group or None).principal_id
