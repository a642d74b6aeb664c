"""`kvstack identity`: managed identities, principals that are resources."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.confirm import confirm
from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import facts, table, tag_words
from kvstack.cli.words import tag_values, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.identity import identity_name_problem

if TYPE_CHECKING:
    from kvstack.vault.identities import ManagedIdentity

_name = click.argument("name", metavar="NAME", type=text)
_group = click.option(
    "--resource-group", metavar="GROUP", type=text, help="Its resource group; by default the vault's own."
)


@verbs("Managed identities: principals that are resources, for programs.")
def command() -> None:
    """Hold the verbs."""


@command.command(help="Make a managed identity, with a principal of its own.")
@_name
@_group
@click.option("--location", metavar="REGION", type=text, default="local", help="The region.")
@click.option("--tag", "tags", metavar="NAME=VALUE", type=text, multiple=True, help="May stand several times.")
@as_json
@pass_context
def create(
    context: Context, name: str, resource_group: str | None, location: str, tags: tuple[str, ...], as_json: bool
) -> int:
    """Make a managed identity."""
    labels = tag_values(tags)
    with opened(context) as vault:
        made = vault.service.create_identity(
            vault.caller, name, resource_group=resource_group, location=location, tags=labels
        )
    return _tell(made, "created", as_json=as_json)


@command.command(help="Show a managed identity, with its principal id and its client id.")
@_name
@_group
@as_json
@pass_context
def show(context: Context, name: str, resource_group: str | None, as_json: bool) -> int:
    """Show a managed identity."""
    with opened(context) as vault:
        found = vault.service.get_identity(vault.caller, name, resource_group=resource_group)
    if as_json:
        answer_json(_document(found))
    else:
        shown = {**_document(found), "tags": tag_words(found.tags.items())}
        answer(facts((name.replace("_", " "), value) for name, value in shown.items()))
    return 0


@command.command("list", help="List the managed identities.")
@click.option("--resource-group", metavar="GROUP", type=text, help="Only those of a resource group.")
@as_json
@pass_context
def list_(context: Context, resource_group: str | None, as_json: bool) -> int:
    """List the managed identities."""
    with opened(context) as vault:
        found = vault.service.list_identities(vault.caller, resource_group=resource_group)
    if as_json:
        answer_json({"identities": [*map(_document, found)]})
    else:
        rows = [(one.name, one.resource_group, one.location, one.principal_id) for one in found]
        answer(table(("NAME", "RESOURCE GROUP", "LOCATION", "PRINCIPAL ID"), rows, empty="No managed identities."))
    return 0


@command.command(help="Delete a managed identity for good, with every role it was given; asks first.")
@_name
@_group
@answer_yes
@as_json
@pass_context
def delete(context: Context, name: str, resource_group: str | None, yes: bool, as_json: bool) -> int:
    """Delete a managed identity."""
    if wrong := identity_name_problem(name):
        raise KvstackError(wrong)
    confirm(f"Delete the managed identity {name} for good, with every role it was given?", yes=yes)
    with opened(context) as vault:
        deleted = vault.service.delete_identity(vault.caller, name, resource_group=resource_group)
    return _tell(deleted, "deleted", as_json=as_json)


def _tell(identity: "ManagedIdentity", did: str, *, as_json: bool) -> int:
    if as_json:
        answer_json(_document(identity))
        return 0
    from kvstack.render.escape import plain

    answer(f"{did} managed identity {plain(identity.name)} ({identity.principal_id})")
    return 0


def _document(identity: "ManagedIdentity") -> dict[str, Any]:
    return {
        "name": identity.name,
        "resource_group": identity.resource_group,
        "location": identity.location,
        "principal_id": identity.principal_id,
        "client_id": identity.client_id,
        "tags": dict(identity.tags),
        "created": identity.created,
        "updated": identity.updated,
    }
