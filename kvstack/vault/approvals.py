"""Approvals of plans: given by an approver over exact deeds, seen, revoked, and used by the apply of that very plan."""

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from kvstack.terms.approval import LASTS, Deed, Given, Held, lasting_problems
from kvstack.vault.approval_guard import acting, approvers, holding, problem
from kvstack.vault.approval_rows import (
    APPROVALS,
    APPROVED_DEEDS,
    APPROVER_KEYS,
    Approval,
    ApprovedDeed,
    deed_digest,
    deeds_digest,
)
from kvstack.vault.approver_keys import ApproverKeyOperations, is_signed
from kvstack.vault.caller import Caller
from kvstack.vault.engine import READ_VAULT, Attempt
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.records import Vault

READ: Final = "Microsoft.Authorization/roleAssignments/read"
DELETE: Final = "Microsoft.Authorization/roleAssignments/delete"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST_REASON: Final = 1024


class PlanApproval(msgspec.Struct, frozen=True):
    """An approval with the deeds it covers. problem: why it counts for nothing, empty where it may count."""

    approval: Approval
    deeds: tuple[ApprovedDeed, ...]
    problem: str


class ApprovalOperations(ApproverKeyOperations):
    """What can be done with approvals."""

    def held_up(self, caller: Caller, deeds: Iterable[Deed]) -> tuple[Held, ...]:
        """Return which of these deeds the rules of vaults hold up, as far as the caller may see those vaults, or could
        do that without the rule."""
        with self._attempt(caller, "ApprovalRulesGet", self.top) as attempt, attempt.reading():
            return tuple(
                Held(deed, vault.name, rule.by)
                for deed in deeds
                for vault, rule in holding(attempt, deed)
                if attempt.may(READ_VAULT, attempt.scope_of(vault), data=False) or self._may_do(attempt, vault, deed)
            )

    def approve_plan(
        self,
        caller: Caller,
        plan: str,
        deeds: Sequence[Deed],
        *,
        made_by: str,
        stack: str = "",
        reason: str = "",
        lasts: timedelta = LASTS,
        key: tuple[str, str] | None = None,
    ) -> Approval:
        """Approve what a plan does, as far as the caller is an approver of it. plan: the file's SHA-256, in hex;
        made_by: the id of who made it; key: vault and name of a P-256 key to sign with, in place of the caller's own.
        Raises Forbidden for one's own plan, and for who is no approver of anything in it."""
        with self._attempt(caller, "PlanApprove", self.top) as attempt:
            attempt.details.update(plan=plan, stack=stack, reason=reason)
            with attempt.look():
                covered = self._approvable(attempt, plan, deeds, made_by, reason, lasts)
            name, public = self._approver_public(caller, key)
            unsigned = Approval(
                id=str(uuid.UUID(bytes=self._random(16), version=4)),
                plan=plan,
                approver=caller.id,
                made_by=made_by,
                stack=stack,
                deeds=deeds_digest(list(covered)),
                approved=attempt.now,
                expires=attempt.latest + lasts,
                reason=reason,
                key=name,
                public=public,
                signature=b"",
            )
            signed = msgspec.structs.replace(unsigned, signature=self._signed_approval(caller, unsigned))
            with attempt.transaction():
                if self._approvable(attempt, plan, deeds, made_by, reason, lasts).keys() != covered.keys():
                    raise Conflict("the rules of the plan's vaults changed meanwhile", "Look at the plan again.")
                APPROVALS.put(attempt.tx, signed)
                for digest, deed in covered.items():
                    APPROVED_DEEDS.put(attempt.tx, ApprovedDeed(approval=signed.id, digest=digest, deed=deed))
                attempt.details.update(approval=signed.id, deeds=str(len(covered)), until=signed.expires.isoformat())
            return signed

    def revoke_approval(self, caller: Caller, id: str, *, reason: str = "") -> Approval:  # noqa: A002
        """Take an approval back: one's own, or anybody's for an approver of the same vaults and for who may take roles
        away everywhere. What was done under it stays done."""
        with self._attempt(caller, "PlanApprovalRevoke", self.top) as attempt, attempt.transaction():
            there = self._approval(attempt, id)
            attempt.details.update(approval=there.id, plan=there.plan, reason=reason)
            if caller.id != there.approver and not self._decides_too(attempt, there):
                attempt.require(DELETE, self.top, data=False)
            if there.revoked is not None:
                raise Conflict(f"the approval {there.id} was revoked already")
            revoked = msgspec.structs.replace(there, revoked=attempt.now, revoked_by=caller.id)
            APPROVALS.put(attempt.tx, revoked)
            return revoked

    def list_approvals(self, caller: Caller) -> tuple[PlanApproval, ...]:
        """Return the approvals the caller may see, the newest first: those he gave, those of his plans, those of vaults
        he approves for; all for who may see all access."""
        with self._attempt(caller, "PlanApprovalList", self.top) as attempt, attempt.reading():
            found = [one for one in APPROVALS.scan(attempt.tx) if self._sees(attempt, one)]
            ordered = sorted(found, key=lambda one: (one.approved, one.id), reverse=True)
            return tuple(self._with_deeds(attempt, one) for one in ordered)

    def get_approval(self, caller: Caller, id: str) -> PlanApproval:  # noqa: A002
        """Return one approval."""
        with self._attempt(caller, "PlanApprovalGet", self.top) as attempt, attempt.reading():
            return self._with_deeds(attempt, self._approval(attempt, id))

    def approvals_of(self, caller: Caller, plan: str) -> tuple[Given, ...]:
        """Return the approvals of a plan as they count now for the caller. Who knows its digest knows the plan."""
        with self._attempt(caller, "PlanApprovalList", self.top) as attempt, attempt.reading():
            attempt.details["plan"] = plan
            return tuple(self._given(attempt, one) for one in APPROVALS.scan(attempt.tx, plan=plan))

    def begin_plan(self, caller: Caller, plan: str) -> None:
        """Begin, or go on with, the apply of an approved plan: from here on a caller who bears it may do what was
        approved. Raises Forbidden where nobody else has approved it, or a signature does not hold."""
        with self._attempt(caller, "PlanBegin", self.top) as attempt, attempt.transaction():
            attempt.details["plan"] = plan
            live = [
                one
                for one in APPROVALS.scan(attempt.tx, plan=plan)
                if not problem(one, attempt.latest) and one.approver != caller.id
            ]
            if not live:
                raise Forbidden("nobody else has approved this plan", inner="ApprovalRequired")
            for approval in live:
                self._require_whole(attempt, approval)
                begun = approval.begun or attempt.now
                APPROVALS.put(attempt.tx, msgspec.structs.replace(approval, begun=begun, begun_by=caller.id))
            attempt.details["approvals"] = " ".join(sorted(one.id for one in live))

    def end_plan(self, caller: Caller, plan: str) -> None:
        """Take note that all of a plan is done: its approvals are used up."""
        with self._attempt(caller, "PlanEnd", self.top) as attempt, attempt.transaction():
            attempt.details["plan"] = plan
            for approval in APPROVALS.scan(attempt.tx, plan=plan):
                if approval.begun_by == caller.id and approval.ended is None:
                    APPROVALS.put(attempt.tx, msgspec.structs.replace(approval, ended=attempt.now))

    def _approvable(
        self, attempt: Attempt, plan: str, deeds: Sequence[Deed], made_by: str, reason: str, lasts: timedelta
    ) -> dict[str, Deed]:
        """Return the deeds the caller may approve, by their digests: of those that rules hold up the ones of his rules,
        and all that none holds up."""
        wrong = [("lasts", words) for words in lasting_problems(lasts)]
        if not _DIGEST.fullmatch(plan):
            wrong.append(("plan", "it is no SHA-256 in hex"))
        if not deeds:
            wrong.append(("deeds", "the plan does nothing that needs an approval"))
        if len(reason) > _LONGEST_REASON:
            wrong.append(("reason", f"it has at most {_LONGEST_REASON} characters"))
        if wrong:
            raise BadParameter.of(wrong)
        caller = attempt.caller
        if caller.id == made_by:
            raise Forbidden("nobody approves his own plan", "Another approver has to.")
        ids = acting(attempt, caller.id)
        found, wanted = {}, set()
        for deed in deeds:
            rules = [rule for _, rule in holding(attempt, deed)]
            if not rules or any(ids & {*rule.by} for rule in rules):
                found[deed_digest(deed)] = deed
            else:
                wanted |= {approvers(attempt, rule) for rule in rules}
        if not found:
            raise Forbidden(
                f"{caller.words} is no approver of anything in this plan",
                f"{' and '.join(sorted(wanted))} may approve it.",
                inner="ForbiddenByRbac",
            )
        for other in APPROVALS.scan(attempt.tx, plan=plan):
            if other.approver == caller.id and not problem(other, attempt.latest):
                raise Conflict(f"{caller.words} has approved this plan already: {other.id}")
        return found

    def _may_do(self, attempt: Attempt, vault: Vault, deed: Deed) -> bool:
        match deed.operation, deed.where.split("/"):
            case "delete" | "purge" as operation, [_, _, collection, name]:
                action = "delete" if operation == "delete" else "purge/action"
                scope = self._scope(vault, f"{collection}/{name}")
                return attempt.may(f"Microsoft.KeyVault/vaults/{collection}/{action}", scope, data=True)
            case _:
                return False

    def _require_whole(self, attempt: Attempt, approval: Approval) -> None:
        own = APPROVER_KEYS.get(attempt.tx, approval.approver) if not approval.key else None
        deeds = [row.digest for row in APPROVED_DEEDS.scan(attempt.tx, approval=approval.id)]
        by_its_key = approval.key or (own is not None and own.public == approval.public)
        if not by_its_key or deeds_digest(deeds) != approval.deeds or not is_signed(approval):
            raise Forbidden(
                f"the signature of the approval {approval.id} does not hold", "Have the plan approved anew."
            )

    def _given(self, attempt: Attempt, approval: Approval) -> Given:
        found = problem(approval, attempt.latest)
        if not found and approval.approver == attempt.caller.id:
            found = "is of whoever applies the plan"
        known = attempt.registry.principals.get(approval.approver)
        unused = [row for row in APPROVED_DEEDS.scan(attempt.tx, approval=approval.id) if row.used is None]
        return Given(
            id=approval.id,
            approver=known.name if known is not None and known.name else approval.approver,
            acting=acting(attempt, approval.approver),
            until=approval.expires,
            problem=found,
            covers=frozenset(row.deed.text for row in unused),
            settled=frozenset(row.deed.text for row in unused if row.settled),
            begun=approval.begun is not None and approval.ended is None,
        )

    def _with_deeds(self, attempt: Attempt, approval: Approval) -> PlanApproval:
        deeds = sorted(APPROVED_DEEDS.scan(attempt.tx, approval=approval.id), key=lambda row: row.deed)
        return PlanApproval(approval, tuple(deeds), problem(approval, attempt.latest))

    def _approval(self, attempt: Attempt, id: str) -> Approval:  # noqa: A002
        found = APPROVALS.get(attempt.tx, id.lower())
        if found is None or not self._sees(attempt, found):
            raise NotFound(f"there is no approval {id}", code="ApprovalNotFound")
        return found

    def _sees(self, attempt: Attempt, approval: Approval) -> bool:
        if attempt.caller.id in (approval.approver, approval.made_by):
            return True
        return attempt.may(READ, self.top, data=False) or self._decides_too(attempt, approval)

    def _decides_too(self, attempt: Attempt, approval: Approval) -> bool:
        """Tell whether the caller, too, approves for a vault this approval is about."""
        ids = acting(attempt, attempt.caller.id)
        return any(ids & {*by} for by in self._approvers_of(attempt, approval))

    @staticmethod
    def _approvers_of(attempt: Attempt, approval: Approval) -> Iterator[tuple[str, ...]]:
        for row in APPROVED_DEEDS.scan(attempt.tx, approval=approval.id):
            for _, rule in holding(attempt, row.deed):
                yield rule.by
