"""Who may do what, where, and until when."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from kvstack.resources.eligible import Eligible
from kvstack.resources.identity import needed_identity
from kvstack.resources.role_definition import is_built_in, role_identity
from kvstack.resources.to_principal import ToPrincipal
from kvstack.resources.validity import Moment, problems_of_validity
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import REPLACE
from kvstack.schema.obstacle import Hint, Obstacle
from kvstack.schema.resource import Problem
from kvstack.terms.address import slug
from kvstack.terms.approval import eligibility_words, role_words
from kvstack.terms.principal import PrincipalType


class RoleAssignment(ToPrincipal, frozen=True, kw_only=True, kind="role_assignment", collection="access", parent=Vault):
    """A role given to a principal at a scope: the vault it stands in, or one thing there.

    Under the stack's own `access` it reaches wider: a subscription, a resource group, or a vault of somebody else.
    """

    names = frozenset({"role", "scope"})

    principal: Annotated[
        str,
        doc("A name from `principals` or `identities`, or an object id (then with `principal_type`).", "payments-api"),
        REPLACE,
    ]
    role: Annotated[str, doc("A built-in role, by name or id, or one from `roles`.", "Key Vault Secrets User"), REPLACE]
    scope: Annotated[
        str,
        doc(
            "In a vault: `keys/NAME`, `secrets/NAME` or nothing for the whole vault. Under the stack's `access`: "
            "`subscription`, `resource_group/NAME`, `vault/NAME` or `vault/NAME/secrets/NAME`.",
            "secrets/db-password",
        ),
        REPLACE,
    ] = ""
    principal_type: Annotated[
        PrincipalType | None, doc("What the principal is; taken from `principals` where it is named there."), REPLACE
    ] = None
    starts: Annotated[Moment | None, doc("The assignment holds from then on.")] = msgspec.field(
        default=None, name="from"
    )
    until: Annotated[Moment | None, doc("The assignment ends then.", "2027-01-31T00:00:00Z")] = None
    condition: Annotated[
        str,
        doc(
            "What else has to hold, in Azure's language: it looks at the names of the vault and of the secret.",
            "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'",
        ),
    ] = ""
    description: Annotated[str, doc("Why it is there, for those who review access.", max_length=1024)] = ""
    eligible: Annotated[
        Eligible | None,
        doc("The role is not given: its holder may take it up for a while, on these terms.", {"max_duration": "PT4H"}),
    ] = None

    def resolved(self) -> "RoleAssignment":
        """Return the same assignment, its terms in one spelling."""
        return self if self.eligible is None else msgspec.structs.replace(self, eligible=self.eligible.resolved())

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this assignment alone."""
        yield from problems_of_validity(self.starts, self.until, ("from", "until"))
        if self.eligible is not None:
            yield from self.eligible.problems()
            for written, moment in (("from", self.starts), ("until", self.until)):
                if moment is not None:
                    wrong = f"`{written}` of a role that is only taken up stands in `eligible`"
                    yield Problem((written,), wrong, f"Write `eligible: {{{written}: ...}}`.")
        if self.condition:
            yield from _condition_problems(self.condition)
        if self.name:
            yield Problem(("name",), "a role assignment has no name of its own", "Take the line out.")

    def address_parts(self) -> tuple[str, ...]:
        """Return what the assignment is called after `access/`, from what is written: principal, role and scope."""
        return (slug_of_principal(self.principal), slug(self.role), *((self.scope,) if self.scope else ()))

    def obstacle_to_creation(self, now: datetime) -> Obstacle | None:
        """Return that it has ended, where it has: an assignment that is there may have, a new one makes no sense."""
        end = self.end
        if end is None or end > now:
            return None
        return Obstacle(
            f"the assignment would have ended before it began, on {end:%Y-%m-%d}",
            "Change `until`, or delete the line.",
        )

    def needs(self, vault: str) -> tuple[str, ...]:
        """Return the vault it is for, where it is for one; the role, where it is no built-in one; and the managed
        identity it is given to."""
        defined = () if is_built_in(self.role) else (role_identity(self.role),)
        match self.scope.split("/"):
            case ["vault", name, *_]:
                return (f"vaults/{name.lower()}", *defined, *needed_identity(self.principal))
            case _:
                return (*defined, *needed_identity(self.principal))

    @property
    def end(self) -> datetime | None:
        """When nobody has the role by it any more."""
        return self.until if self.eligible is None else self.eligible.until

    def grants(self, vault: str) -> tuple[str, str] | None:
        """Return where it gives what to whom."""
        terms = self.eligible
        if terms is None:
            return self.scope, role_words(self.role, self.principal, self.starts, self.until, self.condition)
        return self.scope, eligibility_words(
            self.role,
            self.principal,
            starts=terms.starts,
            until=terms.until,
            max_duration=terms.span,
            justification=terms.justification == "required",
            mfa=terms.mfa == "required",
            approvers=terms.approvers,
            condition=self.condition,
        )

    def hints(self, now: datetime) -> tuple[Hint, ...]:
        """Return that it has ended, where it has."""
        end = self.end
        if end is None or end > now:
            return ()
        return (Hint(f"the assignment ended on {end:%Y-%m-%d}", "It gives no access any more: delete the line."),)

    def identity(self, vault: str) -> str:
        """Return the assignment's place among all: no two with one scope, role and principal. One that is eligible and
        one that is not are two things."""
        place = "assignments" if self.eligible is None else "eligible"
        return f"{place}/{self.scope}/{self.role}/{self.principal}".lower()


def slug_of_principal(principal: str) -> str:
    """Return a principal as one part of an address."""
    return principal.replace("/", "-")


def _condition_problems(condition: str) -> Iterator[Problem]:
    from kvstack.terms.condition import ConditionError  # most stacks have none
    from kvstack.terms.condition_parser import parsed

    try:
        parsed(condition)
    except ConditionError as error:
        wrong = error.diagnostics[0]
        yield Problem(("condition",), f"character {error.offset + 1} of the condition: {wrong.summary}", wrong.detail)
