"""What keys, secrets and certificates have in common on the command line: versions, soft delete, recovery, purge."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.confirm import confirm
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import item_document, version_document
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import table
from kvstack.cli.thing import NOUNS, Collection, recover_hint, thing, vault_name
from kvstack.cli.words import text

if TYPE_CHECKING:
    from kvstack.vault.caller import Caller
    from kvstack.vault.records import CertificateVersion, Deletion, KeyVersion, SecretVersion
    from kvstack.vault.service import VaultService


def add_lifecycle(group: Verbs, collection: Collection) -> None:
    """Give `secret`, `key` or `certificate` the verbs all have."""
    noun = NOUNS[collection]
    its_name = click.argument("written", metavar="VAULT/NAME", type=text)
    its_vault = click.argument("vault", metavar="VAULT", type=text)

    @group.command("list-versions", help=f"List a {noun}'s versions, oldest first.")
    @its_name
    @as_json
    @pass_context
    def list_versions(context: Context, written: str, as_json: bool) -> int:
        wanted = thing(context, written, collection)
        with opened(context) as vault, recover_hint(noun, wanted.written):
            found = _versions(vault.service, vault.caller, collection, wanted.vault, wanted.name)
            if not found:
                # The vault answers as Azure does, with an empty list; a person wants to know that there is none.
                _properties(vault.service, vault.caller, collection, wanted.vault, wanted.name)
        if as_json:
            answer_json({"versions": [version_document(version) for version in found]})
        else:
            rows = [
                (
                    one.version,
                    one.enabled,
                    one.created,
                    one.not_before,
                    one.expires,
                    "rotation" if one.by_rotation else "",
                )
                for one in found
            ]
            headings = ("VERSION", "ENABLED", "CREATED", "NOT BEFORE", "EXPIRES", "MADE BY")
            answer(table(headings, rows, empty="No versions."))
        return 0

    @group.command(help=f"Soft-delete a {noun}; it can be recovered until retention ends.")
    @its_name
    @as_json
    @pass_context
    def delete(context: Context, written: str, as_json: bool) -> int:
        wanted = thing(context, written, collection)
        with opened(context) as vault, recover_hint(noun, wanted.written):
            item = _of(vault.service, "delete", noun)(vault.caller, wanted.vault, wanted.name)
        if as_json:
            answer_json(item_document(item))
        else:
            answer(deleted_words(noun, f"{item.vault}/{item.name}", item.deletion))
        return 0

    @group.command("list-deleted", help=f"List the soft-deleted {collection} of a vault.")
    @its_vault
    @as_json
    @pass_context
    def list_deleted(context: Context, vault: str, as_json: bool) -> int:
        with opened(context) as there, recover_hint("vault", vault):
            items = _of(there.service, "list_deleted", collection)(there.caller, vault_name(vault))
        if as_json:
            answer_json({collection: [item_document(item) for item in items]})
        else:
            answer(deleted_table(items, f"No soft-deleted {collection}."))
        return 0

    @group.command("show-deleted", help=f"Show a soft-deleted {noun}.")
    @its_name
    @as_json
    @pass_context
    def show_deleted(context: Context, written: str, as_json: bool) -> int:
        wanted = thing(context, written, collection)
        with opened(context) as vault:
            item = _of(vault.service, "get_deleted", noun)(vault.caller, wanted.vault, wanted.name)
        if as_json:
            answer_json(item_document(item))
        else:
            answer(deleted_table([item], ""))
        return 0

    @group.command(help=f"Bring a soft-deleted {noun} back, with every version.")
    @its_name
    @as_json
    @pass_context
    def recover(context: Context, written: str, as_json: bool) -> int:
        wanted = thing(context, written, collection)
        with opened(context) as vault:
            item = _of(vault.service, "recover", noun)(vault.caller, wanted.vault, wanted.name)
        if as_json:
            answer_json(item_document(item))
        else:
            answer(f"recovered {noun} {item.vault}/{item.name}")
        return 0

    @group.command(help=f"Destroy a soft-deleted {noun} for good; asks first.")
    @its_name
    @answer_yes
    @as_json
    @pass_context
    def purge(context: Context, written: str, yes: bool, as_json: bool) -> int:
        wanted = thing(context, written, collection)
        confirm(f"Destroy the {noun} {wanted.written} with all its versions, for good?", yes=yes)
        with opened(context) as vault:
            _of(vault.service, "purge", noun)(vault.caller, wanted.vault, wanted.name)
        if as_json:
            answer_json({"purged": {"kind": noun, "vault": wanted.vault, "name": wanted.name}})
        else:
            answer(f"purged {noun} {wanted.written}")
        return 0


def deleted_words(noun: str, written: str, deletion: "Deletion | None") -> str:
    """Return what was done to something that was soft-deleted, and how to undo it."""
    until = f" until {deletion.scheduled_purge:%Y-%m-%d %H:%M} UTC" if deletion is not None else ""
    return f"deleted {noun} {written}; it can be recovered{until}: kvstack {noun} recover {written}"


def deleted_table(items: Any, empty: str) -> str:
    """Return soft-deleted things in columns."""
    rows = [(one.name, one.deletion.deleted, one.deletion.scheduled_purge, one.deletion.by) for one in items]
    return table(("NAME", "DELETED", "PURGE DUE", "BY"), rows, empty=empty)


def _of(service: "VaultService", verb: str, noun: str) -> Any:
    """Return an operation of the service that all of them have: `delete_key`, `delete_secret`."""
    return getattr(service, f"{verb}_{noun}")


def _versions(
    service: "VaultService", caller: "Caller", collection: Collection, vault: str, name: str
) -> "tuple[KeyVersion, ...] | tuple[SecretVersion, ...] | tuple[CertificateVersion, ...]":
    match collection:
        case "keys":
            return service.list_key_versions(caller, vault, name)
        case "secrets":
            return service.list_secret_versions(caller, vault, name)
        case "certificates":
            return service.list_certificate_versions(caller, vault, name)


def _properties(
    service: "VaultService", caller: "Caller", collection: Collection, vault: str, name: str
) -> "KeyVersion | SecretVersion | CertificateVersion":
    match collection:
        case "keys":
            return service.get_key(caller, vault, name)
        case "secrets":
            return service.get_secret_properties(caller, vault, name)
        case "certificates":
            return service.get_certificate(caller, vault, name)
