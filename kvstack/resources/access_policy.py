"""What a principal may do in a vault that goes by access policies, Azure's older model."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import msgspec

from kvstack.resources.identity import needed_identity
from kvstack.resources.role_assignment import slug_of_principal
from kvstack.resources.to_principal import ToPrincipal
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import REPLACE
from kvstack.schema.resource import Problem
from kvstack.terms.access_policy import (
    ALL,
    COLLECTIONS,
    CertificatePermission,
    KeyPermission,
    SecretPermission,
    spelled,
)
from kvstack.terms.approval import policy_words

# One flat choice each, so that a wrong word is told with those there are.
KeyWord = Literal["all", KeyPermission]
SecretWord = Literal["all", SecretPermission]
CertificateWord = Literal["all", CertificatePermission]


class AccessPolicy(ToPrincipal, frozen=True, kw_only=True, kind="access_policy", collection="policies", parent=Vault):
    """What a principal may do with the keys, secrets and certificates of a vault with `access_model: access_policies`.

    A principal has one policy in a vault; it holds for everything in there.
    """

    gives_access = True

    principal: Annotated[
        str, doc("A name from `principals` or `identities`, or an object id.", "payments-api"), REPLACE
    ]
    keys: Annotated[frozenset[KeyWord], doc("What may be done with keys; `all` is every one.", ["get", "sign"])] = (
        frozenset()
    )
    secrets: Annotated[
        frozenset[SecretWord],
        doc("What may be done with secrets: `get` reads values, `list` names.", ["get", "list"]),
    ] = frozenset()
    certificates: Annotated[frozenset[CertificateWord], doc("What may be done with certificates.", ["get", "list"])] = (
        frozenset()
    )

    def resolved(self) -> Self:
        """Return the policy with every permission in the place of `all`."""
        found = {kind: spelled(kind, given) for kind in COLLECTIONS if ALL in (given := getattr(self, kind))}
        return msgspec.structs.replace(self, **found) if found else self

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this policy alone."""
        if not (self.keys or self.secrets or self.certificates):
            yield Problem((), "a policy that permits nothing", "Name permissions, or take the line out.")
        if self.name:
            yield Problem(("name",), "an access policy has no name of its own", "Take the line out.")

    def address_parts(self) -> tuple[str, ...]:
        """Return what the policy is called after `policies/`: its principal."""
        return (slug_of_principal(self.principal),)

    def grants(self, vault: str) -> tuple[str, str] | None:
        """Return where it gives what to whom."""
        given = self.resolved()
        return f"vault/{vault}", policy_words(given.principal, given.keys, given.secrets, given.certificates)

    def needs(self, vault: str) -> tuple[str, ...]:
        """Return the managed identity it is for, where it is for one."""
        return needed_identity(self.principal)

    def identity(self, vault: str) -> str:
        """Return the policy's place among all of its vault: a principal has one."""
        return f"vaults/{vault.lower()}/policies/{self.principal}".lower()
