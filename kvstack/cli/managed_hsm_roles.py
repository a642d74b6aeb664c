"""`kvstack managed-hsm role`: who may do what inside a Managed HSM."""

from typing import TYPE_CHECKING, Any, cast

import click

from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import table
from kvstack.cli.thing import recover_hint, vault_name
from kvstack.cli.words import text
from kvstack.terms.principal import PRINCIPAL_TYPES, PrincipalType

if TYPE_CHECKING:
    from kvstack.terms.role import RoleDefinition
    from kvstack.vault.local_access import LocalAssignment

_NOUN = "managed-hsm"
_hsm = click.argument("hsm", metavar="HSM", type=text)


@verbs("Roles inside a Managed HSM: only they give a right to its keys.")
def role() -> None:
    """Hold the verbs."""


@role.command()
@_hsm
@click.option(
    "--principal", metavar="PRINCIPAL", type=text, required=True, help="A name the vault knows, or an object id."
)
@click.option("--role", "role_name", metavar="ROLE", type=text, required=True, help="A local role, by name or id.")
@click.option("--scope", metavar="SCOPE", type=text, default="/", help="`/`, `/keys` or `/keys/NAME`; `/` by default.")
@click.option(
    "--type", "principal_type", type=click.Choice(PRINCIPAL_TYPES), help="What an object id is that is not known."
)
@as_json
@pass_context
def assign(
    context: Context, hsm: str, principal: str, role_name: str, scope: str, principal_type: str | None, as_json: bool
) -> int:
    """Give a principal a role inside a Managed HSM."""
    with opened(context) as there, recover_hint(_NOUN, hsm):
        known = directory(there)
        who, what = known.principal(principal, cast("PrincipalType | None", principal_type))
        made = there.service.assign_local_role(
            there.caller, vault_name(hsm), role=role_name, principal_id=who, principal_type=what, scope=scope
        )
        roles = _role_names(there, hsm)
    return _tell(made, known, roles, ("gave", "to"), as_json=as_json)


@role.command("list")
@_hsm
@as_json
@pass_context
def list_(context: Context, hsm: str, as_json: bool) -> int:
    """List who may do what inside a Managed HSM."""
    with opened(context) as there, recover_hint(_NOUN, hsm):
        found = there.service.list_local_assignments(there.caller, vault_name(hsm))
        known, roles = directory(there), _role_names(there, hsm)
    found = tuple(sorted(found, key=lambda one: (one.scope.lower(), roles.get(one.role_id, ""), one.principal_id)))
    if as_json:
        answer_json({"role_assignments": [_document(one, known, roles) for one in found]})
        return 0
    rows = [
        (known.name(one.principal_id), one.principal_type, roles.get(one.role_id, one.role_id), one.scope, one.id)
        for one in found
    ]
    answer(table(("PRINCIPAL", "TYPE", "ROLE", "SCOPE", "ID"), rows, empty="No role assignments."))
    return 0


@role.command()
@_hsm
@click.argument("assignment", metavar="ID", type=text)
@as_json
@pass_context
def remove(context: Context, hsm: str, assignment: str, as_json: bool) -> int:
    """Take a role inside a Managed HSM away."""
    with opened(context) as there, recover_hint(_NOUN, hsm):
        known, roles = directory(there), _role_names(there, hsm)
        ended = there.service.unassign_local_role(there.caller, vault_name(hsm), assignment)
    return _tell(ended, known, roles, ("took", "from"), as_json=as_json)


