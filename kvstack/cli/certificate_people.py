"""Who is around a vault's certificates: contacts who are told, issuers that policies name."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import Cell, facts, table
from kvstack.cli.thing import recover_hint, vault_name
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.vault.certificates.rows import Contact, Issuer

_its_vault = click.argument("vault", metavar="VAULT", type=text)
_its_issuer = click.argument("name", metavar="ISSUER", type=text)


@verbs("Whom to tell about a vault's certificates.")
def contact() -> None:
    """Hold the verbs."""


@contact.command("add")
@_its_vault
@click.option("--email", metavar="ADDRESS", type=text, required=True, help="Where to.")
@click.option("--name", metavar="NAME", type=text, default="", help="Who it is.")
@click.option("--phone", metavar="NUMBER", type=text, default="", help="Their telephone.")
@as_json
@pass_context
def add(context: Context, vault: str, email: str, name: str, phone: str, as_json: bool) -> int:
    """Tell somebody about this vault's certificates from now on."""
    from kvstack.vault.certificates.rows import Contact

    with opened(context) as there, recover_hint("vault", vault), there.service.batch():
        before = there.service.get_contacts(there.caller, vault_name(vault))
        kept = [one for one in before if one.email.lower() != email.lower()]
        after = there.service.set_contacts(there.caller, vault, [*kept, Contact(email, name, phone)])
    return _tell_contacts(after, as_json=as_json)


@contact.command("list")
@_its_vault
@as_json
@pass_context
def list_contacts(context: Context, vault: str, as_json: bool) -> int:
    """List whom is told."""
    with opened(context) as there, recover_hint("vault", vault):
        found = there.service.get_contacts(there.caller, vault_name(vault))
    return _tell_contacts(found, as_json=as_json)


@contact.command("delete")
@_its_vault
@click.option("--email", metavar="ADDRESS", type=text, required=True, help="Whom to leave out.")
@as_json
@pass_context
def delete_contact(context: Context, vault: str, email: str, as_json: bool) -> int:
    """Tell somebody no more."""
    with opened(context) as there, recover_hint("vault", vault), there.service.batch():
        before = there.service.get_contacts(there.caller, vault_name(vault))
        kept = [one for one in before if one.email.lower() != email.lower()]
        if len(kept) == len(before):
            raise KvstackError(f"vault `{vault}` has no contact `{email}`", "`contact list` lists them.")
        after = there.service.set_contacts(there.caller, vault, kept)
    return _tell_contacts(after, as_json=as_json)


@verbs("Issuers that a vault's policies can name.")
def issuer() -> None:
    """Hold the verbs."""


@issuer.command("create")
@_its_vault
@_its_issuer
@click.option("--authority", metavar="VAULT/certificates/NAME", type=text, help="A certificate authority in a vault.")
@click.option("--provider", metavar="NAME", type=text, help="Or a company, which is only written down here.")
@click.option("--account-id", metavar="ID", type=text, default="", help="With the company.")
@click.option("--organization-id", metavar="ID", type=text, default="", help="With the company.")
@click.option("--disabled", is_flag=True, help="Refuse to issue by it until it is made again without this.")
@as_json
@pass_context
def create(
    context: Context,
    vault: str,
    name: str,
    authority: str | None,
    provider: str | None,
    account_id: str,
    organization_id: str,
    disabled: bool,
    as_json: bool,
) -> int:
    """Make an issuer, or make it anew."""
    if (authority is None) == (provider is None):
        raise click.UsageError("an issuer is an --authority in a vault or a --provider, one of them")
    with opened(context) as there, recover_hint("vault", vault):
        made = there.service.put_issuer(
            there.caller,
            vault_name(vault),
            name,
            provider=provider or "kvstack",
            authority=authority or "",
            account_id=account_id,
            organization_id=organization_id,
            enabled=not disabled,
        )
    return _tell_issuer(made, as_json=as_json)


@issuer.command("show")
@_its_vault
@_its_issuer
@as_json
@pass_context
def show(context: Context, vault: str, name: str, as_json: bool) -> int:
    """Show an issuer."""
    with opened(context) as there, recover_hint("vault", vault):
        found = there.service.get_issuer(there.caller, vault_name(vault), name)
    return _tell_issuer(found, as_json=as_json)


@issuer.command("list")
@_its_vault
@as_json
@pass_context
def list_issuers(context: Context, vault: str, as_json: bool) -> int:
    """List a vault's issuers."""
    with opened(context) as there, recover_hint("vault", vault):
        found = there.service.list_issuers(there.caller, vault_name(vault))
    if as_json:
        answer_json({"issuers": [_issuer_document(one) for one in found]})
    else:
        rows = [(one.name, one.provider, one.authority, one.enabled) for one in found]
        answer(table(("NAME", "PROVIDER", "AUTHORITY", "ENABLED"), rows, empty="No issuers."))
    return 0


@issuer.command("delete")
@_its_vault
@_its_issuer
@as_json
@pass_context
def delete_issuer(context: Context, vault: str, name: str, as_json: bool) -> int:
    """Delete an issuer, for good. What it issued stays."""
    with opened(context) as there, recover_hint("vault", vault):
        gone = there.service.delete_issuer(there.caller, vault_name(vault), name)
    if as_json:
        answer_json(_issuer_document(gone))
    else:
        answer(f"deleted issuer {gone.name} of vault {vault}")
    return 0


def add_people(group: Verbs) -> None:
    """Give `certificate` the verbs about who is around it."""
    group.add_command(contact, "contact")
    group.add_command(issuer, "issuer")


def _tell_contacts(contacts: "tuple[Contact, ...]", *, as_json: bool) -> int:
    if as_json:
        documents = [{"email": one.email, "name": one.name, "phone": one.phone} for one in contacts]
        answer_json({"contacts": documents})
    else:
        rows = [(one.email, one.name, one.phone) for one in contacts]
        answer(table(("E-MAIL", "NAME", "PHONE"), rows, empty="No contacts."))
    return 0


def _tell_issuer(found: "Issuer", *, as_json: bool) -> int:
    if as_json:
        answer_json(_issuer_document(found))
    else:
        shown: list[tuple[str, Cell]] = [
            ("name", found.name),
            ("provider", found.provider),
            ("authority", found.authority),
            ("account", found.account_id),
            ("organization", found.organization_id),
            ("enabled", found.enabled),
        ]
        answer(facts(shown))
    return 0


def _issuer_document(found: "Issuer") -> dict[str, Any]:
    return {
        "name": found.name,
        "provider": found.provider,
        "authority": found.authority or None,
        "account_id": found.account_id,
        "organization_id": found.organization_id,
        "enabled": found.enabled,
    }
