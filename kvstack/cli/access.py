"""`kvstack access`: role assignments, seen and changed one at a time; a stack declares them as a whole."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import click

from kvstack.cli.access_activation import add_activation
from kvstack.cli.access_denials import add_denials
from kvstack.cli.access_eligible import add_eligible
from kvstack.cli.access_questions import add_questions
from kvstack.cli.access_review import add_review
from kvstack.cli.access_roles import add_roles
from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.grant_words import place_of, role_of
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.table import table
from kvstack.cli.words import moment, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.principal import PRINCIPAL_TYPES, PrincipalType
from kvstack.terms.scope import written_scope

if TYPE_CHECKING:
    from kvstack.terms.scope import Scope
    from kvstack.vault.assignment import RoleAssignment
    from kvstack.vault.explanation import Grant

_SCOPES = "`subscription`, `resource_group/NAME`, `vault/NAME` or `vault/NAME/secrets/NAME`, as in a stack."
_principal = click.option(
    "--principal", metavar="PRINCIPAL", type=text, required=True, help="A name the vault knows, or an object id."
)
_role = click.option(
    "--role", metavar="ROLE", type=text, required=True, help="A role, built in or the vault's own, by name or id."
)
_scope = click.option("--scope", metavar="SCOPE", type=text, required=True, help=_SCOPES)


@verbs("Role assignments.")
def command() -> None:
    """Hold the verbs."""


@command.command("list")
@click.argument("principal", metavar="[PRINCIPAL]", type=text, required=False)
@click.option("--scope", metavar="SCOPE", type=text, help=f"Only what holds there or below: {_SCOPES}")
@as_json
@pass_context
def list_(context: Context, principal: str | None, scope: str | None, as_json: bool) -> int:
    """List role assignments: all, or what reaches a principal, through groups and inside Managed HSMs too; at a scope,
    above and below it. What reaches a principal are access policies of vaults as well."""
    from kvstack.cli.grants_told import grant_document, policy_row
    from kvstack.vault.explanation import Grant, PolicyGrant

    with opened(context) as vault:
        where = scope_of(vault, scope, inside=principal is not None) if scope is not None else None
        known = directory(vault)
        now = vault.unlocked.clock.now()
        policies: tuple[PolicyGrant, ...] = ()
        if principal is None:
            there = vault.service.list_role_assignments(vault.caller, where)
            found = tuple(Grant(one, None) for one in there)
        else:
            reaching = vault.service.grants_of(vault.caller, known.principal_id(principal))
            found = tuple(one for one in reaching if where is None or _related(one.assignment.scope, where))
            policies = tuple(
                one
                for one in vault.service.policies_of(vault.caller, known.principal_id(principal))
                if where is None or _related(one.scope, where)
            )
    found = tuple(sorted(found, key=lambda one: _order(one, known)))
    if as_json:
        documents = [_grant(one, known, now) for one in found]
        held = {} if principal is None else {"access_policies": [grant_document(one, known) for one in policies]}
        answer_json({"role_assignments": documents, **held})
        return 0
    rows = [
        (
            known.name(one.assignment.principal_id),
            one.assignment.principal_type,
            role_of(one, known),
            place_of(one),
            _when(one.assignment, now) + (", under a condition" if one.assignment.condition else ""),
        )
        for one in found
    ]
    rows += [policy_row(one, known) for one in policies]
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
@click.option("--condition", metavar="TEXT", type=text, default="", help="What else has to hold, in Azure's language.")
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
    condition: str,
    description: str,
    as_json: bool,
) -> int:
    """Give a principal a role at a scope."""
    with opened(context) as vault:
        known = directory(vault)
        who, what = known.principal(principal, cast("PrincipalType | None", principal_type))
        made = vault.service.create_role_assignment(
            vault.caller,
            scope_of(vault, scope),
            role=role,
            principal_id=who,
            principal_type=what,
            starts=starts,
            expires=until,
            description=description,
            condition=condition,
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
        known = directory(vault)
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


def _assigned(vault: OpenVault, principal: str, role: str, scope: str, known: Directory) -> str:
    """Return the id of the assignment these three make. Raises KvstackError."""
    identifier, definition = known.principal_id(principal), known.role_id(role)
    where = scope_of(vault, scope)
    for one in vault.service.list_role_assignments(vault.caller, where, above=False, below=False):
        if one.principal_id == identifier and one.role_id == definition:
            return one.id
    raise KvstackError(
        f"`{principal}` was not given the role `{known.role_name(definition)}` at {scope}",
        "`kvstack access list` shows who was given what.",
    )


def _tell(assignment: "RoleAssignment", known: Directory, now: datetime, did: str, *, as_json: bool) -> int:
    if as_json:
        answer_json(_document(assignment, known, now))
        return 0
    from kvstack.render.escape import plain

    toward = "to" if did == "gave" else "from"
    who = plain(known.name(assignment.principal_id))
    role, where = plain(known.role_name(assignment.role_id)), plain(written_scope(assignment.scope))
    answer(f"{did} `{role}` at {where} {toward} {who} ({assignment.id})")
    return 0


def _order(grant: "Grant", known: Directory) -> tuple[Any, ...]:
    return grant.assignment.scope.folded, grant.inside, role_of(grant, known), grant.assignment.principal_id


def _related(scope: "Scope", where: "Scope") -> bool:
    return scope.contains(where) or where.contains(scope)


def _grant(grant: "Grant", known: Directory, now: datetime) -> dict[str, Any]:
    return {
        **_document(grant.assignment, known, now),
        "role": role_of(grant, known),
        "local_scope": grant.inside or None,
        "through": [known.name(group) for group in grant.through],
    }


def _document(assignment: "RoleAssignment", known: Directory, now: datetime) -> dict[str, Any]:
    found = known.principals.get(assignment.principal_id)
    return {
        "id": assignment.id,
        "scope": written_scope(assignment.scope),
        "scope_path": assignment.scope.path,
        "role": known.role_name(assignment.role_id),
        "role_id": assignment.role_id,
        "principal": found.name if found is not None and found.name else None,
        "principal_id": assignment.principal_id,
        "principal_type": assignment.principal_type,
        "through": [],
        "from": assignment.starts,
        "until": assignment.expires,
        "holds": assignment.holds(now),
        "condition": assignment.condition or None,
        "description": assignment.description,
        "created": assignment.created,
        "created_by": assignment.created_by,
    }


def _when(assignment: "RoleAssignment", now: datetime) -> str:
    if assignment.starts is not None and now < assignment.starts:
        return f"from {assignment.starts:%Y-%m-%d %H:%M} UTC"
    if assignment.expires is None:
        return "always"
    word = "until" if assignment.holds(now) else "ended"
    return f"{word} {assignment.expires:%Y-%m-%d %H:%M} UTC"


add_questions(command)
add_review(command)
add_roles(command)
add_denials(command)
add_eligible(command)
add_activation(command)
