"""What a role allows inside a Managed HSM: Azure's built-in local roles, and how a vault's action on a key reads there.

Local roles are a world of their own: no role of resource manager gives a right to a Managed HSM's keys. Source:
azure/roles.json, the roles local to a Managed HSM.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from kvstack.terms.name import folded, item_name_problem
from kvstack.terms.near import meant
from kvstack.terms.role import RoleDefinition
from kvstack.terms.wildcard import matches_any

ADMINISTRATOR: Final = "a290e904-7015-4bba-90c8-60543313cdb4"
CRYPTO_USER: Final = "21dbd100-6940-42c2-9190-5d6cb909625b"

_POOL: Final = "Microsoft.KeyVault/managedHsm/"
_VAULT: Final = "Microsoft.KeyVault/vaults/"
# Where the two spell one thing differently; everything else is `keys/VERB/action` in both.
_SPELLED: Final = {
    "keys/read": "keys/read/action",
    "keys/delete": "keys/delete",
    "keys/create/action": "keys/create",
    "keys/update/action": "keys/write/action",
    "keys/recover/action": "keys/deletedKeys/recover/action",
    "keys/purge/action": "keys/deletedKeys/delete",
    "keyrotationpolicies/read": "keys/read/action",
    "keyrotationpolicies/write": "keys/write/action",
}
_LONGEST_NAME, _LONGEST_DESCRIPTION = 128, 1024


class _Catalogue(msgspec.Struct, frozen=True, rename="camel"):
    roles: tuple[RoleDefinition, ...]
    data_actions: tuple[str, ...]


@cache
def _catalogue() -> _Catalogue:
    return msgspec.json.decode(Path(__file__).with_name("local_roles.json").read_bytes(), type=_Catalogue)


@cache
def local_roles() -> dict[str, RoleDefinition]:
    """Return the built-in local roles by id."""
    return {definition.id: definition for definition in _catalogue().roles}


def local_data_actions() -> tuple[str, ...]:
    """Return everything that can be done inside a Managed HSM."""
    return _catalogue().data_actions


def local_action(action: str) -> str | None:
    """Return an action on data as a Managed HSM spells it, None for one on what it does not hold.

    action: a vault's (`Microsoft.KeyVault/vaults/keys/sign/action`), or a Managed HSM's own already.
    """
    if action.startswith(_POOL):
        return action
    rest = action.removeprefix(_VAULT)
    if rest in _SPELLED:
        return _POOL + _SPELLED[rest]
    return _POOL + rest if rest.startswith("keys/") else None


def scope_problem(scope: str) -> str | None:
    """Return why a local role cannot be given at a scope, or None."""
    if scope in ("/", "/keys"):
        return None
    name = scope.removeprefix("/keys/")
    if name != scope and item_name_problem(name) is None:
        return None
    return f"`{scope}` is no scope in a Managed HSM: `/`, `/keys` and `/keys/NAME` are"


def problems(definition: RoleDefinition) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for a local role nobody could use, or that does not say what it means."""
    if not 0 < len(definition.name) <= _LONGEST_NAME:
        yield "name", f"a role's name has 1-{_LONGEST_NAME} characters"
    if len(definition.description) > _LONGEST_DESCRIPTION:
        yield "description", f"a description has at most {_LONGEST_DESCRIPTION} characters"
    if not definition.data_actions:
        yield "data_actions", "a role that allows nothing: it needs `data_actions`"
    for attribute in ("data_actions", "not_data_actions"):
        for pattern in getattr(definition, attribute):
            if not matches_any(pattern, local_data_actions()):
                near = meant(pattern, local_data_actions())
                yield attribute, f"no action inside a Managed HSM is like `{pattern}`{near}"


def named(name_or_id: str, roles: "dict[str, RoleDefinition]") -> RoleDefinition:
    """Return the local role of this name or id, in any case. Raises ValueError, suggesting a near name."""
    wanted = folded(name_or_id)
    for role in roles.values():
        if wanted in (role.id, folded(role.name)):
            return role
    near = meant(name_or_id, [role.name for role in roles.values()])
    listed = "" if near else f"; there are {', '.join(role.name for role in roles.values())}"
    raise ValueError(f"there is no local role `{name_or_id}`{near}{listed}")
