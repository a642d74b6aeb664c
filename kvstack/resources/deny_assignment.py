"""What is forbidden, whatever roles allow."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from kvstack.resources.role_assignment import slug_of_principal
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import REPLACE
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import role as role_rules
from kvstack.terms.approval import denial_words
from kvstack.terms.name import folded
from kvstack.terms.principal import EVERYONE
from kvstack.terms.role import RoleDefinition


class DenyAssignment(Resource, frozen=True, kw_only=True, kind="deny_assignment", collection="deny", parent=Vault):
    """Actions forbidden at a scope: the vault it stands in, or one thing there. It goes before every role.

    Under the stack's own `deny` it reaches wider: a subscription, a resource group, or a vault of somebody else.
    Whoever may take it away can always do so.
    """

    listed = True
    soft_deleted = False
    names = frozenset({"name", "scope"})

    name: Annotated[
        str, doc("What it is called; no two at one scope are called the same.", "no-deletion", max_length=128), REPLACE
    ] = ""
    principals: Annotated[
        frozenset[str] | None,
        doc("Who is denied: names from `principals`, or object ids. Left out: everybody.", ["payments-api"]),
    ] = None
    excluded: Annotated[frozenset[str], doc("Who may all the same; of a group, its members.", ["on-call"])] = (
        msgspec.field(default=frozenset(), name="except")
    )
    actions: Annotated[frozenset[str], doc("What is forbidden with vaults and access to them; `*` is anything.")] = (
        frozenset()
    )
    not_actions: Annotated[frozenset[str], doc("What is not forbidden of that.")] = frozenset()
    data_actions: Annotated[
        frozenset[str],
        doc("What is forbidden with what is in vaults.", ["Microsoft.KeyVault/vaults/secrets/delete"]),
    ] = frozenset()
    not_data_actions: Annotated[frozenset[str], doc("What is not forbidden of that.")] = frozenset()
    scope: Annotated[
        str,
        doc(
            "In a vault: `keys/NAME`, `secrets/NAME` or nothing for the whole vault. Under the stack's `deny`: "
            "`subscription`, `resource_group/NAME`, `vault/NAME` or `vault/NAME/secrets/NAME`.",
            "secrets/db-password",
        ),
        REPLACE,
    ] = ""
    below: Annotated[bool, doc("Whether it holds for what is below its scope as well.")] = True
    description: Annotated[str, doc("Why it is there, for those who review access.", max_length=1024)] = ""

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this denial alone."""
        if not self.name:
            yield Problem((), "a deny assignment needs a `name`", "It tells it from others at its scope.")
            return
        for attribute, summary in role_rules.problems(self.definition, "a deny assignment that forbids nothing"):
            yield Problem((attribute,), summary)
        if self.principals is not None and not self.principals:
            yield Problem(("principals",), "nobody is denied", "Name principals, or leave the line out for everybody.")

    @property
    def definition(self) -> RoleDefinition:
        """What it forbids, as a role would allow it."""
        return RoleDefinition(
            "",
            self.name,
            self.description,
            tuple(sorted(self.actions)),
            tuple(sorted(self.not_actions)),
            tuple(sorted(self.data_actions)),
            tuple(sorted(self.not_data_actions)),
        )

    def grants(self, vault: str) -> tuple[str, str] | None:
        """Return where it forbids what."""
        whom = (EVERYONE,) if self.principals is None else self.principals
        return self.scope, denial_words(self.definition, whom, self.excluded, below=self.below)

    def address_parts(self) -> tuple[str, ...]:
        """Return what the denial is called after `deny/`."""
        return (slug_of_principal(self.name),)

    def needs(self, vault: str) -> tuple[str, ...]:
        """Return the vault it is for, where it is for one."""
        match self.scope.split("/"):
            case ["vault", name, *_]:
                return (f"vaults/{name.lower()}",)
            case _:
                return ()

    def identity(self, vault: str) -> str:
        """Return the denial's place among all: no two at one scope have one name."""
        return f"denials/{self.scope.lower()}/{folded(self.name).replace('/', '%2f')}"
