"""`kvstack credential`: what programs sign in to a server with: client secrets, certificates, tokens of others."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.confirm import confirm
from kvstack.cli.content import taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.table import facts, table
from kvstack.cli.words import lasting, moment, text
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.vault.client_secrets import ClientSecret
    from kvstack.vault.credentials import ClientCertificateRow, FederatedCredentialRow, PersonCredentialRow

_principal = click.argument("principal", metavar="PRINCIPAL", type=text)


@verbs("What programs sign in to `kvstack serve` with, and how they may.")
def command() -> None:
    """Hold the verbs."""


@command.command(help="Make a client secret, or a managed identity's header; it is shown once, here.")
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


@command.command(help="Make what a person signs in with: a secret, and a code generator; shown once, here.")
@_principal
@click.option("--description", metavar="TEXT", type=text, default="", help="What it is for.")
@click.option("--expires", metavar="TIME", type=moment, help="In 180 days by default, in two years at most.")
@click.option("--file", metavar="FILE", type=text, help="Write both there, 0600, instead of printing them.")
@as_json
@pass_context
def person(
    context: Context, principal: str, description: str, expires: datetime | None, file: str | None, as_json: bool
) -> int:
    """Make a person's credential."""
    if file is not None and Path(file).exists():
        raise KvstackError(f"{file} is there already", "Name a file that is not: both are shown once only.")
    with opened(context) as vault:
        identifier = vault.service.acting(principal).id
        made = vault.service.create_person_credential(
            vault.caller, identifier, description=description, expires=expires
        )
        secret, enrolment = (one.reveal().decode() for one in (made.secret, made.enrolment))
        if file is not None:
            from kvstack.hsm.private_file import write_private

            write_private(Path(file), f"{secret}\n{enrolment}\n".encode())
    if as_json:
        shown = {"principal_id": made.principal_id, "id": made.id, "expires": made.expires}
        answer_json(shown | ({} if file is not None else {"value": secret, "enrolment": enrolment}))
        return 0
    say(f"credential {made.id} of {made.principal_id} made; it ends at {made.expires:%Y-%m-%d %H:%M} UTC")
    if file is None:
        say("Both are shown this once: the secret, and the address an authenticator reads the code's key from:")
        answer(f"{secret}\n{enrolment}")
    return 0


@command.command(help="Let a service principal sign in by the private key of a certificate.")
@_principal
@click.option("--file", metavar="FILE", type=text, required=True, help="The certificate, PEM or DER, without its key.")
@click.option("--description", metavar="TEXT", type=text, default="", help="What it is for.")
@as_json
@pass_context
def certificate(context: Context, principal: str, file: str, description: str, as_json: bool) -> int:
    """Register a certificate."""
    content = taken(file, at_most=64 << 10, what="a certificate")
    with opened(context) as vault:
        identifier = vault.service.acting(principal).id
        made = vault.service.add_client_certificate(vault.caller, identifier, content, description=description)
    if as_json:
        answer_json(_certificate(made))
    else:
        say(f"certificate {made.id} of {made.principal_id} registered; it ends at {made.expires:%Y-%m-%d %H:%M} UTC")
    return 0


@command.command(help="Take tokens of another issuer for a service principal or a managed identity.")
@_principal
@click.argument("name", metavar="NAME", type=text)
@click.option("--issuer", metavar="URL", type=text, required=True, help="Who issues them, as `iss` has it.")
@click.option("--subject", metavar="TEXT", type=text, required=True, help="Whom they are about, as `sub` has it.")
@click.option(
    "--audience",
    metavar="TEXT",
    type=text,
    default="api://AzureADTokenExchange",
    help="What they are for, as `aud` has it; api://AzureADTokenExchange by default.",
)
@as_json
@pass_context
def federate(
    context: Context, principal: str, name: str, issuer: str, subject: str, audience: str, as_json: bool
) -> int:
    """Take tokens of another issuer."""
    with opened(context) as vault:
        identifier = vault.service.acting(principal).id
        made = vault.service.add_federated_credential(
            vault.caller, identifier, name, issuer=issuer, subject=subject, audience=audience
        )
    if as_json:
        answer_json(_federated(made))
    else:
        say(f"federated credential {made.id} of {made.principal_id} made")
    return 0


@command.command("list", help="List what a principal signs in with; never a secret itself.")
@_principal
@as_json
@pass_context
def list_(context: Context, principal: str, as_json: bool) -> int:
    """List credentials."""
    with opened(context) as vault:
        found = vault.service.list_credentials(vault.caller, vault.service.acting(principal).id)
    if as_json:
        answer_json(
            {
                "client_secrets": [_document(one) for one in found.secrets],
                "certificates": [_certificate(one) for one in found.certificates],
                "federated": [_federated(one) for one in found.federated],
                "people": [_person(one) for one in found.people],
            }
        )
        return 0
    rows = [
        *((one.id, "secret", f"{one.hint}...", one.description, one.created, one.expires) for one in found.secrets),
        *(
            (one.id, "certificate", f"{one.sha256[:8]}...", one.description, one.created, one.expires)
            for one in found.certificates
        ),
        *((one.id, "person", f"{one.hint}...", one.description, one.created, one.expires) for one in found.people),
        *((one.id, "federated", one.issuer, one.subject, one.created, None) for one in found.federated),
    ]
    answer(table(("ID", "KIND", "WHICH", "WHAT FOR", "CREATED", "EXPIRES"), rows, empty="No credentials."))
    return 0


