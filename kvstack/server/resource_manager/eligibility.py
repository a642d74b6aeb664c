"""The operations on who may take a role up: Azure's eligibility schedules and the requests for them."""

from datetime import timedelta
from typing import Any, Final

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.resource_manager.context import Asked, listed
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.role_ids import role_of
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.schedules import (
    GivenRequest,
    PutRequest,
    bounds,
    common,
    document,
    guid_of,
    period,
    schedule_info,
    wanted,
)
from kvstack.server.resource_manager.versions import SCHEDULES
from kvstack.vault.eligibility import EligibleAssignment

_START: Final = "/providers/Microsoft.Authorization"
_REQUESTS: Final = "roleEligibilityScheduleRequests"
_SCHEDULES: Final = "roleEligibilitySchedules"
_INSTANCES: Final = "roleEligibilityScheduleInstances"
_CHANGES: Final = ("adminupdate", "adminextend", "adminrenew")


def put_request(asked: Asked) -> Answer:
    """RoleEligibilityScheduleRequests_Create. An assignment bears its request's id."""
    given = asked.document(PutRequest).properties
    kind = given.request_type.lower()
    if kind == "adminassign":
        return answered(_request(asked, _assigned(asked, given)), 201)
    if kind == "adminremove":
        gone = asked.service.delete_eligible_assignment(asked.caller, _meant(asked, given).id)
        return answered(_request(asked, gone, "AdminRemove", "Revoked"), 201)
    if kind in _CHANGES:
        return answered(_request(asked, _changed(asked, given), given.request_type), 201)
    raise bad_request(
        "`requestType` is `AdminAssign`, `AdminUpdate`, `AdminExtend`, `AdminRenew` or `AdminRemove`: "
        "nobody prolongs his own eligibility.",
        "InvalidRequestType",
    )


def get_request(asked: Asked) -> Answer:
    """RoleEligibilityScheduleRequests_Get: the one an assignment was made by; others leave no trace but in the
    audit."""
    return answered(_request(asked, _found(asked)))


def list_requests(asked: Asked) -> Answer:
    """RoleEligibilityScheduleRequests_ListForScope."""
    return listed(asked, _all(asked), lambda one: one.id, lambda one: _request(asked, one))


def cancel_request(asked: Asked) -> Answer:
    """RoleEligibilityScheduleRequests_Cancel: none ever waits."""
    _found(asked)
    raise Refusal(refused(409, "RoleAssignmentRequestCannotBeCancelled", "The request was carried out at once."))


def get_schedule(asked: Asked) -> Answer:
    """RoleEligibilitySchedules_Get."""
    return answered(_schedule(asked, _found(asked)))


def list_schedules(asked: Asked) -> Answer:
    """RoleEligibilitySchedules_ListForScope."""
    return listed(asked, _all(asked), lambda one: one.id, lambda one: _schedule(asked, one))


def get_instance(asked: Asked) -> Answer:
    """RoleEligibilityScheduleInstances_Get."""
    found = _found(asked)
    if not found.open_at(asked.service.now):
        raise _nothing(asked)
    return answered(_instance(asked, found))


def list_instances(asked: Asked) -> Answer:
    """RoleEligibilityScheduleInstances_ListForScope: those that may be taken up now."""
    now = asked.service.now
    found = [one for one in _all(asked) if one.open_at(now)]
    return listed(asked, found, lambda one: one.id, lambda one: _instance(asked, one))


def _assigned(asked: Asked, given: GivenRequest) -> EligibleAssignment:
    when = period(given.schedule_info, asked.service.now)
    return asked.service.put_eligible_assignment(
        asked.caller,
        asked.scope,
        role=role_of(given.role_definition_id),
        principal_id=given.principal_id,
        principal_type=None,
        starts=when.starts,
        expires=when.ends,
        max_duration=timedelta(hours=8),
        condition=given.condition or "",
        description=given.justification or "",
        id=asked.name,
        new=True,
    )


def _changed(asked: Asked, given: GivenRequest) -> EligibleAssignment:
    """Change when a role may be taken up; its other terms stay."""
    there = _meant(asked, given)
    when = period(given.schedule_info, asked.service.now)
    return asked.service.put_eligible_assignment(
        asked.caller,
        there.scope,
        role=there.role_id,
        principal_id=there.principal_id,
        principal_type=there.principal_type,
        starts=when.starts,
        expires=when.ends,
        max_duration=there.max_duration,
        justification=there.justification,
        mfa=there.mfa,
        approvers=sorted(there.approvers),
        condition=there.condition if given.condition is None else given.condition,
        description=there.description,
        id=there.id,
    )


