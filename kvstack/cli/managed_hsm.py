"""`kvstack managed-hsm`: Managed HSMs as a whole, alive and soft-deleted, and the roles inside them."""

from typing import Any

import click
from msgspec import UNSET

from kvstack.cli.confirm import confirm
from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import directory
from kvstack.cli.group import verbs
from kvstack.cli.lifecycle import deleted_table, deleted_words
from kvstack.cli.managed_hsm_documents import health_document, hsm_document, hsm_facts
from kvstack.cli.managed_hsm_roles import role
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json, say, warn
from kvstack.cli.table import counted, facts, table
from kvstack.cli.thing import recover_hint, vault_name
from kvstack.cli.words import retagged, tag_values, text
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.limits import POOL_TOKENS, RETENTION_DAYS

_NOUN = "managed-hsm"
_name = click.argument("name", metavar="HSM", type=text)
_tags = click.option("--tag", "tags", metavar="NAME=VALUE", type=text, multiple=True, help="May stand several times.")
_purge_protection = click.option(
    "--purge-protection", is_flag=True, help="Nobody can purge before retention ends. Never to be taken back."
)


@verbs("Managed HSMs: pools of tokens under one security domain, with keys and nothing else.")
def command() -> None:
    """Hold the verbs."""


@command.command()
@_name
@click.option(
    "--administrator",
    "administrators",
    metavar="PRINCIPAL",
    type=text,
    multiple=True,
    help="Its first administrator; whoever runs the vault by default. May stand several times.",
)
@click.option("--tokens", type=int, default=1, help=f"How many tokens it has, {POOL_TOKENS[0]}-{POOL_TOKENS[1]}.")
@click.option(
    "--retention-days",
    type=int,
    default=RETENTION_DAYS[1],
    help=f"Days a deleted thing can be recovered for, {RETENTION_DAYS[0]}-{RETENTION_DAYS[1]}; set once.",
)
@_purge_protection
@click.option("--resource-group", metavar="NAME", type=text, help="Where it is; the vault's own by default.")
@_tags
@as_json
@pass_context
def create(
    context: Context,
    name: str,
    administrators: tuple[str, ...],
    tokens: int,
    retention_days: int,
    purge_protection: bool,
    resource_group: str | None,
    tags: tuple[str, ...],
    as_json: bool,
) -> int:
    """Make a Managed HSM; the download of its security domain activates it."""
    with opened(context) as there, recover_hint(_NOUN, name):
        known = directory(there)
        made = there.service.create_managed_hsm(
            there.caller,
            vault_name(name),
            resource_group=resource_group,
            soft_delete_retention_days=retention_days,
            purge_protection=purge_protection,
            administrators=tuple(known.principal_id(one) for one in administrators),
            tokens=tokens,
            tags=tag_values(tags),
        )
    if as_json:
        answer_json(hsm_document(made))
    else:
        answer(f"created Managed HSM {made.name} with {counted(tokens, 'token')}; it is not activated")
        say(f"`kvstack hsm security-domain download {made.name} --custodian FILE... --quorum N --file F` activates it.")
    return 0


@command.command("list")
@as_json
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List the Managed HSMs."""
    with opened(context) as there:
        found = there.service.list_managed_hsms(there.caller)
    if as_json:
        answer_json({"managed_hsms": [hsm_document(one) for one in found]})
        return 0
    rows = [
        (
            one.name,
            one.resource_group,
            len(one.pool.tokens),
            one.pool.activated is not None,
            f"{one.soft_delete_retention_days} days",
            one.purge_protection,
        )
        for one in found
        if one.pool is not None
    ]
    headings = ("NAME", "RESOURCE GROUP", "TOKENS", "ACTIVATED", "RETENTION", "PURGE PROTECTION")
    answer(table(headings, rows, empty="No Managed HSMs."))
    return 0


@command.command()
@_name
@as_json
@pass_context
def show(context: Context, name: str, as_json: bool) -> int:
    """Show a Managed HSM's settings."""
    with opened(context) as there, recover_hint(_NOUN, name):
        found = there.service.get_managed_hsm(there.caller, vault_name(name))
    if as_json:
        answer_json(hsm_document(found))
    else:
        answer(facts(hsm_facts(found)))
    return 0


