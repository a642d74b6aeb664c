"""`kvstack access role`: role definitions, Azure's and the vault's own."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.action_patterns import action_patterns
from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import directory
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.table import facts, table
from kvstack.cli.words import text
from kvstack.terms.scope import written_scope

if TYPE_CHECKING:
    from kvstack.terms.role import RoleDefinition
    from kvstack.vault.registry import CustomRole

_its_role = click.argument("role", metavar="ROLE", type=text)


@verbs("Role definitions: Azure's built-in ones, and the vault's own.")
def role() -> None:
    """Hold the verbs."""


def add_roles(group: Verbs) -> None:
    """Give `access` the verbs on roles."""
    group.add_command(role)


@role.command("list")
@as_json
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List every role there is, the vault's own first."""
    from kvstack.terms.role import built_in_roles_by_id

    with opened(context) as vault:
        own = vault.service.list_role_definitions(vault.caller)
    built_in = sorted(built_in_roles_by_id().values(), key=lambda one: one.name)
    if as_json:
        answer_json({"roles": [*map(_own, own), *map(_document, built_in)]})
        return 0
    rows = [(one.definition.name, "own", one.definition.description) for one in own]
    rows += [(one.name, "built in", one.description) for one in built_in]
    answer(table(("ROLE", "KIND", "WHAT IT ALLOWS"), rows, empty="No roles."))
    return 0


@role.command()
@_its_role
@as_json
@pass_context
def show(context: Context, role: str, as_json: bool) -> int:
    """Show what a role allows."""
    from kvstack.terms.role import built_in_roles_by_id

    with opened(context) as vault:
        identifier = directory(vault).role_id(role)
        own = {one.id: one for one in vault.service.list_role_definitions(vault.caller)}.get(identifier)
    document = _own(own) if own is not None else _document(built_in_roles_by_id()[identifier])
    if as_json:
        answer_json(document)
    else:
        answer(facts((name.replace("_", " "), _cell(value)) for name, value in document.items()))
    return 0


@role.command()
@click.argument("name", metavar="NAME", type=text)
@click.option(
    "--scope", "scopes", metavar="SCOPE", type=text, multiple=True, required=True, help="Where it may be given."
)
@action_patterns("allowed")
@click.option("--description", metavar="TEXT", type=text, default="", help="What it is for.")
@as_json
@pass_context
def define(
    context: Context,
    name: str,
    scopes: tuple[str, ...],
    action: tuple[str, ...],
    not_action: tuple[str, ...],
    data_action: tuple[str, ...],
    not_data_action: tuple[str, ...],
    description: str,
    as_json: bool,
) -> int:
    """Define a role, or define the one of this name anew."""
    from kvstack.terms.name import folded

    with opened(context) as vault:
        there = [
            one.id
            for one in vault.service.list_role_definitions(vault.caller)
            if folded(one.definition.name) == folded(name)
        ]
        made = vault.service.put_role_definition(
            vault.caller,
            name,
            assignable_scopes=[scope_of(vault, scope) for scope in scopes],
            description=description,
            actions=action,
            not_actions=not_action,
            data_actions=data_action,
            not_data_actions=not_data_action,
            id=there[0] if there else None,
        )
    return _tell(made, "changed" if there else "defined", as_json=as_json)


@role.command()
@_its_role
@as_json
@pass_context
def delete(context: Context, role: str, as_json: bool) -> int:
    """Take a role of the vault's own away; nobody may have it any more."""
    with opened(context) as vault:
        ended = vault.service.delete_role_definition(vault.caller, directory(vault).role_id(role))
    return _tell(ended, "deleted", as_json=as_json)


def _tell(role: "CustomRole", did: str, *, as_json: bool) -> int:
    if as_json:
        answer_json(_own(role))
        return 0
    from kvstack.render.escape import plain

    answer(f"{did} role `{plain(role.definition.name)}` ({role.id})")
    return 0


def _own(role: "CustomRole") -> dict[str, Any]:
    return {
        **_document(role.definition),
        "kind": "own",
        "assignable_scopes": [written_scope(scope) for scope in role.assignable_scopes],
        "created": role.created,
        "updated": role.updated,
    }


def _document(definition: "RoleDefinition") -> dict[str, Any]:
    return {
        "name": definition.name,
        "id": definition.id,
        "kind": "built in",
        "description": definition.description,
        "actions": definition.actions,
        "not_actions": definition.not_actions,
        "data_actions": definition.data_actions,
        "not_data_actions": definition.not_data_actions,
    }


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list | tuple) else value
