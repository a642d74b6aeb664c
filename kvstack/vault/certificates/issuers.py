"""Issuers a vault's policies can name, and whom to tell about its certificates."""

from collections.abc import Sequence

from kvstack.terms import contact as contact_rules
from kvstack.terms import issuer as issuer_rules
from kvstack.terms.access_policy import LIST_ISSUERS, SEE_CONTACTS
from kvstack.terms.issuer import OWN_PROVIDER
from kvstack.terms.name import folded
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
        only_if_absent: bool = False,
    ) -> Issuer:
        """Make an issuer, or change one. authority: VAULT/certificates/NAME, for the provider `kvstack`; another
        provider is only written down: this vault asks no company for anything. only_if_absent: raise Conflict where
        there is one."""
        with self._attempt(caller, "CertificateIssuerSet", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, WRITE_ISSUERS)
            _require_valid(name, provider, authority, account_id, organization_id)
            there = ISSUERS.get(attempt.tx, home.id, folded(name))
            attempt.at_item(home, f"issuers/{there.name if there is not None else name}")
            if there is not None and only_if_absent:
                raise errors.already_there("issuer", there.name, home.name)
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
        with self._attempt(caller, "CertificateIssuerGet", self._scope(vault)) as attempt, attempt.reading():
            home = attempt.vault(vault, READ_ISSUERS)
            found = ISSUERS.get(attempt.tx, home.id, folded(name))
            if found is None:
                raise errors.not_found("issuer", name, f" in vault `{home.name}`", code="CertificateIssuerNotFound")
            return found

    def list_issuers(self, caller: Caller, vault: str) -> tuple[Issuer, ...]:
        """Return a vault's issuers."""
        with self._attempt(caller, "CertificateIssuerList", self._scope(vault)) as attempt, attempt.reading():
            home = attempt.vault(vault, READ_ISSUERS, permissions=LIST_ISSUERS)
            return tuple(sorted(ISSUERS.scan(attempt.tx, vault_id=home.id), key=lambda one: one.folded))

    def delete_issuer(self, caller: Caller, vault: str, name: str) -> Issuer:
        """Delete an issuer, for good. What it issued stays."""
        with self._attempt(caller, "CertificateIssuerDelete", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, DELETE_ISSUERS)
            found = ISSUERS.get(attempt.tx, home.id, folded(name))
            if found is None:
                raise errors.not_found("issuer", name, f" in vault `{home.name}`", code="CertificateIssuerNotFound")
            attempt.at_item(home, f"issuers/{found.name}")
            attempt.details["issuer"] = found.name
            ISSUERS.delete(attempt.tx, home.id, found.folded)
            return found

    def set_contacts(
        self, caller: Caller, vault: str, contacts: Sequence[Contact], *, only_if_absent: bool = False
    ) -> tuple[Contact, ...]:
        """Set whom to tell about a vault's certificates, in place of those before; nobody with none. only_if_absent:
        raise Conflict where somebody is told already."""
        with self._attempt(caller, "CertificateContactsSet", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, WRITE_CONTACTS)
            attempt.at_item(home, "contacts")
            wanted = tuple({contact.email.lower(): contact for contact in contacts}.values())
            if len(wanted) > contact_rules.MOST:
                raise BadParameter(f"a vault has at most {contact_rules.MOST} contacts, not {len(wanted)}")
            for contact in wanted:
                if found := list(contact_rules.problems(contact.email, contact.name, contact.phone)):
                    raise BadParameter.of(found)
            if only_if_absent and CONTACTS.get(attempt.tx, home.id) is not None:
                raise errors.Conflict(f"vault `{home.name}` has contacts already")
            if wanted:
                CONTACTS.put(attempt.tx, ContactsRow(vault_id=home.id, contacts=wanted))
            else:
                CONTACTS.delete(attempt.tx, home.id)
            return wanted

    def get_contacts(self, caller: Caller, vault: str) -> tuple[Contact, ...]:
        """Return whom to tell about a vault's certificates."""
        with self._attempt(caller, "CertificateContactsGet", self._scope(vault)) as attempt, attempt.reading():
            home = attempt.vault(vault, CERTIFICATE.read, permissions=SEE_CONTACTS)
            found = CONTACTS.get(attempt.tx, home.id)
            return found.contacts if found is not None else ()


def _require_valid(name: str, provider: str, authority: str, account_id: str, organization_id: str) -> None:
    if (wrong := issuer_rules.name_problem(name)) is not None:
        raise BadParameter(wrong)
    if found := list(issuer_rules.problems(provider, authority, account_id, organization_id)):
        raise BadParameter.of(found)
