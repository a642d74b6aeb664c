"""`kvstack approvals`: those that were given, seen and revoked; and the rules of vaults that want them."""

from typing import TYPE_CHECKING

import click

from kvstack.cli.approval_documents import approval_document, status
from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.documents import vault_document
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import Cell, facts, table
from kvstack.cli.thing import vault_name
from kvstack.cli.words import text
from kvstack.terms.approval import APPROVABLE
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.terms.approval import Approvable
    from kvstack.vault.approvals import PlanApproval
    from kvstack.vault.records import ApprovalRule

_id = click.argument("approval", metavar="ID", type=text)


@verbs("Approvals of plans, and which vaults want them.")
def command() -> None:
    """Hold the verbs."""


@command.command("list")
@as_json
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List approvals, the newest first: one's own, those of one's plans, and those of vaults one approves for."""
    with opened(context) as vault:
        found = vault.service.list_approvals(vault.caller)
        known = directory(vault)
    if as_json:
        answer_json({"approvals": [approval_document(one, known) for one in found]})
        return 0
    rows = [
        (
            one.approval.id,
            known.name(one.approval.approver),
            known.name(one.approval.made_by),
            one.approval.stack,
            len(one.deeds),
            status(one),
            one.approval.expires,
        )
        for one in found
    ]
    answer(table(("ID", "APPROVER", "MADE BY", "STACK", "STEPS", "STATUS", "UNTIL"), rows, empty="No approvals."))
    return 0


@command.command()
@_id
@as_json
@pass_context
def show(context: Context, approval: str, as_json: bool) -> int:
    """Show an approval: what it lets happen, exactly; its signature with --json."""
    with opened(context) as vault:
        found = vault.service.get_approval(vault.caller, approval)
        known = directory(vault)
    if as_json:
        answer_json(approval_document(found, known))
    else:
        answer(facts(_facts(found, known)))
    return 0


@command.command()
@_id
@click.option("--reason", metavar="TEXT", type=text, default="", help="Why, for the audit.")
@as_json
@pass_context
def revoke(context: Context, approval: str, reason: str, as_json: bool) -> int:
    """Take an approval back. What was done under it stays done."""
    with opened(context) as vault:
        revoked = vault.service.revoke_approval(vault.caller, approval, reason=reason)
        found = vault.service.get_approval(vault.caller, revoked.id)
        known = directory(vault)
    if as_json:
        answer_json(approval_document(found, known))
    else:
        answer(f"revoked the approval {revoked.id}")
    return 0


@command.command()
@click.argument("vault", metavar="VAULT", type=text)
@click.option("--by", metavar="PRINCIPAL", type=text, multiple=True, help="Who may approve; may stand several times.")
@click.option(
    "--for",
    "operations",
    type=click.Choice(APPROVABLE),
    multiple=True,
    help="What waits for it; may stand several times; all three by default.",
)
@click.option("--none", "none", is_flag=True, help="Take the rule away.")
@as_json
@pass_context
def rule(
    context: Context, vault: str, by: tuple[str, ...], operations: "tuple[Approvable, ...]", none: bool, as_json: bool
) -> int:
    """Show a vault's approval rule, or set one where there is none. A rule changes by an approved plan only."""
    from kvstack.vault.records import ApprovalRule

    if none and (by or operations):
        raise KvstackError("--none takes the rule away: it goes with nothing else")
    if operations and not by:
        raise KvstackError("`--for` needs `--by`: somebody has to approve")
    with opened(context) as there:
        known = directory(there)
        wanted: ApprovalRule | None = None
        if by:
            wanted = ApprovalRule(tuple(known.principal_id(one) for one in by), operations or APPROVABLE)
        if by or none:
            found = there.service.update_vault(there.caller, vault_name(vault), approval=wanted)
        else:
            found = there.service.get_vault(there.caller, vault_name(vault))
    if as_json:
        answer_json(vault_document(found))
    else:
        answer(_rule_words(found.name, found.approval, known))
    return 0


def _rule_words(vault: str, rule: "ApprovalRule | None", known: Directory) -> str:
    from kvstack.render.escape import plain

    if rule is None:
        return f"nothing in vault {vault} waits for an approval"
    who = plain(" or ".join(sorted(known.name(one) for one in rule.by)))
    return f"in vault {vault}, {', '.join(rule.operations)} wait for an approval by {who}"


def _facts(found: "PlanApproval", known: Directory) -> list[tuple[str, Cell]]:
    approval = found.approval
    return [
        ("id", approval.id),
        ("status", status(found)),
        ("plan", approval.plan),
        ("stack", approval.stack),
        ("approver", known.name(approval.approver)),
        ("made by", known.name(approval.made_by)),
        ("approved", approval.approved),
        ("until", approval.expires),
        ("begun", approval.begun),
        ("ended", approval.ended),
        ("revoked", approval.revoked),
        ("revoked by", known.name(approval.revoked_by) if approval.revoked_by else None),
        ("reason", approval.reason),
        ("signed with", approval.key or "the approver's own key"),
        *(("done" if row.used is not None else "allows", row.deed.text) for row in found.deeds),
    ]
