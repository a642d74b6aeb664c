"""Who issues a vault's certificates, under a name that their policies use."""

from collections.abc import Callable, Iterator
from typing import Annotated, Self

import msgspec

from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import certificate, issuer


class Issuer(Resource, frozen=True, kw_only=True, kind="issuer", collection="issuers", parent=Vault):
    """Who issues certificates of a vault, under a name that their `issuer` uses: changed here, it changes for all."""

    soft_deleted = False
    ours_by_state = True
    stands_for_what_it_needs = True

    provider: Annotated[
        str, doc("`kvstack` for a certificate authority in a vault; else a company, by its name.", "DigiCert")
    ] = issuer.OWN_PROVIDER
    authority: Annotated[
        str,
        doc(
            "The certificate authority, for the provider `kvstack`: its address, or `VAULT/certificates/NAME`.",
            "trust/certificates/root",
        ),
    ] = ""
    account_id: Annotated[str, doc("The account with the company.", "40521", max_length=issuer.LONGEST)] = ""
    organization_id: Annotated[str, doc("The organization's id there.", "1", max_length=issuer.LONGEST)] = ""
    enabled: Annotated[bool, doc("Whether it issues anything.")] = True

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this issuer."""
        if wrong := issuer.name_problem(self.name):
            yield Problem(("name",), wrong)
        for attribute, summary in issuer.problems(self.provider, self.authority, self.account_id, self.organization_id):
            yield Problem((attribute,), summary)
        if self.authority:
            yield certificate_authority_is_ahead("authority")

    def needs(self, vault: str) -> tuple[str, ...]:
        """Return the authority it stands for."""
        path = certificate.authority_path(self.authority)
        return (f"vaults/{path[0].lower()}/certificates/{path[1].lower()}",) if path is not None else ()

    def refers_to(self) -> str | None:
        """Return the authority it stands for, as it is written."""
        return self.authority if certificate.authority_path(self.authority) is not None else None

    def referring(self, to: Callable[[str], str]) -> Self:
        """Return the issuer with its authority by real names."""
        return msgspec.structs.replace(self, authority=to(self.authority).lower())

    def problems_with(self, needed: Resource) -> Iterator[Problem]:
        """Yield that what it stands for is no authority."""
        # It is a certificate, whose file knows this one.
        if getattr(needed, "authority", None) is None:
            summary = f"`{needed.name}` is no certificate authority"
            yield Problem(("authority",), summary, "Write `authority: {}` in it.")

    def identity(self, vault: str) -> str:
        """Return the issuer's place among all of its vault."""
        return issuer_identity(vault, self.name)


def issuer_identity(vault: str, name: str) -> str:
    """Return the identity of an issuer of a vault."""
    return f"vaults/{vault.lower()}/issuers/{name.lower()}"


def certificate_authority_is_ahead(attribute: str) -> Problem:
    """Return the warning that no Azure Key Vault has certificate authorities."""
    return Problem(
        (attribute,),
        "certificate authorities in a vault are ahead of Azure: no Azure Key Vault has them",
        "The embedded vault does; the same declaration is refused in a plan for Azure.",
        severity="warning",
    )
