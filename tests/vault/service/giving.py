"""Roles given and tried out in a world's vault `payments-dev`."""

from typing import Any

from kvstack.terms.scope import Scope
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Forbidden
from tests.vault.service.world import World

VAULT = "payments-dev"
GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"


def give(world: World, caller: Caller, role_name: str, to: Caller, at: Scope | None = None, **more: Any) -> str:
    """Give somebody a role, at the vault where no scope is given; return the assignment's id."""
    return world.service.create_role_assignment(
        caller, at or world.scope(VAULT), role=role_name, principal_id=to.id, principal_type="user", **more
    ).id


def reads(world: World, who: Caller, name: str = "db-password", vault: str = VAULT) -> bool:
    """Tell whether somebody gets a secret's value."""
    try:
        world.service.get_secret(who, vault, name)
    except Forbidden:
        return False
    return True
