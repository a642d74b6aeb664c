"""A role of the stack's own."""

from collections.abc import Iterator
from functools import cache
from typing import Annotated

import msgspec

from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import fixed
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import name as names
from kvstack.terms import role as role_rules
from kvstack.terms.approval import definition_words
from kvstack.terms.name import folded
from kvstack.terms.principal import is_guid
from kvstack.terms.role import RoleDefinition as Definition


class RoleDefinition(Resource, frozen=True, kw_only=True, kind="role_definition", collection="roles"):
    """A role that can be given beside the built-in ones. Every assignment of it counts by what it says now."""

    soft_deleted = False
    stays_while_needed = True

    name: Annotated[
        str,
        doc("The role's real name; by default its key.", "Secret Lister"),
        fixed("A role keeps its name: whoever has it has it by that. Define another, and give that one."),
    ] = ""
    assignable_scopes: Annotated[
        frozenset[str],
        doc(
            "Where it may be given, there and below: `subscription`, `resource_group/NAME`, `vault/NAME`.",
            ["subscription"],
            min_length=1,
        ),
    ]
    actions: Annotated[frozenset[str], doc("What it allows with vaults and access to them; `*` is anything.")] = (
        frozenset()
    )
    not_actions: Annotated[frozenset[str], doc("What it does not allow of that.")] = frozenset()
    data_actions: Annotated[
        frozenset[str],
        doc("What it allows with what is in vaults.", ["Microsoft.KeyVault/vaults/secrets/readMetadata/action"]),
    ] = frozenset()
    not_data_actions: Annotated[frozenset[str], doc("What it does not allow of that.")] = frozenset()
    description: Annotated[str, doc("What it is for.", max_length=1024)] = ""

    def resolved(self) -> "RoleDefinition":
        """Return the same role with its scopes as they are compared: case does not count."""
        lower = frozenset(scope.lower() for scope in self.assignable_scopes)
        return msgspec.structs.replace(self, assignable_scopes=lower) if lower != self.assignable_scopes else self

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this role."""
        for attribute, summary in role_rules.problems(self.definition("")):
            yield Problem((attribute,), summary)
        if folded(self.name) in role_rules.built_in_roles():
            yield Problem(("name",), f"`{self.name}` is a built-in role", "Give this one another name.")
        if is_guid(self.name):
            yield Problem(("name",), "a role is not called by an id", "Give it a name for people.")
        for scope in sorted(self.assignable_scopes):
            if wrong := _scope_problem(scope):
                yield Problem(("assignable_scopes",), wrong)

    def redefined(self, declared: Resource | None) -> Iterator[tuple[str, str]]:
        """Yield where the role changes its meaning, or ends, and what it means then: wherever it may be given."""
        changed = declared.definition("").meaning if isinstance(declared, RoleDefinition) else None
        if changed is None or changed != self.definition("").meaning:
            yield from ((scope, definition_words(self.name, changed)) for scope in sorted(self.assignable_scopes))

    def definition(self, id: str) -> Definition:  # noqa: A002  # the record's own word
        """Return what it is in the vault's words."""
        return Definition(
            id,
            self.name,
            self.description,
            tuple(sorted(self.actions)),
            tuple(sorted(self.not_actions)),
            tuple(sorted(self.data_actions)),
            tuple(sorted(self.not_data_actions)),
        )

    def made_after(self) -> tuple[str, ...]:
        """Return the vaults it may be given at: where they are is known once they are made."""
        return tuple(
            f"vaults/{scope.removeprefix('vault/')}"
            for scope in sorted(self.assignable_scopes)
            if scope.startswith("vault/")
        )

    def identity(self, vault: str) -> str:
        """Return the role's place among all: no two have one name."""
        return role_identity(self.name)


def role_identity(name: str) -> str:
    """Return the identity of a role of this name."""
    return f"roles/{folded(name).replace('/', '%2f')}"


@cache
def is_built_in(name: str) -> bool:
    """Tell whether a role of this name, or id, is always there."""
    return folded(name) in role_rules.built_in_roles() or name.lower() in role_rules.built_in_roles_by_id()


def _scope_problem(scope: str) -> str:
    match scope.split("/"):
        case ["subscription"]:
            return ""
        case ["resource_group", group]:
            return names.resource_group_name_problem(group) or ""
        case ["vault", vault]:
            return names.vault_name_problem(vault) or ""
        case ["vault", _, "keys" | "secrets" | "certificates", _]:
            return f"`{scope}` is one thing in a vault: a vault is the narrowest scope a role can be for"
        case _:
            return f"`{scope}` is no scope: write `subscription`, `resource_group/NAME` or `vault/NAME`"
