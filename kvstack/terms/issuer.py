"""An issuer of a vault: a name that certificates' policies use for who issues."""

from collections.abc import Iterator
from typing import Final

from kvstack.terms.certificate import SELF, UNKNOWN, authority_path
from kvstack.terms.name import item_name_problem, vault_name_problem

# The provider of certificate authorities in the vaults themselves.
OWN_PROVIDER: Final = "kvstack"
LONGEST: Final = 256


def name_problem(name: str) -> str | None:
    """Return why an issuer may not have this name, or None."""
    if name.lower() in (SELF.lower(), UNKNOWN.lower()):
        return f"`{name}` means something else already: an issuer has a name of its own"
    wrong = item_name_problem(name)
    return None if wrong is None else wrong.replace("a key, secret or certificate", "an issuer")


def problems(provider: str, authority: str, account_id: str, organization_id: str) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for an issuer no vault would take. authority: VAULT/certificates/NAME."""
    for attribute, text in (("provider", provider), ("account_id", account_id), ("organization_id", organization_id)):
        if len(text) > LONGEST:
            yield attribute, f"a provider, an account and an organization have at most {LONGEST} characters"
    if not provider:
        yield "provider", "an issuer has a provider"
    elif (provider == OWN_PROVIDER) != bool(authority):
        yield (
            "authority",
            f"the provider `{OWN_PROVIDER}` is for an authority in a vault, given as VAULT/certificates/NAME, "
            "and no other provider has one",
        )
    path = authority_path(authority)
    if authority and path is None:
        yield "authority", f"`{authority}` is no authority: write VAULT/certificates/NAME"
    if path is not None and (wrong := vault_name_problem(path[0]) or item_name_problem(path[1])) is not None:
        yield "authority", wrong
