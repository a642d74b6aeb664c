"""Where approval is enforced: a deed that a vault's rule holds up is done under a live approval of the plan at hand, by
somebody else, or not at all."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from kvstack.terms.approval import Deed
from kvstack.terms.identity import identity_principal
from kvstack.terms.scope import Scope, written_scope
from kvstack.vault.approval_rows import APPROVALS, APPROVED_DEEDS, Approval, ApprovalRule, ApprovedDeed, deed_digest
from kvstack.vault.caller import Caller
from kvstack.vault.eligibility import ELIGIBLE
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import Forbidden
from kvstack.vault.records import Vault


def require_approved(attempt: Attempt, *deeds: Deed) -> None:
    """Let these deeds be done, and use up the approvals of each; an operation that fails uses up nothing. Raises
    Forbidden for what a rule holds up and nobody has approved."""
    for deed in deeds:
        # One approval may be enough for several vaults, and is used up for all of them at once.
        found = {}
        for vault, rule in holding(attempt, deed):
            approval, approved = _covering(attempt, vault, rule, deed)
            found[approval.id] = approved
        if found:
            attempt.details["approval"] = " ".join(found)
            if attempt.changing and (deed.rule or deed.group):
                _settle(attempt)
        for approved in found.values() if attempt.changing else ():
            APPROVED_DEEDS.put(attempt.tx, msgspec.structs.replace(approved, used=attempt.now))


def holding(attempt: Attempt, deed: Deed) -> Iterator[tuple[Vault, ApprovalRule]]:
    """Yield the vaults, alive or soft-deleted, whose rule holds a deed up."""
    for vault in _reached(attempt, deed):
        rule = vault.approval
        if rule is None:
            continue
        if deed.group:
            if _is_about(attempt, vault, rule, deed.group):
                yield vault, rule
        elif deed.rule or deed.operation in rule.operations:
            yield vault, rule


def acting(attempt: Attempt, principal: str) -> frozenset[str]:
    """Return every id a principal acts under as the store knows it: what a token says of groups makes no approver."""
    return frozenset(attempt.registry.principals_of(Caller(principal)))


def problem(approval: Approval, now: datetime) -> str:
    """Return why an approval counts for nothing, empty where it may count. now: the latest moment ever seen."""
    if approval.revoked is not None:
        return f"was revoked on {approval.revoked:%Y-%m-%d %H:%M} UTC"
    if approval.ended is not None:
        return "is used up: the plan was applied"
    if now >= approval.expires:
        return f"ended on {approval.expires:%Y-%m-%d %H:%M} UTC"
    return ""


def _covering(attempt: Attempt, vault: Vault, rule: ApprovalRule, deed: Deed) -> tuple[Approval, ApprovedDeed]:
    """Return an approval that allows a deed in this vault now."""
    why = ""
    plan = attempt.caller.plan
    for approval in APPROVALS.scan(attempt.tx, plan=plan) if plan else ():
        approved = APPROVED_DEEDS.get(attempt.tx, approval.id, deed_digest(deed))
        found = _refusal(attempt, rule, approval, approved)
        if approved is not None and not found:
            return approval, approved
        why = f"The approval {approval.id} {found}. "
    raise Forbidden(
        f"{deed.text} needs an approval, which {attempt.caller.words} does not bring",
        f"{why}The rule of vault `{vault.name}` wants it of {approvers(attempt, rule)}: declare the change, save the "
        "plan by `kvstack plan --out FILE`, have it approved by `kvstack approve FILE`, then `kvstack apply FILE`.",
        inner="ApprovalRequired",
    )


def _refusal(attempt: Attempt, rule: ApprovalRule, approval: Approval, approved: ApprovedDeed | None) -> str:
    if found := problem(approval, attempt.latest):
        return found
    if approved is None:
        return "is about something else"
    if approved.used is not None:
        return "was used for it already"
    if approval.begun is None:
        return "is of a plan that nobody has begun to apply"
    if approval.approver == attempt.caller.id:
        return "is the caller's own"
    if not approved.settled and not acting(attempt, approval.approver) & {*rule.by}:
        return "is of somebody who is no approver any more"
    return ""


def _settle(attempt: Attempt) -> None:
    """Take down who is an approver of what is left of this plan, before the plan itself changes that: what was approved
    under the rule at its beginning is done under it."""
    for approval in APPROVALS.scan(attempt.tx, plan=attempt.caller.plan):
        ids = acting(attempt, approval.approver)
        for row in APPROVED_DEEDS.scan(attempt.tx, approval=approval.id):
            rules = [rule for _, rule in holding(attempt, row.deed)]
            if row.used is None and rules and all(ids & {*rule.by} for rule in rules):
                APPROVED_DEEDS.put(attempt.tx, msgspec.structs.replace(row, settled=True))


def approvers(attempt: Attempt, rule: ApprovalRule) -> str:
    """Return the approvers as people read them."""
    known = attempt.registry.principals
    return " or ".join(sorted(known[one].name or one if one in known else one for one in rule.by))


def _reached(attempt: Attempt, deed: Deed) -> Iterator[Vault]:
    """Yield the vaults a deed reaches into: those it is in, and those below it."""
    vaults = attempt.registry.vaults
    match deed.where.split("/"):
        case ["vault", name, *_]:
            found = vaults.get(name)
            if found is not None:
                yield found
        case ["resource_group", group]:
            yield from (vault for vault in vaults.values() if vault.resource_group.lower() == group)
        case ["subscription"]:
            yield from vaults.values()
        case _:
            return


def _is_about(attempt: Attempt, vault: Vault, rule: ApprovalRule, group: str) -> bool:
    """Tell whether who is in a group makes an approver of this vault, or gives access to it."""
    ids = acting(attempt, group)
    if ids & {*rule.by}:
        return True
    return "access" in rule.operations and any(
        scope.contains(here) or here.contains(scope)
        for here in (attempt.scope_of(vault),)
        for scope in _scopes_of(attempt, ids)
    )


def _scopes_of(attempt: Attempt, ids: frozenset[str]) -> Iterator[Scope]:
    """Yield where these principals were given or denied something, or decide about it."""
    for assignment in attempt.registry.role_assignments.values():
        if assignment.principal_id in ids:
            yield assignment.scope
    for vault in attempt.registry.vaults.values():
        if attempt.registry.policies(vault).by_principal.keys() & ids:
            yield attempt.scope_of(vault)
    for denial in attempt.registry.denials.values():
        if (denial.principals | denial.excluded) & ids:
            yield denial.scope
    for eligible in ELIGIBLE.scan(attempt.tx):
        if eligible.principal_id in ids or eligible.approvers & ids:
            yield eligible.scope


def named(attempt: Attempt, principal: str) -> str:
    """Return a principal as a deed has it: its id, or the place of the managed identity it is."""
    known = attempt.registry.principals.get(principal)
    if known is None or known.type != "managed_identity":
        return principal
    from kvstack.vault.identities import IDENTITIES  # which gives and takes roles, and so needs this file

    found = IDENTITIES.scan(attempt.tx, principal_id=principal)
    return identity_principal(found[0].resource_group, found[0].name) if found else principal


def place(scope: Scope) -> str:
    """Return a scope as a deed has it."""
    return written_scope(scope).lower()
