"""Who may do what inside a Managed HSM."""

from collections.abc import Iterator
from typing import Annotated

from kvstack.resources.hsm_role_definition import role_identity
from kvstack.resources.identity import needed_identity
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.role_assignment import slug_of_principal
from kvstack.resources.to_principal import ToPrincipal
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import REPLACE
from kvstack.schema.resource import Problem
from kvstack.terms.address import slug
from kvstack.terms.local_role import local_roles, scope_problem
from kvstack.terms.principal import PrincipalType


class HsmRoleAssignment(
    ToPrincipal, frozen=True, kw_only=True, kind="hsm_role_assignment", collection="access", parent=ManagedHsm
):
    """A role given to a principal inside this Managed HSM: only these give a right to its keys."""

    principal: Annotated[
        str,
        doc("A name from `principals` or `identities`, or an object id (then with `principal_type`).", "payments-api"),
        REPLACE,
    ]
    role: Annotated[str, doc("A local role, built in or from `roles`, by name.", "Managed HSM Crypto User"), REPLACE]
    scope: Annotated[str, doc("`/`, `/keys` or `/keys/NAME`.", "/keys/signing"), REPLACE] = "/"
    principal_type: Annotated[
        PrincipalType | None, doc("What the principal is; taken from `principals` where it is named there."), REPLACE
    ] = None

    def problems(self) -> Iterator[Problem]:
        """Yield everything a Managed HSM would refuse about this assignment alone."""
        if wrong := scope_problem(self.scope):
            yield Problem(("scope",), wrong)
        if self.name:
            yield Problem(("name",), "a role assignment has no name of its own", "Take the line out.")

    def address_parts(self) -> tuple[str, ...]:
        """Return what the assignment is called after `access/`: principal, role and scope."""
        inside = self.scope.strip("/")
        return (slug_of_principal(self.principal), slug(self.role), *((inside,) if inside else ()))

    def needs(self, vault: str) -> tuple[str, ...]:
        """Return the Managed HSM's own role that is given (a built-in one is always there), and the managed identity
        it is given to."""
        built_in = {role.name.lower() for role in local_roles().values()}
        own = () if self.role.lower() in built_in else (role_identity(vault, self.role),)
        return (*own, *needed_identity(self.principal))

    def identity(self, vault: str) -> str:
        """Return the assignment's place among all of its Managed HSM: no two with one scope, role and principal."""
        return f"vaults/{vault.lower()}/access/{self.principal}/{slug(self.role)}{self.scope}".lower()
