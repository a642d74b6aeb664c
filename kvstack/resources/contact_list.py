"""Whom a vault tells about its certificates."""

from collections.abc import Iterator
from typing import Annotated, Self

import msgspec

from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import contact


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Somebody who is told."""

    email: Annotated[str, doc("Where to; no two contacts of a vault have the same.", "pki@example.com")]
    name: Annotated[str, doc("Who it is.", "PKI team", max_length=contact.LONGEST)] = ""
    phone: Annotated[str, doc("Their telephone.", "+49 30 1234567", max_length=contact.LONGEST)] = ""


class ContactList(
    Resource, frozen=True, kw_only=True, kind="contact_list", collection="contacts", parent=Vault, written_as="people"
):
    """Everybody who is told when certificates of a vault near their end. In any order; whoever is not in the list is
    not told.

    A vault has one list, and it is one thing. Without the line, or with an empty list, the stack has none, and leaves
    alone whom others have told.
    """

    soft_deleted = False
    ours_by_state = True

    people: Annotated[tuple[Contact, ...], doc("Whom to tell.", max_length=contact.MOST)]

    def resolved(self) -> Self:
        """Return the list in one order."""
        return msgspec.structs.replace(self, people=in_order(self.people))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this list."""
        seen: dict[str, int] = {}
        for index, one in enumerate(self.people):
            for attribute, summary in contact.problems(one.email, one.name, one.phone):
                yield Problem(("people", index, attribute), summary)
            if seen.setdefault(one.email.lower(), index) != index:
                yield Problem(
                    ("people", index, "email"), f"`{one.email}` is in the list already", "Take one of them out."
                )

    def identity(self, vault: str) -> str:
        """Return the list's place: a vault has one."""
        return f"vaults/{vault.lower()}/contacts"


def in_order(people: tuple[Contact, ...]) -> tuple[Contact, ...]:
    """Return contacts in the order of their addresses: theirs says nothing."""
    return tuple(sorted(people, key=lambda one: one.email.lower()))
