"""`kvstack access deny`: what nobody may do at a scope, whatever roles allow."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.action_patterns import action_patterns
from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.table import table
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.scope import written_scope

if TYPE_CHECKING:
    from kvstack.vault.denial import DenyAssignment


@verbs("Deny assignments: they go before every role.")
def deny() -> None:
    """Hold the verbs."""


def add_denials(group: Verbs) -> None:
    """Give `access` the verbs on denials."""
    group.add_command(deny)


@deny.command("list")
@as_json
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List deny assignments."""
    with opened(context) as vault:
        found = vault.service.list_deny_assignments(vault.caller)
        known = directory(vault)
    if as_json:
        answer_json({"deny_assignments": [_document(one, known) for one in found]})
        return 0
    rows = [
        (one.name, written_scope(one.scope), _names(one.principals, known), _names(one.excluded, known), _what(one))
        for one in found
    ]
    answer(table(("NAME", "SCOPE", "WHOM", "BUT NOT", "WHAT"), rows, empty="No deny assignments."))
    return 0


@deny.command()
@click.argument("name", metavar="NAME", type=text)
@click.option("--scope", metavar="SCOPE", type=text, required=True, help="Where, with all below it.")
@click.option("--principal", "principals", metavar="PRINCIPAL", type=text, multiple=True, help="Whom; all by default.")
@click.option("--except", "excluded", metavar="PRINCIPAL", type=text, multiple=True, help="Who may all the same.")
@action_patterns("denied")
@click.option("--only-there", is_flag=True, help="Not below the scope.")
@click.option("--description", metavar="TEXT", type=text, default="", help="Why it is there.")
@as_json
@pass_context
def add(
    context: Context,
    name: str,
    scope: str,
    principals: tuple[str, ...],
    excluded: tuple[str, ...],
    action: tuple[str, ...],
    not_action: tuple[str, ...],
    data_action: tuple[str, ...],
    not_data_action: tuple[str, ...],
    only_there: bool,
    description: str,
    as_json: bool,
) -> int:
    """Forbid something at a scope, whatever roles allow."""
    from kvstack.terms.principal import EVERYONE

    with opened(context) as vault:
        known = directory(vault)
        made = vault.service.create_deny_assignment(
            vault.caller,
            scope_of(vault, scope),
            name,
            principals=[known.principal_id(one) for one in principals] or [EVERYONE],
            excluded=[known.principal_id(one) for one in excluded],
            actions=action,
            not_actions=not_action,
            data_actions=data_action,
            not_data_actions=not_data_action,
            below=not only_there,
            description=description,
        )
    return _tell(made, known, "denies", as_json=as_json)


@deny.command()
@click.argument("name", metavar="NAME|ID", type=text)
@as_json
@pass_context
def remove(context: Context, name: str, as_json: bool) -> int:
    """Take a deny assignment away."""
    with opened(context) as vault:
        known = directory(vault)
        there = [one.id for one in vault.service.list_deny_assignments(vault.caller) if name in (one.id, one.name)]
        if len(there) > 1:
            raise KvstackError(f"{len(there)} deny assignments are called `{name}`", "Name one by its id.")
        ended = vault.service.delete_deny_assignment(vault.caller, there[0] if there else name)
    return _tell(ended, known, "no longer denies", as_json=as_json)


def _tell(denial: "DenyAssignment", known: Directory, did: str, *, as_json: bool) -> int:
    if as_json:
        answer_json(_document(denial, known))
        return 0
    from kvstack.render.escape import plain

    answer(plain(f"`{denial.name}` {did} {_what(denial)} at {written_scope(denial.scope)} ({denial.id})"))
    return 0


def _document(denial: "DenyAssignment", known: Directory) -> dict[str, Any]:
    return {
        "id": denial.id,
        "name": denial.name,
        "scope": written_scope(denial.scope),
        "below": denial.below,
        "principals": sorted(known.name(one) for one in denial.principals),
        "except": sorted(known.name(one) for one in denial.excluded),
        "actions": denial.actions,
        "not_actions": denial.not_actions,
        "data_actions": denial.data_actions,
        "not_data_actions": denial.not_data_actions,
        "description": denial.description,
        "created": denial.created,
        "created_by": denial.created_by,
    }


def _names(principals: frozenset[str], known: Directory) -> str:
    from kvstack.terms.principal import EVERYONE

    return "everybody" if EVERYONE in principals else ", ".join(sorted(known.name(one) for one in principals))


def _what(denial: "DenyAssignment") -> str:
    left_out = (*denial.not_actions, *denial.not_data_actions)
    return ", ".join((*denial.actions, *denial.data_actions)) + (f" but {', '.join(left_out)}" if left_out else "")
