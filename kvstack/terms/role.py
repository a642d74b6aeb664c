"""What a role allows: the built-in roles of Azure, by name and by id. Source: azure/roles.json, azure/facts.md."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from kvstack.terms.name import folded
from kvstack.terms.near import meant
from kvstack.terms.wildcard import matches_any

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
_LONGEST_NAME, _LONGEST_DESCRIPTION = 128, 1024
_PATTERN = re.compile(r"\*|[A-Za-z*][A-Za-z0-9.*-]*(/[A-Za-z0-9.*-]+)+")
KEY_VAULT_ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"


class RoleDefinition(msgspec.Struct, frozen=True, rename="camel"):
    """One role. The action patterns may hold `*`; `not_actions` subtract from `actions` of this role only.

    id: a GUID in lower case. may_assign: ids of the only roles a holder may hand out or take away; None: every role.
    """

    id: str
    name: str
    description: str = ""
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()
    may_assign: frozenset[str] | None = None

    @property
    def meaning(self) -> "RoleDefinition":
        """The same role without the words on it."""
        return msgspec.structs.replace(self, description="")


class _Catalogue(msgspec.Struct, frozen=True, rename="camel"):
    roles: tuple[RoleDefinition, ...]
    data_actions: tuple[str, ...]


@cache
def _catalogue() -> _Catalogue:
    # Read when first asked for: most starts of the command line never need it.
    return msgspec.json.decode(Path(__file__).with_name("roles.json").read_bytes(), type=_Catalogue)


@cache
def built_in_roles() -> dict[str, RoleDefinition]:
    """Return the built-in roles by folded name."""
    return {folded(definition.name): definition for definition in _catalogue().roles}


@cache
def built_in_roles_by_id() -> dict[str, RoleDefinition]:
    """Return the built-in roles by id."""
    return {definition.id: definition for definition in _catalogue().roles}


def data_actions() -> tuple[str, ...]:
    """Return everything that can be done with the data in a vault."""
    return _catalogue().data_actions


def problems(
    definition: RoleDefinition, without_actions: str = "a role that allows nothing"
) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for a role definition nobody could use, or that does not say what it means.
    without_actions: what one is that names no action."""
    if not 0 < len(definition.name) <= _LONGEST_NAME:
        yield "name", f"a role's name has 1-{_LONGEST_NAME} characters"
    if len(definition.description) > _LONGEST_DESCRIPTION:
        yield "description", f"a description has at most {_LONGEST_DESCRIPTION} characters"
    if not definition.actions and not definition.data_actions:
        yield "actions", f"{without_actions}: it needs `actions` or `data_actions`"
    for attribute in ("actions", "not_actions", "data_actions", "not_data_actions"):
        for pattern in getattr(definition, attribute):
            if not _PATTERN.fullmatch(pattern):
                yield attribute, f"`{pattern}` is no action: `Microsoft.KeyVault/vaults/secrets/*` is one"
            elif "data" in attribute and not matches_any(pattern, data_actions()):
                yield attribute, f"no action on data is like `{pattern}`{meant(pattern, data_actions())}"


def role(name_or_id: str) -> RoleDefinition:
    """Return the built-in role of this name or id, in any case. Raises ValueError, suggesting near names."""
    wanted = folded(name_or_id)
    found = built_in_roles().get(wanted) or built_in_roles_by_id().get(wanted)
    if found is not None:
        return found
    from difflib import get_close_matches

    near = get_close_matches(wanted, built_in_roles(), n=3, cutoff=0.6)
    names = " or ".join(f"`{built_in_roles()[name].name}`" for name in near)
    hint = f"did you mean {names}?" if near else f"there are {', '.join(r.name for r in _catalogue().roles)}"
    raise ValueError(f"there is no role `{name_or_id}`; {hint}")
