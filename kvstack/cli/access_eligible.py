"""`kvstack access eligible`: who may take a role up for a while, and on which terms."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.table import table
from kvstack.cli.words import lasting, moment, span_words, text
from kvstack.terms.principal import PRINCIPAL_TYPES, PrincipalType
from kvstack.terms.scope import written_scope

if TYPE_CHECKING:
    from kvstack.vault.eligibility import EligibleAssignment


@verbs("Roles that somebody may take up for a while.")
def eligible() -> None:
    """Hold the verbs."""


def add_eligible(group: Verbs) -> None:
    """Give `access` the verbs on eligible assignments."""
    group.add_command(eligible)


@eligible.command("list")
@as_json
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List what may be activated: by whom, where, for how long, and who has to agree."""
    with opened(context) as vault:
        found = vault.service.list_eligible_assignments(vault.caller)
        known = directory(vault)
    if as_json:
        answer_json({"eligible": [_document(one, known) for one in found]})
        return 0
    rows = [
        (
            one.id,
            known.name(one.principal_id),
            known.role_name(one.role_id),
            written_scope(one.scope),
            span_words(one.max_duration),
            _needs(one, known),
            one.expires,
        )
        for one in found
    ]
    headings = ("ID", "PRINCIPAL", "ROLE", "SCOPE", "AT MOST", "NEEDS", "UNTIL")
    answer(table(headings, rows, empty="Nobody is eligible for anything."))
    return 0


@eligible.command()
@click.option("--principal", metavar="PRINCIPAL", type=text, required=True, help="A name the vault knows, or an id.")
@click.option("--role", metavar="ROLE", type=text, required=True, help="A role, by name or id.")
@click.option("--scope", metavar="SCOPE", type=text, required=True, help="Where, as `access list` shows it.")
@click.option("--type", "principal_type", type=click.Choice(PRINCIPAL_TYPES), help="What an id is that is not known.")
@click.option("--from", "starts", metavar="TIME", type=moment, help="It can be activated from then on.")
@click.option("--until", metavar="TIME", type=moment, help="It can be activated until then, and lasts no longer.")
@click.option(
    "--at-most", metavar="DURATION", type=lasting, default="PT8H", show_default=True, help="Of one activation."
)
@click.option(
    "--approver", "approvers", metavar="PRINCIPAL", type=text, multiple=True, help="Who may approve; any one."
)
@click.option("--no-justification", is_flag=True, help="No words are needed.")
@click.option("--mfa", is_flag=True, help="A sign-in with more than one factor is needed.")
@click.option("--condition", metavar="TEXT", type=text, default="", help="What else has to hold while it is active.")
@click.option("--description", metavar="TEXT", type=text, default="", help="Why it is there.")
@as_json
@pass_context
def add(
    context: Context,
    principal: str,
    role: str,
    scope: str,
    principal_type: str | None,
    starts: datetime | None,
    until: datetime | None,
    at_most: timedelta,
    approvers: tuple[str, ...],
    no_justification: bool,
    mfa: bool,
    condition: str,
    description: str,
    as_json: bool,
) -> int:
    """Let a principal take a role up for a while."""
    with opened(context) as vault:
        known = directory(vault)
        who, what = known.principal(principal, cast("PrincipalType | None", principal_type))
        made = vault.service.put_eligible_assignment(
            vault.caller,
            scope_of(vault, scope),
            role=role,
            principal_id=who,
            principal_type=what,
            starts=starts,
            expires=until,
            max_duration=at_most,
            justification=not no_justification,
            mfa=mfa,
            approvers=[known.principal_id(one) for one in approvers],
            condition=condition,
            description=description,
        )
    return _tell(made, known, "is now eligible for", as_json=as_json)


@eligible.command()
@click.argument("eligible_id", metavar="ID", type=text)
@as_json
@pass_context
def remove(context: Context, eligible_id: str, as_json: bool) -> int:
    """Take it away again; activations of it end at once."""
    with opened(context) as vault:
        ended = vault.service.delete_eligible_assignment(vault.caller, eligible_id)
        known = directory(vault)
    return _tell(ended, known, "is no longer eligible for", as_json=as_json)


def _tell(one: "EligibleAssignment", known: Directory, did: str, *, as_json: bool) -> int:
    if as_json:
        answer_json(_document(one, known))
        return 0
    from kvstack.render.escape import plain

    who, role = known.name(one.principal_id), known.role_name(one.role_id)
    answer(plain(f"{who} {did} `{role}` at {written_scope(one.scope)} ({one.id})"))
    return 0


def _needs(one: "EligibleAssignment", known: Directory) -> str:
    """Return what an activation needs, in words."""
    needs = ["a justification"] if one.justification else []
    needs += ["several factors"] if one.mfa else []
    if one.approvers:
        needs.append("approval by " + " or ".join(sorted(known.name(approver) for approver in one.approvers)))
    return ", ".join(needs)


def _document(one: "EligibleAssignment", known: Directory) -> dict[str, Any]:
    return {
        "id": one.id,
        "scope": written_scope(one.scope),
        "scope_path": one.scope.path,
        "role": known.role_name(one.role_id),
        "role_id": one.role_id,
        "principal": known.name(one.principal_id),
        "principal_id": one.principal_id,
        "principal_type": one.principal_type,
        "from": one.starts,
        "until": one.expires,
        "max_duration_seconds": int(one.max_duration.total_seconds()),
        "justification": one.justification,
        "mfa": one.mfa,
        "approvers": sorted(known.name(approver) for approver in one.approvers),
        "condition": one.condition or None,
        "description": one.description,
        "created": one.created,
        "created_by": one.created_by,
    }