def _meant(asked: Asked, given: GivenRequest) -> EligibleAssignment:
    """Return the assignment a request is about: the one it names, or that of its scope, role and principal."""
    named = given.target_role_eligibility_schedule_id
    role, here = role_of(given.role_definition_id), asked.scope.folded
    for one in asked.service.list_eligible_assignments(asked.caller):
        three = one.scope.folded == here and one.role_id == role and one.principal_id == given.principal_id.lower()
        if three and (named is None or one.id == guid_of(named)):
            return one
    raise _nothing(asked)


def _all(asked: Asked) -> list[EligibleAssignment]:
    asked_for = wanted(asked)
    found = asked.service.list_eligible_assignments(asked.caller)
    return [one for one in found if asked_for.has(one.scope, one.principal_id)]


def _found(asked: Asked) -> EligibleAssignment:
    here = asked.scope.folded
    for one in asked.service.list_eligible_assignments(asked.caller):
        if one.id == asked.name.lower() and one.scope.folded == here:
            return one
    raise _nothing(asked)


def _nothing(asked: Asked) -> Refusal:
    words = f"There is no eligibility '{asked.names.get('name', '')}' at this scope."
    return Refusal(refused(404, "RoleEligibilityScheduleNotFound", words))


def _common(asked: Asked, one: EligibleAssignment) -> dict[str, Any]:
    return common(asked, one.scope, one.role_id, one.principal_id, one.principal_type, one.condition, one.created)


def _request(
    asked: Asked, one: EligibleAssignment, kind: str = "AdminAssign", status: str = "Provisioned"
) -> dict[str, Any]:
    # What was removed or changed answers under the name of the request that did it.
    name = one.id if kind == "AdminAssign" else asked.name.lower()
    properties = _common(asked, one) | {
        "requestType": kind,
        "status": status,
        "scheduleInfo": schedule_info(one.starts, one.expires),
        "targetRoleEligibilityScheduleId": one.id,
        "justification": one.description or None,
        "requestorId": one.created_by if kind == "AdminAssign" else asked.caller.id,
    }
    return document(_REQUESTS, one.scope, name, properties)


def _schedule(asked: Asked, one: EligibleAssignment) -> dict[str, Any]:
    properties = (
        _common(asked, one)
        | bounds(one.starts, one.expires)
        | {
            "roleEligibilityScheduleRequestId": f"{one.scope.path}{_START}/{_REQUESTS}/{one.id}",
            "memberType": "Direct",
            "status": "Provisioned",
        }
    )
    return document(_SCHEDULES, one.scope, one.id, properties)


def _instance(asked: Asked, one: EligibleAssignment) -> dict[str, Any]:
    properties = (
        _common(asked, one)
        | bounds(one.starts, one.expires)
        | {
            "roleEligibilityScheduleId": f"{one.scope.path}{_START}/{_SCHEDULES}/{one.id}",
            "memberType": "Direct",
            "status": "Provisioned",
        }
    )
    return document(_INSTANCES, one.scope, one.id, properties)


def _path(kind: str, rest: str = "") -> str:
    return f"{{scope}}{_START}/{kind}{rest}"


_NAME: Final = "/{name}"
OPERATIONS: Final = (
    Operation("RoleEligibilityScheduleRequests_Create", "PUT", _path(_REQUESTS, _NAME), put_request, SCHEDULES),
    Operation("RoleEligibilityScheduleRequests_Get", "GET", _path(_REQUESTS, _NAME), get_request, SCHEDULES),
    Operation("RoleEligibilityScheduleRequests_ListForScope", "GET", _path(_REQUESTS), list_requests, SCHEDULES),
    Operation(
        "RoleEligibilityScheduleRequests_Cancel", "POST", _path(_REQUESTS, "/{name}/cancel"), cancel_request, SCHEDULES
    ),
    Operation("RoleEligibilitySchedules_Get", "GET", _path(_SCHEDULES, _NAME), get_schedule, SCHEDULES),
    Operation("RoleEligibilitySchedules_ListForScope", "GET", _path(_SCHEDULES), list_schedules, SCHEDULES),
    Operation("RoleEligibilityScheduleInstances_Get", "GET", _path(_INSTANCES, _NAME), get_instance, SCHEDULES),
    Operation("RoleEligibilityScheduleInstances_ListForScope", "GET", _path(_INSTANCES), list_instances, SCHEDULES),
)
