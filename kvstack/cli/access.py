"""`kvstack access`: role assignments, seen and changed one at a time; a stack declares them as a whole."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import click

from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.table import table
from kvstack.cli.words import moment, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.principal import PRINCIPAL_TYPES, PrincipalType, is_guid
from kvstack.terms.scope import written_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kvstack.terms.principal import Principal
    from kvstack.vault.assignment import RoleAssignment

_SCOPES = "`subscription`, `resource_group/NAME`, `vault/NAME` or `vault/NAME/secrets/NAME`, as in a stack."
_principal = click.option(
    "--principal", metavar="PRINCIPAL", type=text, required=True, help="A name the vault knows, or an object id."
)
_role = click.option("--role", metavar="ROLE", type=text, required=True, help="A built-in role, by name or id.")
_scope = click.option("--scope", metavar="SCOPE", type=text, required=True, help=_SCOPES)


@verbs("Role assignments.")
def command() -> None:
    """Hold the verbs."""


@command.command("list")
@click.option("--scope", metavar="SCOPE", type=text, help=f"Only what holds there or below: {_SCOPES}")
@as_json
@pass_context
def list_(context: Context, scope: str | None, as_json: bool) -> int:
    """List role assignments: all, or those that hold at a scope, at the scopes above and below it."""
    with opened(context) as vault:
        where = scope_of(vault, scope) if scope is not None else None
        found = vault.service.list_role_assignments(vault.caller, where)
        known = _directory(vault)
        now = vault.unlocked.clock.now()
    found = tuple(sorted(found, key=lambda one: (one.scope.folded, _role_name(one), one.principal_id)))
    if as_json:
        answer_json({"role_assignments": [_document(one, known, now) for one in found]})
    else:
        rows = [
            (
                _name(one.principal_id, known),
                one.principal_type,
                _role_name(one),
                written_scope(one.scope),
                _when(one, now),
            )
            for one in found
        ]
        answer(table(("PRINCIPAL", "TYPE", "ROLE", "SCOPE", "HOLDS"), rows, empty="No role assignments."))
    return 0


@command.command()
@_principal
@_role
@_scope
@click.option(
    "--type", "principal_type", type=click.Choice(PRINCIPAL_TYPES), help="What an object id is that is not known."
)
@click.option("--from", "starts", metavar="TIME", type=moment, help="It holds from then on.")
@click.option("--until", metavar="TIME", type=moment, help="It ends then.")
@click.option("--description", metavar="TEXT", type=text, default="", help="Why it is there.")
@as_json
@pass_context
def assign(
    context: Context,
    principal: str,
    role: str,
    scope: str,
    principal_type: str | None,
    starts: datetime | None,
    until: datetime | None,
    description: str,
    as_json: bool,
) -> int:
    """Give a principal a role at a scope."""
    with opened(context) as vault:
        known = _directory(vault)
        who, what = _meant(principal, cast("PrincipalType | None", principal_type), known)
        made = vault.service.create_role_assignment(
            vault.caller,
            scope_of(vault, scope),
            role=role,
            principal_id=who,
            principal_type=what,
            starts=starts,
            expires=until,
            description=description,
        )
        now = vault.unlocked.clock.now()
    return _tell(made, known, now, "gave", as_json=as_json)


@command.command()
@click.argument("assignment", metavar="[ID]", type=text, required=False)
@click.option("--principal", metavar="PRINCIPAL", type=text, help="With --role and --scope, in place of the ID.")
@click.option("--role", metavar="ROLE", type=text, help="The role that was given.")
@click.option("--scope", metavar="SCOPE", type=text, help=f"Where it was given: {_SCOPES}")
@as_json
@pass_context
def revoke(
    context: Context, assignment: str | None, principal: str | None, role: str | None, scope: str | None, as_json: bool
) -> int:
    """Take a role away: by the assignment's ID, or by --principal, --role and --scope."""
    with opened(context) as vault:
        known = _directory(vault)
        match assignment, principal, role, scope:
            case str(), None, None, None:
                identifier = assignment
            case None, str(), str(), str():
                identifier = _assigned(vault, principal, role, scope, known)
            case _:
                raise KvstackError("name the assignment by its ID, or by `--principal`, `--role` and `--scope`")
        ended = vault.service.delete_role_assignment(vault.caller, identifier)
        now = vault.unlocked.clock.now()
    return _tell(ended, known, now, "took", as_json=as_json)


