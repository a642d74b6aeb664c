"""Eligible assignments: who may take a role up, where, for how long, and who has to agree."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kvstack.terms.approval import Deed, access, eligibility_words
from kvstack.terms.limits import ACTIVATION
from kvstack.terms.principal import PrincipalType, is_guid
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.access import scope_key
from kvstack.vault.approval_guard import named, place, require_approved
from kvstack.vault.assignments import AssignmentOperations, assignment_id, checked_role, told_type
from kvstack.vault.caller import Caller
from kvstack.vault.eligibility import ELIGIBLE, REQUESTS, EligibleAssignment
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from kvstack.vault.events import emit_access
from kvstack.vault.items import moment
from kvstack.vault.role_definitions import require_assignable

READ: Final = "Microsoft.Authorization/roleEligibilitySchedules/read"
WRITE: Final = "Microsoft.Authorization/roleAssignments/write"
DELETE: Final = "Microsoft.Authorization/roleAssignments/delete"

SHORTEST, LONGEST = ACTIVATION


class EligibleOperations(AssignmentOperations):
    """What can be done with eligible assignments. Making one takes the right to give the role itself."""

    def put_eligible_assignment(
        self,
        caller: Caller,
        scope: Scope,
        *,
        role: str,
        principal_id: str,
        principal_type: PrincipalType | None,
        starts: datetime | None = None,
        expires: datetime | None = None,
        max_duration: timedelta = timedelta(hours=8),
        justification: bool = True,
        mfa: bool = False,
        approvers: Sequence[str] = (),
        condition: str = "",
        description: str = "",
        id: str | None = None,  # noqa: A002  # the record's own word
        new: bool = False,
    ) -> EligibleAssignment:
        """Let a principal take a role up for a while, or change the terms of the one of this id. role: a name or an id;
        principal_type: what the directory knows it as where None; id: made from scope, role and principal where None;
        new: refuse to change one that is there. Raises Conflict where there is one and it is new or no id was given."""
        with self._attempt(caller, "RoleEligibilityPut", scope) as attempt, attempt.transaction():
            here = self._placed(attempt, scope)
            attempt.subject = here
            # Before anything is told about roles and where they may be given.
            attempt.require(WRITE, here, data=False)
            principal_type = told_type(attempt.registry, principal_id, principal_type)
            found = checked_role(attempt.registry, role, principal_id, principal_type, id)
            require_assignable(attempt.registry.custom_roles.get(found.id), here)
            self._require_may_hand_out(attempt, WRITE, here, found)
            self._require_home(attempt, here)
            wanted = EligibleAssignment(
                id=(id or eligible_id(here, found.id, principal_id)).lower(),
                scope=here,
                role_id=found.id,
                principal_id=principal_id.lower(),
                principal_type=principal_type,
                starts=moment("starts", starts),
                expires=moment("expires", expires),
                max_duration=max_duration,
                justification=justification,
                mfa=mfa,
                approvers=frozenset(one.lower() for one in approvers),
                condition=condition,
                description=description,
                created=attempt.now,
                created_by=caller.id,
            )
            problems = list(_problems(wanted))
            if problems:
                raise BadParameter.of(problems)
            if condition:
                from kvstack.vault.conditions import require_readable  # most have none

                require_readable(condition)
            there = ELIGIBLE.get(attempt.tx, wanted.id) or self._same(attempt, wanted)
            if there is not None:
                if id is None or new or there.id != wanted.id:
                    raise Conflict(
                        f"the principal {principal_id} is eligible for the role `{found.name}` at {here.path} already",
                        f"Its eligible assignment is {there.id}.",
                        code="RoleAssignmentExists",
                    )
                if _what(there) != _what(wanted):
                    raise Conflict(f"the eligible assignment {id} is of another scope, role or principal")
                wanted = msgspec.structs.replace(wanted, created=there.created, created_by=there.created_by)
            attempt.details.update(role=found.name, principal=wanted.principal_id, eligible=wanted.id)
            require_approved(attempt, _deed(attempt, "give", wanted, found))
            ELIGIBLE.put(attempt.tx, wanted)
            emit_access(attempt, wanted.scope, "EligibleAssignment", wanted.id)
            return wanted

    def delete_eligible_assignment(self, caller: Caller, id: str) -> EligibleAssignment:  # noqa: A002
        """Take an eligible assignment away, with the requests that wait and the activations that last."""
        with self._attempt(caller, "RoleEligibilityDelete", self.top) as attempt, attempt.transaction():
            there = self._eligible(attempt, id)
            attempt.subject = there.scope
            attempt.require(DELETE, there.scope, data=False)
            role = attempt.registry.roles().get(there.role_id)
            if role is not None:
                self._require_may_hand_out(attempt, DELETE, there.scope, role)
            attempt.details.update(principal=there.principal_id, eligible=there.id)
            require_approved(attempt, _deed(attempt, "take", there, role))
            for request in REQUESTS.scan(attempt.tx, eligible_id=there.id):
                active = attempt.registry.role_assignments.get(request.assignment_id)
                if active is not None:
                    attempt.changes_registry().remove_assignment(attempt.tx, active)
                REQUESTS.delete(attempt.tx, request.id)
            ELIGIBLE.delete(attempt.tx, there.id)
            emit_access(attempt, there.scope, "EligibleAssignment", there.id)
            return there

    def list_eligible_assignments(self, caller: Caller) -> tuple[EligibleAssignment, ...]:
        """Return the eligible assignments the caller may see: those of its own, those it approves, and those at scopes
        whose access it may see."""
        with self._attempt(caller, "RoleEligibilityList", self.top) as attempt, attempt.reading():
            acting = frozenset(attempt.registry.principals_of(caller))
            seen = [one for one in ELIGIBLE.scan(attempt.tx) if may_see(attempt, one, acting)]
            return tuple(sorted(seen, key=lambda one: (one.scope.folded, one.role_id, one.principal_id)))

    @staticmethod
    def _same(attempt: Attempt, wanted: EligibleAssignment) -> EligibleAssignment | None:
        """Return the one of the same scope, role and principal under another id."""
        return next((one for one in ELIGIBLE.scan(attempt.tx) if _what(one) == _what(wanted)), None)

    def _eligible(self, attempt: Attempt, id: str) -> EligibleAssignment:  # noqa: A002
        found = ELIGIBLE.get(attempt.tx, id.lower()) if is_guid(id) else None
        if found is None:
            raise NotFound(f"there is no eligible assignment {id}", code="RoleEligibilityScheduleNotFound")
        return found


def may_see(attempt: Attempt, eligible: EligibleAssignment, acting: frozenset[str]) -> bool:
    """Tell whether somebody who acts under these ids may know of an eligible assignment."""
    if eligible.principal_id in acting or eligible.approvers & acting:
        return True
    return attempt.may(READ, eligible.scope, data=False)


def eligible_id(scope: Scope, role_id: str, principal_id: str) -> str:
    """Return the id of an eligible assignment that was given none."""
    return assignment_id(scope, role_id, f"{principal_id}|eligible")


def _deed(attempt: Attempt, verb: str, eligible: EligibleAssignment, role: RoleDefinition | None) -> Deed:
    """Return the giving or taking of the right to take a role up, as an approval is about it."""
    what = eligibility_words(
        role.name if role is not None else eligible.role_id,
        named(attempt, eligible.principal_id),
        starts=eligible.starts,
        until=eligible.expires,
        max_duration=eligible.max_duration,
        justification=eligible.justification,
        mfa=eligible.mfa,
        approvers=eligible.approvers,
        condition=eligible.condition,
    )
    return access(place(eligible.scope), verb, what)


def _what(eligible: EligibleAssignment) -> tuple[object, ...]:
    return scope_key(eligible.scope), eligible.role_id, eligible.principal_id


def _problems(eligible: EligibleAssignment) -> Iterator[tuple[str, str]]:
    if eligible.starts and eligible.expires and eligible.expires <= eligible.starts:
        yield "expires", "it ends before it starts"
    if not SHORTEST <= eligible.max_duration <= LONGEST:
        yield "max_duration", f"an activation lasts 5 minutes to 24 hours, not {eligible.max_duration}"
    for one in sorted(eligible.approvers):
        if not is_guid(one):
            yield "approvers", f"`{one}` is no principal's id: a GUID is"
    if eligible.approvers == {eligible.principal_id}:
        yield "approvers", "nobody approves his own request: name somebody else, or a group"