@command.command(help="Delete a credential: nobody signs in with it any more, and its tokens end.")
@_principal
@click.argument("credential_id", metavar="ID", type=text)
@answer_yes
@as_json
@pass_context
def delete(context: Context, principal: str, credential_id: str, yes: bool, as_json: bool) -> int:
    """Delete a credential."""
    with opened(context) as vault:
        identifier = vault.service.acting(principal).id
        confirm(f"Delete the credential {credential_id} of {identifier}?", yes=yes)
        vault.service.delete_credential(vault.caller, identifier, credential_id)
    if as_json:
        answer_json({"principal_id": identifier, "id": credential_id.lower()})
    else:
        say(f"credential {credential_id.lower()} of {identifier} deleted; tokens given for it are refused from now on")
    return 0


@command.command("turn-signing-key", help="Make a new key to sign tokens with; it happens every 90 days by itself.")
@click.option("--at-once", is_flag=True, help="Use it now, and refuse every token that was given before; asks first.")
@answer_yes
@as_json
@pass_context
def turn_signing_key(context: Context, at_once: bool, yes: bool, as_json: bool) -> int:
    """Make a new key to sign tokens with."""
    with opened(context) as vault:
        if at_once:
            confirm("Refuse every token that was given before? Everybody has to sign in again.", yes=yes)
        made = vault.service.turn_token_signer(vault.caller, at_once=at_once)
    if as_json:
        answer_json({"id": made, "at_once": at_once})
    else:
        when = "now; tokens given before are refused" if at_once else "in an hour; tokens given before hold"
        say(f"key {made} signs tokens {when}")
    return 0


@command.command(help="Show how a principal may sign in, or change it.")
@_principal
@click.option("--enabled/--disabled", "enabled", default=None, help="Whether at all; its tokens end where not.")
@click.option(
    "--network", "networks", metavar="CIDR", type=text, multiple=True, help="From here; may stand more often."
)
@click.option("--any-network", is_flag=True, help="From anywhere.")
@click.option("--session", metavar="DURATION", type=lasting, help="How long a token lives: PT5M to PT1H.")
@click.option("--mfa/--no-mfa", "mfa", default=None, help="Whether one factor is not enough.")
@as_json
@pass_context
def rules(
    context: Context,
    principal: str,
    enabled: bool | None,
    networks: tuple[str, ...],
    any_network: bool,
    session: timedelta | None,
    mfa: bool | None,
    as_json: bool,
) -> int:
    """Show or change the rules of a principal's sign-ins."""
    if any_network and networks:
        raise KvstackError("`--network` and `--any-network` are two different things", "Give one of them.")
    wanted = () if any_network else (networks or None)
    with opened(context) as vault:
        identifier = vault.service.acting(principal).id
        if (enabled, wanted, session, mfa) == (None, None, None, None):
            found = vault.service.sign_in_rules(vault.caller, identifier)
        else:
            found = vault.service.set_sign_in_rules(
                vault.caller, identifier, enabled=enabled, networks=wanted, longest=session, mfa=mfa
            )
    shown = {
        "principal_id": found.principal_id,
        "enabled": found.enabled,
        "networks": list(found.networks),
        "session_seconds": found.longest or 3600,
        "mfa": found.mfa,
    }
    if as_json:
        answer_json(shown)
    else:
        words: dict[str, Any] = {**shown, "networks": ", ".join(found.networks) or "any"}
        answer(facts((name.replace("_", " "), value) for name, value in words.items()))
    return 0


def _certificate(row: "ClientCertificateRow") -> dict[str, Any]:
    return {
        "principal_id": row.principal_id,
        "client_id": row.principal_id,
        "id": row.id,
        "sha256": row.sha256,
        "description": row.description,
        "created": row.created,
        "begins": row.begins,
        "expires": row.expires,
    }


def _person(row: "PersonCredentialRow") -> dict[str, Any]:
    return {
        "principal_id": row.principal_id,
        "id": row.id,
        "hint": row.hint,
        "description": row.description,
        "created": row.created,
        "expires": row.expires,
    }


def _federated(row: "FederatedCredentialRow") -> dict[str, Any]:
    return {
        "principal_id": row.principal_id,
        "id": row.id,
        "name": row.name,
        "issuer": row.issuer,
        "subject": row.subject,
        "audience": row.audience,
        "created": row.created,
    }


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
