"""Issuers a vault's policies can name, and whom to tell about its certificates."""

import re
from collections.abc import Sequence

from kvstack.terms.certificate import SELF, UNKNOWN, authority_path
from kvstack.terms.name import folded, item_name_problem, vault_name_problem
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import CONTACTS, ISSUERS, Contact, ContactsRow, Issuer
from kvstack.vault.engine import Engine
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import CERTIFICATE

READ_ISSUERS = "Microsoft.KeyVault/vaults/certificatecas/read"
WRITE_ISSUERS = "Microsoft.KeyVault/vaults/certificatecas/write"
DELETE_ISSUERS = "Microsoft.KeyVault/vaults/certificatecas/delete"
WRITE_CONTACTS = "Microsoft.KeyVault/vaults/certificatecontacts/write"
# The provider of certificate authorities in this store's own vaults.
OWN_PROVIDER = "kvstack"
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
_MOST_CONTACTS = 100


class IssuerOperations(Engine):
    """What is around a vault's certificates."""

    def put_issuer(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        provider: str = OWN_PROVIDER,
        authority: str = "",
        account_id: str = "",
        organization_id: str = "",
        enabled: bool = True,
    ) -> Issuer:
        """Make an issuer, or change one. authority: VAULT/certificates/NAME, for the provider `kvstack`; another
        provider is only written down: this vault asks no company for anything."""
        with self._attempt(caller, "CertificateIssuerSet", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, WRITE_ISSUERS)
            _require_valid(name, provider, authority, account_id, organization_id)
            there = ISSUERS.get(attempt.tx, home.id, folded(name))
            issuer = Issuer(
                vault_id=home.id,
                folded=folded(name),
                name=there.name if there is not None else name,
                provider=provider,
                authority=authority.lower(),
                account_id=account_id,
                organization_id=organization_id,
                enabled=enabled,
                created=there.created if there is not None else attempt.now,
                updated=attempt.now,
            )
            attempt.details["issuer"] = issuer.name
            ISSUERS.put(attempt.tx, issuer)
            return issuer

    def get_issuer(self, caller: Caller, vault: str, name: str) -> Issuer:
        """Return an issuer. Raises NotFound."""
        with self._attempt(caller, "CertificateIssuerGet", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, READ_ISSUERS)
            found = ISSUERS.get(attempt.tx, home.id, folded(name))
            if found is None:
                raise errors.not_found("issuer", name, f" in vault `{home.name}`", code="CertificateIssuerNotFound")
            return found

    def list_issuers(self, caller: Caller, vault: str) -> tuple[Issuer, ...]:
        """Return a vault's issuers."""
        with self._attempt(caller, "CertificateIssuerList", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, READ_ISSUERS)
            return tuple(sorted(ISSUERS.scan(attempt.tx, vault_id=home.id), key=lambda one: one.folded))

    def delete_issuer(self, caller: Caller, vault: str, name: str) -> Issuer:
        """Delete an issuer, for good. What it issued stays."""
        with self._attempt(caller, "CertificateIssuerDelete", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, DELETE_ISSUERS)
            found = ISSUERS.get(attempt.tx, home.id, folded(name))
            if found is None:
                raise errors.not_found("issuer", name, f" in vault `{home.name}`", code="CertificateIssuerNotFound")
            attempt.details["issuer"] = found.name
            ISSUERS.delete(attempt.tx, home.id, found.folded)
            return found

    def set_contacts(self, caller: Caller, vault: str, contacts: Sequence[Contact]) -> tuple[Contact, ...]:
        """Set whom to tell about a vault's certificates, in place of those before; nobody with none."""
        with self._attempt(caller, "CertificateContactsSet", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, WRITE_CONTACTS)
            wanted = tuple({contact.email.lower(): contact for contact in contacts}.values())
            if len(wanted) > _MOST_CONTACTS:
                raise BadParameter(f"a vault has at most {_MOST_CONTACTS} contacts, not {len(wanted)}")
            for contact in wanted:
                if not _EMAIL.fullmatch(contact.email):
                    raise BadParameter(f"`{contact.email}` is no e-mail address")
                if max(len(contact.name), len(contact.phone)) > 256:
                    raise BadParameter("a contact's name and phone have at most 256 characters")
            if wanted:
                CONTACTS.put(attempt.tx, ContactsRow(vault_id=home.id, contacts=wanted))
            else:
                CONTACTS.delete(attempt.tx, home.id)
            return wanted

    def get_contacts(self, caller: Caller, vault: str) -> tuple[Contact, ...]:
        """Return whom to tell about a vault's certificates."""
        with self._attempt(caller, "CertificateContactsGet", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, CERTIFICATE.read)
            found = CONTACTS.get(attempt.tx, home.id)
            return found.contacts if found is not None else ()


def _require_valid(name: str, provider: str, authority: str, account_id: str, organization_id: str) -> None:
    if name.lower() in (SELF.lower(), UNKNOWN.lower()):
        raise BadParameter(f"`{name}` means something else already: an issuer has a name of its own")
    if (wrong := item_name_problem(name)) is not None:
        raise BadParameter(wrong.replace("key, secret or certificate", "issuer"))
    if not provider or max(len(provider), len(account_id), len(organization_id)) > 256:
        raise BadParameter("a provider, an account and an organization have at most 256 characters")
    path = authority_path(authority)
    if (provider == OWN_PROVIDER) != bool(authority):
        raise BadParameter(
            f"the provider `{OWN_PROVIDER}` is for an authority in a vault, given as VAULT/certificates/NAME, "
            "and no other provider has one"
        )
    if authority and path is None:
        raise BadParameter(f"`{authority}` is no authority: write VAULT/certificates/NAME")
    if path is not None and (wrong := vault_name_problem(path[0]) or item_name_problem(path[1])) is not None:
        raise BadParameter(wrong)