@role.command()
@_hsm
@click.argument("name", metavar="NAME", type=text)
@click.option(
    "--data-action",
    "data_actions",
    metavar="ACTION",
    type=text,
    multiple=True,
    help="What it allows, with `*` for anything: Microsoft.KeyVault/managedHsm/keys/sign/action. Several times.",
)
@click.option(
    "--not-data-action",
    "not_data_actions",
    metavar="ACTION",
    type=text,
    multiple=True,
    help="What is taken out of that. May stand several times.",
)
@click.option("--description", metavar="TEXT", type=text, default="", help="What it is for.")
@click.option("--id", "identifier", metavar="ID", type=text, help="Change the role of this id; else it is a new one.")
@as_json
@pass_context
def define(
    context: Context,
    hsm: str,
    name: str,
    data_actions: tuple[str, ...],
    not_data_actions: tuple[str, ...],
    description: str,
    identifier: str | None,
    as_json: bool,
) -> int:
    """Define a role of a Managed HSM's own, or change one."""
    with opened(context) as there, recover_hint(_NOUN, hsm):
        made = there.service.define_local_role(
            there.caller,
            vault_name(hsm),
            name=name,
            data_actions=data_actions,
            not_data_actions=not_data_actions,
            description=description,
            id=identifier,
        )
    if as_json:
        answer_json(_role_document(made.definition))
    else:
        answer(f"defined the role `{_plain(made.definition.name)}` in Managed HSM {hsm} ({made.id})")
    return 0


@role.command()
@_hsm
@click.argument("definition", metavar="ID", type=text)
@as_json
@pass_context
def undefine(context: Context, hsm: str, definition: str, as_json: bool) -> int:
    """Take a role of a Managed HSM's own away; nobody may have it any more."""
    with opened(context) as there, recover_hint(_NOUN, hsm):
        ended = there.service.remove_local_role(there.caller, vault_name(hsm), definition)
    if as_json:
        answer_json(_role_document(ended.definition))
    else:
        answer(f"took the role `{_plain(ended.definition.name)}` away from Managed HSM {hsm}")
    return 0


@role.command()
@_hsm
@as_json
@pass_context
def definitions(context: Context, hsm: str, as_json: bool) -> int:
    """List the roles there are inside a Managed HSM: Azure's, and its own."""
    from kvstack.terms.local_role import local_roles

    with opened(context) as there, recover_hint(_NOUN, hsm):
        found = there.service.list_local_roles(there.caller, vault_name(hsm))
    if as_json:
        answer_json({"role_definitions": [_role_document(one) for one in found]})
        return 0
    rows = [(one.name, "Azure" if one.id in local_roles() else "its own", one.id, one.description) for one in found]
    answer(table(("ROLE", "OF", "ID", "WHAT FOR"), rows, empty="No roles."))
    return 0


def _role_names(there: OpenVault, hsm: str) -> dict[str, str]:
    """Return the names of the roles whoever acts may see; else those everybody knows."""
    from kvstack.terms.local_role import local_roles
    from kvstack.vault.errors import Forbidden

    try:
        return {one.id: one.name for one in there.service.list_local_roles(there.caller, hsm)}
    except Forbidden:
        return {one.id: one.name for one in local_roles().values()}


def _tell(
    assignment: "LocalAssignment", known: Directory, roles: dict[str, str], did: tuple[str, str], *, as_json: bool
) -> int:
    if as_json:
        answer_json(_document(assignment, known, roles))
        return 0
    verb, toward = did
    name = _plain(roles.get(assignment.role_id, assignment.role_id))
    who = _plain(known.name(assignment.principal_id))
    answer(f"{verb} `{name}` at {assignment.scope} {toward} {who} ({assignment.id})")
    return 0


def _document(assignment: "LocalAssignment", known: Directory, roles: dict[str, str]) -> dict[str, Any]:
    found = known.principals.get(assignment.principal_id)
    return {
        "id": assignment.id,
        "scope": assignment.scope,
        "role": roles.get(assignment.role_id, assignment.role_id),
        "role_id": assignment.role_id,
        "principal": found.name if found is not None and found.name else None,
        "principal_id": assignment.principal_id,
        "principal_type": assignment.principal_type,
        "created": assignment.created,
        "created_by": assignment.created_by,
    }


def _role_document(role: "RoleDefinition") -> dict[str, Any]:
    from kvstack.terms.local_role import local_roles

    return {
        "id": role.id,
        "name": role.name,
        "built_in": role.id in local_roles(),
        "description": role.description,
        "data_actions": list(role.data_actions),
        "not_data_actions": list(role.not_data_actions),
    }


def _plain(words: str) -> str:
    from kvstack.render.escape import plain

    return plain(words)
