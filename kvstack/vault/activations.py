"""Taking an eligible role up: asked for, approved where somebody has to, in force for a while, and over by itself."""

import uuid
from datetime import timedelta
from typing import Final

import msgspec

from kvstack.terms.principal import is_guid
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.caller import Caller
from kvstack.vault.eligibility import ELIGIBLE, REQUESTS, ActivationRequest, EligibleAssignment
from kvstack.vault.eligible_assignments import SHORTEST, EligibleOperations, may_see
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound

# How long a request waits for its approver.
PATIENCE: Final = timedelta(hours=24)


class ActivationOperations(EligibleOperations):
    """What can be done with activations."""

    def activate_role(
        self,
        caller: Caller,
        eligible_id: str,
        *,
        justification: str = "",
        duration: timedelta | None = None,
        id: str | None = None,  # noqa: A002  # the record's own word
    ) -> ActivationRequest:
        """Take an eligible role up, for at most as long as it may be (that long where None). id: of the request, drawn
        where None. Returns the request: in force, or waiting for an approver. Raises Forbidden where its terms are not
        met, Conflict where there is a request of this id."""
        with self._attempt(caller, "RoleActivate", self.top) as attempt, attempt.transaction():
            eligible = ELIGIBLE.get(attempt.tx, eligible_id.lower())
            # Who is not eligible is not told whether there is such a thing.
            if eligible is None or eligible.principal_id not in attempt.registry.principals_of(caller):
                raise NotFound(
                    f"{caller.words} is not eligible for {eligible_id}", code="RoleEligibilityScheduleNotFound"
                )
            attempt.subject = eligible.scope
            attempt.details.update(eligible=eligible.id, justification=justification)
            wanted = eligible.max_duration if duration is None else duration
            self._require_terms(attempt, eligible, justification, wanted)
            self._require_not_yet(attempt, eligible)
            if id is not None:
                _require_free(attempt, id)
            request = ActivationRequest(
                id=id.lower() if id is not None else str(uuid.UUID(bytes=self._random(16), version=4)),
                eligible_id=eligible.id,
                principal_id=caller.id,
                principal_type=attempt.principal_type(caller),
                justification=justification,
                duration=wanted,
                status="pending",
                asked=attempt.now,
            )
            if not eligible.approvers:
                request = self._in_force(attempt, eligible, request)
            REQUESTS.put(attempt.tx, request)
            return request

    def decide_activation(self, caller: Caller, id: str, *, approve: bool, reason: str = "") -> ActivationRequest:  # noqa: A002
        """Approve a request, which begins then, or deny it. Raises Forbidden for who is no approver, and for one's own
        request."""
        with self._attempt(caller, "RoleActivationDecide", self.top) as attempt, attempt.transaction():
            request, eligible = self._asked(attempt, id)
            attempt.subject = eligible.scope
            attempt.details.update(request=request.id, principal=request.principal_id, reason=reason)
            acting = frozenset(attempt.registry.principals_of(caller))
            if not eligible.approvers & acting:
                raise Forbidden(f"{caller.words} is no approver of this request", inner="ForbiddenByRbac")
            if caller.id == request.principal_id:
                raise Forbidden("nobody decides about his own request", "Another approver has to.")
            if request.status != "pending":
                raise Conflict(f"the request {request.id} is {request.status} already")
            if attempt.latest >= request.asked + PATIENCE:
                raise Conflict(f"the request {request.id} has waited for more than a day", "It has to be made again.")
            if approve and not eligible.open_at(attempt.latest):
                raise Forbidden("the role can no longer be activated: its time is over")
            decided = msgspec.structs.replace(
                request, decided=attempt.now, decided_by=caller.id, decision=reason, status="denied"
            )
            if approve:
                decided = self._in_force(attempt, eligible, decided)
            REQUESTS.put(attempt.tx, decided)
            return decided

    def deactivate_role(self, caller: Caller, id: str) -> ActivationRequest:  # noqa: A002
        """Give an activated role back before its end, or withdraw the request for one; one's own, or anybody's for who
        may take the role away."""
        with self._attempt(caller, "RoleDeactivate", self.top) as attempt, attempt.transaction():
            request, eligible = self._asked(attempt, id)
            attempt.subject = eligible.scope
            attempt.details.update(request=request.id, principal=request.principal_id)
            if caller.id != request.principal_id:
                attempt.require("Microsoft.Authorization/roleAssignments/delete", eligible.scope, data=False)
            if request.status not in ("pending", "active"):
                raise Conflict(f"the request {request.id} is {request.status} already")
            active = attempt.registry.role_assignments.get(request.assignment_id)
            if active is not None:
                attempt.changes_registry().remove_assignment(attempt.tx, active)
            ended = msgspec.structs.replace(request, status="withdrawn", expires=None, assignment_id="")
            REQUESTS.put(attempt.tx, ended)
            return ended

    def list_activations(self, caller: Caller) -> tuple[ActivationRequest, ...]:
        """Return the requests the caller may see: its own, those it may decide, and those at scopes whose access it may
        see; the newest first."""
        with self._attempt(caller, "RoleActivationList", self.top) as attempt, attempt.reading():
            acting = frozenset(attempt.registry.principals_of(caller))
            shown = {one.id for one in ELIGIBLE.scan(attempt.tx) if may_see(attempt, one, acting)}
            found = [one for one in REQUESTS.scan(attempt.tx) if one.eligible_id in shown]
            return tuple(sorted(found, key=lambda one: one.asked, reverse=True))

    def _require_terms(
        self, attempt: Attempt, eligible: EligibleAssignment, justification: str, duration: timedelta
    ) -> None:
        if not eligible.open_at(attempt.now) or not eligible.open_at(attempt.latest):
            begins = eligible.starts is not None and attempt.now < eligible.starts
            when = f"begins {eligible.starts:%Y-%m-%d %H:%M} UTC" if begins else "is over"
            raise Forbidden(f"the role cannot be activated: its time {when}")
        if not SHORTEST <= duration <= eligible.max_duration:
            raise BadParameter(
                f"an activation lasts 5 minutes to {eligible.max_duration} here, not {duration}",
                code="InvalidActivationDuration",
            )
        if eligible.justification and not justification.strip():
            raise BadParameter("an activation needs a justification here", code="JustificationRequired")
        if eligible.mfa and not attempt.caller.mfa:
            raise Forbidden(
                "an activation needs a sign-in with more than one factor here",
                "Sign in so, and ask again; the command line by itself proves no factor.",
                inner="MfaRequired",
            )

    def _require_not_yet(self, attempt: Attempt, eligible: EligibleAssignment) -> None:
        for other in REQUESTS.scan(attempt.tx, eligible_id=eligible.id):
            if other.principal_id != attempt.caller.id:
                continue
            if other.status == "pending" and attempt.latest < other.asked + PATIENCE:
                raise Conflict(f"it was asked for already, and waits for an approver: {other.id}")
            if other.status == "active" and other.expires is not None and attempt.latest < other.expires:
                raise Conflict(
                    f"it is active already, until {other.expires:%Y-%m-%d %H:%M} UTC: {other.id}",
                    code="RoleAssignmentExists",
                )
            if other.assignment_id:
                self._drop_ended(attempt, other)

    @staticmethod
    def _drop_ended(attempt: Attempt, request: ActivationRequest) -> None:
        """Forget the assignment of an activation that is over: the request keeps the memory of it."""
        ended = attempt.registry.role_assignments.get(request.assignment_id)
        if ended is not None:
            attempt.changes_registry().remove_assignment(attempt.tx, ended)
        REQUESTS.put(attempt.tx, msgspec.structs.replace(request, assignment_id=""))

    def _in_force(
        self, attempt: Attempt, eligible: EligibleAssignment, request: ActivationRequest
    ) -> ActivationRequest:
        """Make the assignment that ends by itself."""
        # From the latest moment ever seen: a clock set back must not make an activation last longer.
        end = attempt.latest + request.duration
        expires = end if eligible.expires is None else min(end, eligible.expires)
        assignment = RoleAssignment(
            id=str(uuid.UUID(bytes=self._random(16), version=4)),
            scope=eligible.scope,
            role_id=eligible.role_id,
            principal_id=request.principal_id,
            principal_type=request.principal_type,
            starts=attempt.now,
            expires=expires,
            description=f"activated: {request.justification}" if request.justification else "activated",
            condition=eligible.condition,
            activation=request.id,
            created=attempt.now,
            created_by=request.principal_id,
        )
        attempt.details.update(assignment=assignment.id, until=expires.isoformat())
        attempt.changes_registry().put_assignment(attempt.tx, assignment)
        return msgspec.structs.replace(request, status="active", assignment_id=assignment.id, expires=expires)

    def _asked(self, attempt: Attempt, id: str) -> tuple[ActivationRequest, EligibleAssignment]:  # noqa: A002
        request = REQUESTS.get(attempt.tx, id.lower())
        eligible = ELIGIBLE.get(attempt.tx, request.eligible_id) if request is not None else None
        acting = frozenset(attempt.registry.principals_of(attempt.caller))
        if request is None or eligible is None or not may_see(attempt, eligible, acting):
            raise NotFound(f"there is no activation {id}", code="RoleActivationNotFound")
        return request, eligible


def _require_free(attempt: Attempt, id: str) -> None:  # noqa: A002
    if not is_guid(id):
        raise BadParameter(f"`{id}` is no request's id: a GUID is")
    if REQUESTS.get(attempt.tx, id.lower()) is not None:
        raise Conflict(f"there is a request {id.lower()} already", code="RoleAssignmentRequestExists")
