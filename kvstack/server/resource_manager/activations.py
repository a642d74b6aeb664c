"""The requests for roles for a while: taken up by who is eligible, given back, and given by who may give roles."""

from datetime import datetime
from typing import Any, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.resource_manager.context import Asked, listed
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.role_ids import role_of
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.schedules import (
    GivenRequest,
    PutRequest,
    common,
    document,
    guid_of,
    length,
    period,
    schedule_info,
    wanted,
)
from kvstack.server.resource_manager.versions import SCHEDULES
from kvstack.terms.principal import PrincipalType
from kvstack.terms.scope import Scope
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.eligibility import ActivationRequest, EligibleAssignment

_REQUESTS: Final = "roleAssignmentScheduleRequests"
_STATUS: Final = {"pending": "PendingApproval", "active": "Provisioned", "denied": "Denied", "withdrawn": "Revoked"}
_OPEN: Final = ("pending", "active")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it is told, whatever it was for."""

    name: str
    kind: str
    status: str
    scope: Scope
    role_id: str
    principal_id: str
    principal_type: PrincipalType
    condition: str = ""
    starts: datetime | None = None
    ends: datetime | None = None
    schedule: str = ""
    eligible: str = ""
    justification: str = ""
    created: datetime
    by: str


def put_request(asked: Asked) -> Answer:
    """RoleAssignmentScheduleRequests_Create."""
    given = asked.document(PutRequest).properties
    match given.request_type.lower():
        case "selfactivate":
            done = _activated(asked, given)
        case "selfdeactivate":
            done = _deactivated(asked, given)
        case "adminassign":
            done = _assigned(asked, given)
        case "adminremove":
            done = _removed(asked, given)
        case _:
            raise bad_request(
                "`requestType` is `SelfActivate`, `SelfDeactivate`, `AdminAssign` or `AdminRemove`: an assignment is "
                "not prolonged, another one is made.",
                "InvalidRequestType",
            )
    return answered(_document(asked, done), 201)


def get_request(asked: Asked) -> Answer:
    """RoleAssignmentScheduleRequests_Get."""
    return answered(_document(asked, _found(asked)))


def list_requests(asked: Asked) -> Answer:
    """RoleAssignmentScheduleRequests_ListForScope."""
    asked_for = wanted(asked)
    found = [one for one in _all(asked) if asked_for.has(one.scope, one.principal_id)]
    return listed(asked, found, lambda one: one.name, lambda one: _document(asked, one))


def cancel_request(asked: Asked) -> Answer:
    """RoleAssignmentScheduleRequests_Cancel: one that still waits is withdrawn."""
    found = _found(asked)
    if found.status != _STATUS["pending"]:
        raise Refusal(
            refused(409, "RoleAssignmentRequestCannotBeCancelled", f"The request is {found.status}: it does not wait.")
        )
    asked.service.deactivate_role(asked.caller, found.name)
    return Answer(200, b"", ())


def _activated(asked: Asked, given: GivenRequest) -> Told:
    service, caller = asked.service, asked.caller
    if given.principal_id.lower() != caller.id:
        raise bad_request("`principalId` is whoever asks: nobody takes a role up for somebody else.")
    eligible = _eligible(asked, given)
    made = service.activate_role(
        caller,
        eligible.id,
        justification=given.justification or "",
        duration=length(given.schedule_info, service.now),
        id=asked.name,
    )
    return _of_activation(made, eligible)


def _deactivated(asked: Asked, given: GivenRequest) -> Told:
    service, caller = asked.service, asked.caller
    eligible = {one.id: one for one in service.list_eligible_assignments(caller)}
    role, here = role_of(given.role_definition_id), asked.scope.folded
    for one in service.list_activations(caller):
        what = eligible.get(one.eligible_id)
        if what is None or one.status not in _OPEN or one.principal_id != given.principal_id.lower():
            continue
        if what.role_id == role and what.scope.folded == here:
            ended = service.deactivate_role(caller, one.id)
            told = _of_activation(ended, what)
            return msgspec.structs.replace(told, name=asked.name.lower(), kind="SelfDeactivate", status="Revoked")
    raise _nothing(asked)


def _assigned(asked: Asked, given: GivenRequest) -> Told:
    when = period(given.schedule_info, asked.service.now)
    made = asked.service.create_role_assignment(
        asked.caller,
        asked.scope,
        role=role_of(given.role_definition_id),
        principal_id=given.principal_id,
        principal_type=None,
        id=asked.name,
        starts=when.starts,
        expires=when.ends,
        description=given.justification or "",
        condition=given.condition or "",
    )
    return of_assignment(made)


def _removed(asked: Asked, given: GivenRequest) -> Told:
    service, caller, role = asked.service, asked.caller, role_of(given.role_definition_id)
    there = service.list_role_assignments(
        caller, asked.scope, above=False, below=False, principal_id=given.principal_id
    )
    for one in there:
        if one.role_id == role:
            if one.activation:
                service.deactivate_role(caller, one.activation)
            else:
                service.delete_role_assignment(caller, one.id, scope=asked.scope)
            told = of_assignment(one)
            return msgspec.structs.replace(told, name=asked.name.lower(), kind="AdminRemove", status="Revoked")
    raise _nothing(asked)


def _eligible(asked: Asked, given: GivenRequest) -> EligibleAssignment:
    """Return what somebody wants to take up: the eligibility he names, or his own for this role at this scope."""
    named = given.linked_role_eligibility_schedule_id
    role, here = role_of(given.role_definition_id), asked.scope.folded
    acting = asked.service.acting_as(asked.caller)
    for one in asked.service.list_eligible_assignments(asked.caller):
        if one.role_id != role or one.scope.folded != here or one.principal_id not in acting:
            continue
        if named is None or one.id == guid_of(named):
            return one
    raise Refusal(refused(404, "RoleEligibilityScheduleNotFound", "You are not eligible for this role at this scope."))


def _all(asked: Asked) -> list[Told]:
    """Return the requests the caller may see: of activations, and those assignments were made by."""
    service, caller = asked.service, asked.caller
    eligible = {one.id: one for one in service.list_eligible_assignments(caller)}
    activations = [
        _of_activation(one, eligible[one.eligible_id])
        for one in service.list_activations(caller)
        if one.eligible_id in eligible
    ]
    given = [of_assignment(one) for one in service.list_role_assignments(caller) if not one.activation]
    return [*activations, *given]


def _found(asked: Asked) -> Told:
    here = asked.scope.folded
    for one in _all(asked):
        if one.name == asked.name.lower() and one.scope.folded == here:
            return one
    raise _nothing(asked)


def _nothing(asked: Asked) -> Refusal:
    words = f"There is no request or assignment '{asked.name}' at this scope."
    return Refusal(refused(404, "RoleAssignmentScheduleRequestNotFound", words))


def _of_activation(request: ActivationRequest, eligible: EligibleAssignment) -> Told:
    return Told(
        name=request.id,
        kind="SelfActivate",
        status=_STATUS[request.status],
        scope=eligible.scope,
        role_id=eligible.role_id,
        principal_id=request.principal_id,
        principal_type=request.principal_type,
        condition=eligible.condition,
        starts=request.decided or request.asked,
        ends=request.expires or (request.decided or request.asked) + request.duration,
        schedule=request.assignment_id,
        eligible=eligible.id,
        justification=request.justification,
        created=request.asked,
        by=request.principal_id,
    )


def of_assignment(one: RoleAssignment) -> Told:
    """Return the request that an assignment stands for: it bears its id."""
    return Told(
        name=one.id,
        kind="AdminAssign",
        status="Provisioned",
        scope=one.scope,
        role_id=one.role_id,
        principal_id=one.principal_id,
        principal_type=one.principal_type,
        condition=one.condition,
        starts=one.starts,
        ends=one.expires,
        schedule=one.id,
        justification=one.description,
        created=one.created,
        by=one.created_by,
    )


def _document(asked: Asked, one: Told) -> dict[str, Any]:
    properties = common(
        asked, one.scope, one.role_id, one.principal_id, one.principal_type, one.condition, one.created
    ) | {
        "requestType": one.kind,
        "status": one.status,
        "scheduleInfo": schedule_info(one.starts, one.ends),
        "targetRoleAssignmentScheduleId": one.schedule or None,
        "linkedRoleEligibilityScheduleId": one.eligible or None,
        "justification": one.justification or None,
        "requestorId": one.by,
    }
    return document(_REQUESTS, one.scope, one.name, properties)


_LIST: Final = f"{{scope}}/providers/Microsoft.Authorization/{_REQUESTS}"
_ONE: Final = f"{_LIST}/{{name}}"
OPERATIONS: Final = (
    Operation("RoleAssignmentScheduleRequests_Create", "PUT", _ONE, put_request, SCHEDULES),
    Operation("RoleAssignmentScheduleRequests_Get", "GET", _ONE, get_request, SCHEDULES),
    Operation("RoleAssignmentScheduleRequests_ListForScope", "GET", _LIST, list_requests, SCHEDULES),
    Operation("RoleAssignmentScheduleRequests_Cancel", "POST", f"{_ONE}/cancel", cancel_request, SCHEDULES),
)
