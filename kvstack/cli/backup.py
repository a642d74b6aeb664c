"""`backup` and `restore` of a key, a secret or a certificate: one opaque file only the vault's own store opens."""

from typing import Any

import click

from kvstack.cli.content import keep_private, require_free, taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import item_document
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.table import counted
from kvstack.cli.thing import NOUNS, recover_hint, thing, vault_name
from kvstack.cli.words import text
from kvstack.terms.secret import SecretValue


def add_backup(group: Verbs, noun: str) -> None:
    """Give `secret`, `key` or `certificate` its verbs of backup."""
    collection = next(one for one, word in NOUNS.items() if word == noun)

    @group.command(help=f"Write a {noun} with all its versions into a new file only its owner can read.")
    @click.argument("written", metavar="VAULT/NAME", type=text)
    @click.option("--file", metavar="FILE", required=True, help="The new file.")
    @pass_context
    def backup(context: Context, written: str, file: str) -> int:
        wanted = thing(context, written, collection)
        require_free(file)
        with opened(context) as vault, recover_hint(noun, wanted.written):
            blob = _of(vault.service, "backup", noun)(vault.caller, wanted.vault, wanted.name)
        keep_private(file, SecretValue(blob))
        say(f"wrote {file}: the {noun} {wanted.written} with all its versions")
        return 0

    @group.command(help=f"Bring a {noun} back from a backup, where its name is free.")
    @click.argument("vault", metavar="VAULT", type=text)
    @click.option("--file", metavar="FILE", required=True, help="The backup; `-` for standard input.")
    @as_json
    @pass_context
    def restore(context: Context, vault: str, file: str, as_json: bool) -> int:
        from kvstack.vault.backup import LONGEST

        home = vault_name(vault)
        blob = taken(file, at_most=LONGEST, what="the backup")
        with opened(context) as there, recover_hint("vault", vault):
            item = _of(there.service, "restore", noun)(there.caller, home, blob)
        if as_json:
            answer_json(item_document(item))
        else:
            answer(f"restored {noun} {item.vault}/{item.name} with {counted(item.versions, 'version')}")
        return 0


def _of(service: Any, verb: str, noun: str) -> Any:
    """Return an operation of the service that all of them have: `backup_key`, `backup_secret`."""
    return getattr(service, f"{verb}_{noun}")
