"""`kvstack access activate` and its like: a role taken up for a while, approved, given back."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.table import table
from kvstack.cli.words import lasting, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.scope import written_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kvstack.vault.eligibility import ActivationRequest, EligibleAssignment

_its_request = click.argument("request", metavar="REQUEST", type=text)
_reason = click.option("--reason", metavar="TEXT", type=text, default="", help="Why.")


def add_activation(group: Verbs) -> None:
    """Give `access` the verbs on activations."""
    for verb in (activate, requests, approve, deny_request, deactivate):
        group.add_command(verb)


@click.command()
@click.argument("role", metavar="ROLE|ID", type=text)
@click.option("--scope", metavar="SCOPE", type=text, help="Where, where the role alone does not tell.")
@click.option(
    "--for", "duration", metavar="DURATION", type=lasting, help="For how long; as long as it may be by default."
)
@click.option("--justification", metavar="TEXT", type=text, default="", help="What it is needed for.")
@as_json
@pass_context
def activate(
    context: Context, role: str, scope: str | None, duration: timedelta | None, justification: str, as_json: bool
) -> int:
    """Take up a role one is eligible for."""
    with opened(context) as vault:
        known = directory(vault)
        eligible = _meant(vault, role, scope, known)
        made = vault.service.activate_role(vault.caller, eligible.id, justification=justification, duration=duration)
    return _tell(made, eligible, known, as_json=as_json)


@click.command()
@click.option("--pending", is_flag=True, help="Only those that wait for an approver.")
@as_json
@pass_context
def requests(context: Context, pending: bool, as_json: bool) -> int:
    """List activations and requests for them, the newest first."""
    with opened(context) as vault:
        found = vault.service.list_activations(vault.caller)
        eligible = _eligible(vault)
        known = directory(vault)
        now = vault.unlocked.clock.now()
    found = tuple(one for one in found if not pending or one.status == "pending")
    if as_json:
        answer_json({"requests": [_document(one, eligible[one.eligible_id], known) for one in found]})
        return 0
    rows = [
        (
            one.id,
            known.name(one.principal_id),
            known.role_name(eligible[one.eligible_id].role_id),
            written_scope(eligible[one.eligible_id].scope),
            "over" if one.status == "active" and one.expires is not None and one.expires <= now else one.status,
            one.expires,
            one.justification,
        )
        for one in found
    ]
    answer(table(("REQUEST", "WHO", "ROLE", "SCOPE", "STATUS", "UNTIL", "WHY"), rows, empty="No requests."))
    return 0


@click.command()
@_its_request
@_reason
@as_json
@pass_context
def approve(context: Context, request: str, reason: str, as_json: bool) -> int:
    """Approve somebody's request: the role is in force from now on, for as long as was asked for."""
    return _decide(context, request, reason, approved=True, as_json=as_json)


@click.command("deny-request")
@_its_request
@_reason
@as_json
@pass_context
def deny_request(context: Context, request: str, reason: str, as_json: bool) -> int:
    """Deny somebody's request."""
    return _decide(context, request, reason, approved=False, as_json=as_json)


@click.command()
@_its_request
@as_json
@pass_context
def deactivate(context: Context, request: str, as_json: bool) -> int:
    """Give a role back before its time, or withdraw the request."""
    with opened(context) as vault:
        ended = vault.service.deactivate_role(vault.caller, request)
        eligible, known = _eligible(vault)[ended.eligible_id], directory(vault)
    return _tell(ended, eligible, known, as_json=as_json)


def _decide(context: Context, request: str, reason: str, *, approved: bool, as_json: bool) -> int:
    with opened(context) as vault:
        decided = vault.service.decide_activation(vault.caller, request, approve=approved, reason=reason)
        eligible, known = _eligible(vault)[decided.eligible_id], directory(vault)
    return _tell(decided, eligible, known, as_json=as_json)


def _eligible(vault: OpenVault) -> "Mapping[str, EligibleAssignment]":
    return {one.id: one for one in vault.service.list_eligible_assignments(vault.caller)}


def _meant(vault: OpenVault, role: str, scope: str | None, known: Directory) -> "EligibleAssignment":
    """Return the eligible assignment that is meant: by its id, or by role and scope, of those that are the caller's."""
    there = _eligible(vault)
    if role in there:
        return there[role]
    from kvstack.terms.name import folded

    where = scope_of(vault, scope) if scope is not None else None
    acting = vault.service.acting_as(vault.caller)
    found = [
        one
        for one in there.values()
        if folded(role) in (one.role_id, folded(known.role_name(one.role_id)))
        and one.principal_id in acting
        and (where is None or where.folded == one.scope.folded)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(written_scope(one.scope) for one in found)
        raise KvstackError(f"`{role}` can be taken up at several places: {places}", "Name one by `--scope`.")
    raise KvstackError(
        f"{vault.caller.words} is not eligible for `{role}`", "`kvstack access eligible list` shows what there is."
    )


def _tell(request: "ActivationRequest", eligible: "EligibleAssignment", known: Directory, *, as_json: bool) -> int:
    if as_json:
        answer_json(_document(request, eligible, known))
        return 0
    from kvstack.render.escape import plain

    answer(plain(_words(request, eligible, known)))
    return 0


def _words(request: "ActivationRequest", eligible: "EligibleAssignment", known: Directory) -> str:
    role = f"`{known.role_name(eligible.role_id)}` at {written_scope(eligible.scope)}"
    who = known.name(request.principal_id)
    match request.status:
        case "active":
            return f"{who} has {role} until {request.expires:%Y-%m-%d %H:%M} UTC ({request.id})"
        case "pending":
            approvers = " or ".join(sorted(known.name(one) for one in eligible.approvers))
            return f"{who} has asked for {role}; {approvers} may approve: kvstack access approve {request.id}"
        case "denied":
            return f"{role} was denied to {who} ({request.id})"
        case "withdrawn":
            return f"{who} no longer has, or asks for, {role} ({request.id})"


def _document(request: "ActivationRequest", eligible: "EligibleAssignment", known: Directory) -> dict[str, Any]:
    return {
        "id": request.id,
        "eligible": eligible.id,
        "role": known.role_name(eligible.role_id),
        "scope": written_scope(eligible.scope),
        "principal": known.name(request.principal_id),
        "principal_id": request.principal_id,
        "status": request.status,
        "justification": request.justification,
        "duration_seconds": int(request.duration.total_seconds()),
        "asked": request.asked,
        "until": request.expires,
        "decided": request.decided,
        "decided_by": known.name(request.decided_by) if request.decided_by else None,
        "reason": request.decision,
    }
