"""A role of a Managed HSM's own."""

from collections.abc import Iterator
from typing import Annotated

from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import fixed
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import local_role
from kvstack.terms.role import RoleDefinition


class HsmRoleDefinition(
    Resource, frozen=True, kw_only=True, kind="hsm_role_definition", collection="roles", parent=ManagedHsm
):
    """A role that can be given inside this Managed HSM, beside the built-in ones."""

    soft_deleted = False
    stays_while_needed = True

    name: Annotated[
        str,
        doc("The role's real name; by default its key.", "signer"),
        fixed("A role keeps its name: whoever has it has it by that. Define another, and give that one."),
    ] = ""

    data_actions: Annotated[
        frozenset[str],
        doc("What it allows; `*` is anything.", ["Microsoft.KeyVault/managedHsm/keys/sign/action"]),
    ]
    not_data_actions: Annotated[frozenset[str], doc("What it does not allow of that.")] = frozenset()
    description: Annotated[str, doc("What it is for.", max_length=1024)] = ""

    def problems(self) -> Iterator[Problem]:
        """Yield everything a Managed HSM would refuse about this role."""
        for attribute, summary in local_role.problems(self.definition("")):
            yield Problem((attribute,), summary)
        if any(role.name.lower() == self.name.lower() for role in local_role.local_roles().values()):
            yield Problem(("name",), f"`{self.name}` is a built-in role", "Give this one another name.")

    def definition(self, id: str) -> RoleDefinition:  # noqa: A002  # the record's own word
        """Return what it is in the vault's words."""
        return RoleDefinition(
            id,
            self.name,
            self.description,
            data_actions=tuple(sorted(self.data_actions)),
            not_data_actions=tuple(sorted(self.not_data_actions)),
        )

    def identity(self, vault: str) -> str:
        """Return the role's place among all of its Managed HSM."""
        return role_identity(vault, self.name)


def role_identity(vault: str, name: str) -> str:
    """Return the identity of a role of a Managed HSM's own."""
    return f"vaults/{vault.lower()}/roles/{name.lower()}"