def _directory(vault: OpenVault) -> "Mapping[str, Principal]":
    """Return the principals the vault knows, by id; none where the caller may not see them."""
    from kvstack.vault.errors import Forbidden

    try:
        return {principal.id: principal for principal in vault.service.list_principals(vault.caller)}
    except Forbidden:
        return {}


def _meant(
    principal: str, principal_type: PrincipalType | None, known: "Mapping[str, Principal]"
) -> tuple[str, PrincipalType]:
    """Return the id and the type of who is meant. Raises KvstackError."""
    identifier = principal.lower() if is_guid(principal) else _id_of(principal, known)
    found = known.get(identifier)
    match found, principal_type:
        case None, None:
            raise KvstackError(
                f"the vault does not know the principal {principal}",
                f"Say by `--type` what it is: {', '.join(PRINCIPAL_TYPES)}.",
            )
        case None, str():
            return identifier, principal_type
        case _, str() if found is not None and found.type != principal_type:
            raise KvstackError(f"`{principal}` is a {found.type}, not a {principal_type}")
        case _ if found is not None:
            return identifier, found.type
    raise AssertionError("every case is above")


def _id_of(name: str, known: "Mapping[str, Principal]") -> str:
    from kvstack.terms.near import meant

    named = {principal.name: principal.id for principal in known.values() if principal.name}
    if name not in named:
        raise KvstackError(
            f"the vault knows no principal `{name}`{meant(name, named)}",
            "Name one that a stack declares and that was applied, or give an object id.",
        )
    return named[name]


def _assigned(vault: OpenVault, principal: str, role: str, scope: str, known: "Mapping[str, Principal]") -> str:
    """Return the id of the assignment these three make. Raises KvstackError."""
    from kvstack.terms.role import role as role_named

    identifier = principal.lower() if is_guid(principal) else _id_of(principal, known)
    try:
        definition = role_named(role)
    except ValueError as error:
        raise KvstackError(str(error)) from None
    where = scope_of(vault, scope)
    for one in vault.service.list_role_assignments(vault.caller, where, above=False, below=False):
        if one.principal_id == identifier and one.role_id == definition.id:
            return one.id
    raise KvstackError(
        f"`{principal}` was not given the role `{definition.name}` at {scope}",
        "`kvstack access list` shows who was given what.",
    )


def _tell(
    assignment: "RoleAssignment", known: "Mapping[str, Principal]", now: datetime, did: str, *, as_json: bool
) -> int:
    if as_json:
        answer_json(_document(assignment, known, now))
        return 0
    from kvstack.render.escape import plain

    toward = "to" if did == "gave" else "from"
    who = plain(_name(assignment.principal_id, known))
    answer(
        f"{did} `{_role_name(assignment)}` at {plain(written_scope(assignment.scope))} {toward} {who} ({assignment.id})"
    )
    return 0


def _document(assignment: "RoleAssignment", known: "Mapping[str, Principal]", now: datetime) -> dict[str, Any]:
    found = known.get(assignment.principal_id)
    return {
        "id": assignment.id,
        "scope": written_scope(assignment.scope),
        "scope_path": assignment.scope.path,
        "role": _role_name(assignment),
        "role_id": assignment.role_id,
        "principal": found.name if found is not None and found.name else None,
        "principal_id": assignment.principal_id,
        "principal_type": assignment.principal_type,
        "from": assignment.starts,
        "until": assignment.expires,
        "holds": assignment.holds(now),
        "description": assignment.description,
        "created": assignment.created,
        "created_by": assignment.created_by,
    }


def _role_name(assignment: "RoleAssignment") -> str:
    from kvstack.terms.role import built_in_roles_by_id

    found = built_in_roles_by_id().get(assignment.role_id)
    return found.name if found is not None else assignment.role_id


def _name(principal_id: str, known: "Mapping[str, Principal]") -> str:
    found = known.get(principal_id)
    return found.name if found is not None and found.name else principal_id


def _when(assignment: "RoleAssignment", now: datetime) -> str:
    if assignment.starts is not None and now < assignment.starts:
        return f"from {assignment.starts:%Y-%m-%d %H:%M} UTC"
    if assignment.expires is None:
        return "always"
    word = "until" if assignment.holds(now) else "ended"
    return f"{word} {assignment.expires:%Y-%m-%d %H:%M} UTC"
