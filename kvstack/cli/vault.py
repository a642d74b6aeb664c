"""`kvstack vault`: vaults, alive and soft-deleted."""

from typing import cast

import click
from msgspec import UNSET

from kvstack.cli.confirm import confirm
from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import directory
from kvstack.cli.documents import vault_document, vault_facts
from kvstack.cli.group import verbs
from kvstack.cli.lifecycle import deleted_table, deleted_words
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import facts, table
from kvstack.cli.thing import recover_hint, vault_name
from kvstack.cli.vault_policies import add_policies, policy_document, policy_words
from kvstack.cli.vault_transfer import add_transfer
from kvstack.cli.words import text
from kvstack.terms.access_policy import ACCESS_MODELS, AccessModel
from kvstack.terms.limits import RETENTION_DAYS

_name = click.argument("name", metavar="VAULT", type=text)


@verbs("Vaults, alive and soft-deleted.")
def command() -> None:
    """Hold the verbs."""


@command.command(help="Make a vault.")
@_name
@click.option("--sku", type=click.Choice(["standard", "premium"]), default="standard", help="`premium` has -HSM keys.")
@click.option(
    "--retention-days",
    type=int,
    default=RETENTION_DAYS[1],
    help=f"Days a deleted thing can be recovered for, {RETENTION_DAYS[0]}-{RETENTION_DAYS[1]}; set once.",
)
@click.option(
    "--purge-protection", is_flag=True, help="Nobody can purge before retention ends. Never to be taken back."
)
@click.option(
    "--access-model",
    type=click.Choice(ACCESS_MODELS),
    default="rbac",
    help="Whether roles give a right to what is in it, or access policies of its own.",
)
@as_json
@pass_context
def create(
    context: Context,
    name: str,
    sku: str,
    retention_days: int,
    purge_protection: bool,
    access_model: str,
    as_json: bool,
) -> int:
    """Make a vault."""
    with opened(context) as there, recover_hint("vault", name):
        made = there.service.create_vault(
            there.caller,
            vault_name(name),
            sku="premium" if sku == "premium" else "standard",
            soft_delete_retention_days=retention_days,
            purge_protection=purge_protection,
            access_model=cast("AccessModel", access_model),
        )
    if as_json:
        answer_json(vault_document(made))
    else:
        answer(f"created vault {made.name}")
    return 0


@command.command(help="Change a vault's settings; what is not named stays.")
@_name
@click.option("--sku", type=click.Choice(["standard", "premium"]), help="`premium` has -HSM keys.")
@click.option("--purge-protection", is_flag=True, help="Switch it on. Never to be taken back.")
@click.option(
    "--access-model",
    type=click.Choice(ACCESS_MODELS),
    help="Let roles give a right to what is in it, or its access policies. Takes the right to give roles.",
)
@as_json
@pass_context
def update(
    context: Context, name: str, sku: str | None, purge_protection: bool, access_model: str | None, as_json: bool
) -> int:
    """Change a vault's settings."""
    with opened(context) as there, recover_hint("vault", name):
        changed = there.service.update_vault(
            there.caller,
            vault_name(name),
            sku=UNSET if sku is None else "premium" if sku == "premium" else "standard",
            purge_protection=True if purge_protection else UNSET,
            access_model=UNSET if access_model is None else cast("AccessModel", access_model),
        )
    if as_json:
        answer_json(vault_document(changed))
    else:
        answer(facts(vault_facts(changed)))
    return 0


@command.command("list", help="List the vaults.")
@as_json
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List the vaults."""
    with opened(context) as there:
        found = there.service.list_vaults(there.caller)
    if as_json:
        answer_json({"vaults": [vault_document(vault) for vault in found]})
    else:
        rows = [
            (one.name, one.resource_group, one.sku, f"{one.soft_delete_retention_days} days", one.purge_protection)
            for one in found
        ]
        answer(table(("NAME", "RESOURCE GROUP", "SKU", "RETENTION", "PURGE PROTECTION"), rows, empty="No vaults."))
    return 0


@command.command(help="Show a vault's settings, and its access policies.")
@_name
@as_json
@pass_context
def show(context: Context, name: str, as_json: bool) -> int:
    """Show a vault's settings."""
    with opened(context) as there, recover_hint("vault", name):
        found = there.service.get_vault(there.caller, vault_name(name))
        policies = there.service.list_access_policies(there.caller, found.name)
        known = directory(there)
    # By name: the vault's own order is of ids, which are drawn.
    policies = tuple(sorted(policies, key=lambda one: (known.name(one.principal_id).lower(), one.principal_id)))
    if as_json:
        answer_json({**vault_document(found), "access_policies": [policy_document(one, known) for one in policies]})
    else:
        held = [(f"policy of {known.name(one.principal_id)}", policy_words(one)) for one in policies]
        answer(facts([*vault_facts(found), *held]))
    return 0


@command.command(help="Soft-delete a vault with all in it; it can be recovered until retention ends.")
@_name
@as_json
@pass_context
def delete(context: Context, name: str, as_json: bool) -> int:
    """Soft-delete a vault."""
    with opened(context) as there, recover_hint("vault", name):
        deleted = there.service.delete_vault(there.caller, vault_name(name))
    if as_json:
        answer_json(vault_document(deleted))
    else:
        answer(deleted_words("vault", deleted.name, deleted.deletion))
    return 0


@command.command("list-deleted", help="List the soft-deleted vaults.")
@as_json
@pass_context
def list_deleted(context: Context, as_json: bool) -> int:
    """List the soft-deleted vaults."""
    with opened(context) as there:
        found = there.service.list_deleted_vaults(there.caller)
    if as_json:
        answer_json({"vaults": [vault_document(vault) for vault in found]})
    else:
        answer(deleted_table(found, "No soft-deleted vaults."))
    return 0


@command.command(help="Bring a soft-deleted vault back, with all in it, without its role assignments.")
@_name
@as_json
@pass_context
def recover(context: Context, name: str, as_json: bool) -> int:
    """Bring a soft-deleted vault back."""
    with opened(context) as there:
        recovered = there.service.recover_vault(there.caller, vault_name(name))
    if as_json:
        answer_json(vault_document(recovered))
    else:
        answer(f"recovered vault {recovered.name}, without its role assignments")
    return 0


@command.command(help="Destroy a soft-deleted vault and all in it for good; asks first.")
@_name
@answer_yes
@as_json
@pass_context
def purge(context: Context, name: str, yes: bool, as_json: bool) -> int:
    """Destroy a soft-deleted vault."""
    wanted = vault_name(name)
    confirm(f"Destroy the vault {wanted} with everything in it, for good?", yes=yes)
    with opened(context) as there:
        there.service.purge_vault(there.caller, wanted)
    if as_json:
        answer_json({"purged": {"kind": "vault", "vault": wanted, "name": wanted}})
    else:
        answer(f"purged vault {wanted}")
    return 0


add_policies(command)
add_transfer(command)