@command.command()
@_name
@click.option("--tokens", type=int, help="How many tokens it is to have; never fewer than it has.")
@_purge_protection
@_tags
@click.option("--untag", metavar="NAME", type=text, multiple=True, help="Take one tag away.")
@as_json
@pass_context
def update(
    context: Context,
    name: str,
    tokens: int | None,
    purge_protection: bool,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
    as_json: bool,
) -> int:
    """Change a Managed HSM: give it tokens, purge protection, tags."""
    with opened(context) as there, recover_hint(_NOUN, name):
        before = there.service.get_managed_hsm(there.caller, vault_name(name))
        changed = there.service.update_managed_hsm(
            there.caller,
            before.name,
            tokens=UNSET if tokens is None else tokens,
            purge_protection=True if purge_protection else UNSET,
            tags=retagged(before.tags, tag_values(tags), untag) if tags or untag else UNSET,
        )
    if as_json:
        answer_json(hsm_document(changed))
        return 0
    answer(f"updated Managed HSM {changed.name}")
    if changed.pool is not None and changed.pool.activated is not None and changed.pool != before.pool:
        say(f"`kvstack hsm security-domain join {changed.name}` lets the new tokens take part.")
    return 0


@command.command()
@_name
@as_json
@pass_context
def tokens(context: Context, name: str, as_json: bool) -> int:
    """Show how each token of a Managed HSM is: exit code 1 where one is lost, or has no part in the security domain."""
    with opened(context) as there, recover_hint(_NOUN, name):
        home = there.service.get_managed_hsm(there.caller, vault_name(name))
        health = there.service.managed_hsm_health(there.caller, home.name)
    if as_json:
        answer_json({"managed_hsm": home.name, "tokens": [health_document(one) for one in health]})
    else:
        rows = [(one.label, one.serial, one.state.replace("_", " "), one.words) for one in health]
        answer(table(("TOKEN", "SERIAL", "STATE", "WHY"), rows, empty="No tokens."))
    activated = home.pool is not None and home.pool.activated is not None
    return int(any(one.state == "lost" or (activated and one.state != "ready") for one in health))


@command.command()
@_name
@as_json
@pass_context
def delete(context: Context, name: str, as_json: bool) -> int:
    """Soft-delete a Managed HSM with all in it; it can be recovered until retention ends."""
    with opened(context) as there, recover_hint(_NOUN, name):
        deleted = there.service.delete_managed_hsm(there.caller, vault_name(name))
    if as_json:
        answer_json(hsm_document(deleted))
    else:
        answer(deleted_words(_NOUN, deleted.name, deleted.deletion))
    return 0


@command.command("list-deleted")
@as_json
@pass_context
def list_deleted(context: Context, as_json: bool) -> int:
    """List the soft-deleted Managed HSMs."""
    with opened(context) as there:
        found = there.service.list_deleted_managed_hsms(there.caller)
    if as_json:
        answer_json({"managed_hsms": [hsm_document(one) for one in found]})
    else:
        answer(deleted_table(found, "No soft-deleted Managed HSMs."))
    return 0


@command.command()
@_name
@as_json
@pass_context
def recover(context: Context, name: str, as_json: bool) -> int:
    """Bring a soft-deleted Managed HSM back, with its keys and the roles inside it."""
    with opened(context) as there:
        recovered = there.service.recover_managed_hsm(there.caller, vault_name(name))
    if as_json:
        answer_json(hsm_document(recovered))
    else:
        answer(f"recovered Managed HSM {recovered.name}")
    return 0


@command.command()
@_name
@answer_yes
@as_json
@pass_context
def purge(context: Context, name: str, yes: bool, as_json: bool) -> int:
    """Destroy a soft-deleted Managed HSM with its keys and its tokens for good; asks first."""
    wanted = vault_name(name)
    confirm(f"Destroy the Managed HSM {wanted} with its keys and its tokens, for good?", yes=yes)
    with opened(context) as there:
        left = there.service.purge_managed_hsm(there.caller, wanted)
    if as_json:
        purged: dict[str, Any] = {"kind": _NOUN, "vault": wanted, "name": wanted}
        answer_json({"purged": purged, "left": list(left)})
    else:
        answer(f"purged Managed HSM {wanted}")
    warn(tuple(Diagnostic(severity="warning", summary=words) for words in left))
    return 0


command.add_command(role)
