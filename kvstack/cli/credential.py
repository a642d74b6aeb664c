"""`kvstack credential`: client secrets, by which programs sign in as service principals."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.confirm import confirm
from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.table import table
from kvstack.cli.words import moment, text
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.vault.client_secrets import ClientSecret

_principal = click.argument("principal", metavar="PRINCIPAL", type=text)


@verbs("Client secrets: how programs sign in to `kvstack serve` as service principals.")
def command() -> None:
    """Hold the verbs."""


@command.command(help="Make a client secret of a service principal; it is shown once, here.")
@_principal
@click.option("--description", metavar="TEXT", type=text, default="", help="What it is for.")
@click.option("--expires", metavar="TIME", type=moment, help="In 180 days by default, in two years at most.")
@click.option("--file", metavar="FILE", type=text, help="Write the secret there, 0600, instead of printing it.")
@as_json
@pass_context
def create(
    context: Context, principal: str, description: str, expires: datetime | None, file: str | None, as_json: bool
) -> int:
    """Make a client secret."""
    if file is not None and Path(file).exists():
        raise KvstackError(f"{file} is there already", "Name a file that is not: the secret is shown once only.")
    with opened(context) as vault:
        identifier = vault.service.acting(principal).id
        made = vault.service.create_client_secret(vault.caller, identifier, description=description, expires=expires)
        value = made.value.reveal().decode() if made.value is not None else ""
        if file is not None:
            from kvstack.hsm.private_file import write_private

            write_private(Path(file), value.encode() + b"\n")
    if as_json:
        shown = _document(made) | {"tenant_id": vault.unlocked.settings.tenant_id}
        answer_json(shown | ({} if file is not None else {"value": value}))
        return 0
    say(f"client secret {made.id} of {made.principal_id} made; it ends at {made.expires:%Y-%m-%d %H:%M} UTC")
    if file is None:
        say("It is shown this once, and kept nowhere:")
        answer(value)
    return 0


@command.command("list", help="List the client secrets of a service principal; never the secrets themselves.")
@_principal
@as_json
@pass_context
def list_(context: Context, principal: str, as_json: bool) -> int:
    """List client secrets."""
    with opened(context) as vault:
        found = vault.service.list_client_secrets(vault.caller, vault.service.acting(principal).id)
    if as_json:
        answer_json({"client_secrets": [_document(one) for one in found]})
    else:
        rows = [(one.id, f"{one.hint}...", one.description, one.created, one.expires) for one in found]
        answer(table(("ID", "BEGINS", "DESCRIPTION", "CREATED", "EXPIRES"), rows, empty="No client secrets."))
    return 0


@command.command(help="Delete a client secret: nobody signs in with it any more.")
@_principal
@click.argument("secret_id", metavar="ID", type=text)
@answer_yes
@as_json
@pass_context
def delete(context: Context, principal: str, secret_id: str, yes: bool, as_json: bool) -> int:
    """Delete a client secret."""
    with opened(context) as vault:
        identifier = vault.service.acting(principal).id
        confirm(f"Delete the client secret {secret_id} of {identifier}?", yes=yes)
        gone = vault.service.delete_client_secret(vault.caller, identifier, secret_id)
    if as_json:
        answer_json(_document(gone))
    else:
        say(f"client secret {gone.id} of {gone.principal_id} deleted; tokens given for it end within the hour")
    return 0


def _document(secret: "ClientSecret") -> dict[str, Any]:
    return {
        "principal_id": secret.principal_id,
        "client_id": secret.principal_id,
        "id": secret.id,
        "hint": secret.hint,
        "description": secret.description,
        "created": secret.created,
        "expires": secret.expires,
    }
