"""A managed identity: a principal that is a resource, for programs that are given access."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

import msgspec

from kvstack.resources import tags
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import REPLACE
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import name
from kvstack.terms.identity import identity_name_problem, identity_named, identity_principal


class Identity(Resource, frozen=True, kw_only=True, kind="identity", collection="identities"):
    """A managed identity: a principal that is a resource, and is given access like any other.

    Its principal id is drawn when it is made. Deleting it takes away every role it was given, for good: a namesake made
    later is another principal.
    """

    soft_deleted = False
    lost_when_deleted: ClassVar[str] = "its principal id is gone for good, with every role it was given"

    location: Annotated[str, doc("The region; `local` for an embedded vault.", "westeurope"), REPLACE] = "local"
    resource_group: Annotated[
        name.ResourceGroupName | None,
        doc("The resource group; by default the backend's own.", "payments"),
        REPLACE,
    ] = None
    tags: Annotated[dict[str, str], doc("Up to 13 tags; a plan shows them in clear.", {"team": "payments"})] = {}  # noqa: RUF012  # msgspec copies it

    def resolved(self) -> Self:
        """Return the identity with its resource group in lower case: two spellings of one are no reason to replace
        it."""
        if self.resource_group is None:
            return self
        return msgspec.structs.replace(self, resource_group=self.resource_group.lower())

    def placed(self, resource_group: str) -> Self:
        """Return it in the backend's own resource group, where it names none."""
        if self.resource_group is not None:
            return self
        return msgspec.structs.replace(self, resource_group=resource_group.lower())

    def problems(self) -> Iterator[Problem]:
        """Yield everything a backend would refuse about this identity."""
        if wrong := identity_name_problem(self.name):
            yield Problem(("name",), wrong)
        yield from tags.problems(self.tags)

    def left_to_the_vault(self) -> frozenset[str]:
        """Return `resource_group` where the backend's own is meant."""
        return frozenset({"resource_group"}) if self.resource_group is None else frozenset()

    @property
    def principal(self) -> str:
        """How it is named as a principal."""
        return identity_principal(self.resource_group or "", self.name)

    def identity(self, vault: str) -> str:
        """Return its place among all identities: no two of one name in a resource group."""
        return f"identities/{self.resource_group or ''}/{self.name}".lower()


def needed_identity(principal: str) -> tuple[str, ...]:
    """Return the identity of the managed identity that a principal is named by; nothing for any other principal."""
    named = identity_named(principal)
    return () if named is None else (f"identities/{named[0]}/{named[1]}".lower(),)
