"""The operations on roles that are given, and from when to when: Azure's assignment schedules and their instances."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.resource_manager.context import Asked, listed
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.schedules import bounds, common, document, wanted
from kvstack.server.resource_manager.versions import SCHEDULES
from kvstack.terms.principal import PrincipalType
from kvstack.terms.scope import Scope
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.eligibility import ActivationRequest, EligibleAssignment

_SCHEDULES: Final = "roleAssignmentSchedules"
_INSTANCES: Final = "roleAssignmentScheduleInstances"
_START: Final = "/providers/Microsoft.Authorization"


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A role somebody has, or will have, or had. activated: it was taken up; eligible: what by, as far as the caller
    may know."""

    id: str
    scope: Scope
    role_id: str
    principal_id: str
    principal_type: PrincipalType
    condition: str
    starts: datetime | None
    ends: datetime | None
    request: str
    eligible: str
    activated: bool
    created: datetime

    def holds(self, now: datetime) -> bool:
        """Tell whether it is in force."""
        return (self.starts is None or self.starts <= now) and (self.ends is None or now < self.ends)


def get_schedule(asked: Asked) -> Answer:
    """RoleAssignmentSchedules_Get."""
    return answered(_schedule(asked, _found(asked)))


def list_schedules(asked: Asked) -> Answer:
    """RoleAssignmentSchedules_ListForScope: all that were not taken away, before their start and after their end,
    too."""
    return listed(asked, _wanted(asked), lambda one: one.id, lambda one: _schedule(asked, one))


def get_instance(asked: Asked) -> Answer:
    """RoleAssignmentScheduleInstances_Get."""
    found = _found(asked)
    if not found.holds(asked.service.now):
        raise _nothing(asked)
    return answered(_instance(asked, found))


def list_instances(asked: Asked) -> Answer:
    """RoleAssignmentScheduleInstances_ListForScope: those in force."""
    now = asked.service.now
    found = [one for one in _wanted(asked) if one.holds(now)]
    return listed(asked, found, lambda one: one.id, lambda one: _instance(asked, one))


def _wanted(asked: Asked) -> list[Given]:
    asked_for = wanted(asked)
    return [one for one in _all(asked) if asked_for.has(one.scope, one.principal_id)]


def _all(asked: Asked) -> Iterator[Given]:
    """Yield what the caller may see. What he took up himself he sees without a right to see assignments."""
    service, caller = asked.service, asked.caller
    requests = {one.id: one for one in service.list_activations(caller)}
    eligible = {one.id: one for one in service.list_eligible_assignments(caller)}
    shown: set[str] = set()
    for one in service.list_role_assignments(caller):
        shown.add(one.id)
        yield _of_assignment(one, requests.get(one.activation))
    for request in requests.values():
        what = eligible.get(request.eligible_id)
        if what is not None and request.assignment_id and request.assignment_id not in shown:
            yield _of_request(request, what)


def _of_assignment(one: RoleAssignment, request: ActivationRequest | None) -> Given:
    return Given(
        id=one.id,
        scope=one.scope,
        role_id=one.role_id,
        principal_id=one.principal_id,
        principal_type=one.principal_type,
        condition=one.condition,
        starts=one.starts,
        ends=one.expires,
        request=one.activation or one.id,
        eligible=request.eligible_id if request is not None else "",
        activated=bool(one.activation),
        created=one.created,
    )


def _of_request(request: ActivationRequest, eligible: EligibleAssignment) -> Given:
    return Given(
        id=request.assignment_id,
        scope=eligible.scope,
        role_id=eligible.role_id,
        principal_id=request.principal_id,
        principal_type=request.principal_type,
        condition=eligible.condition,
        starts=request.decided or request.asked,
        ends=request.expires,
        request=request.id,
        eligible=eligible.id,
        activated=True,
        created=request.asked,
    )


def _found(asked: Asked) -> Given:
    here = asked.scope.folded
    for one in _all(asked):
        if one.id == asked.name.lower() and one.scope.folded == here:
            return one
    raise _nothing(asked)


def _nothing(asked: Asked) -> Refusal:
    return Refusal(refused(404, "RoleAssignmentScheduleNotFound", f"There is no assignment '{asked.name}' here."))


def _common(asked: Asked, one: Given) -> dict[str, Any]:
    linked = f"{one.scope.path}{_START}/roleEligibilitySchedules/{one.eligible}" if one.eligible else None
    return (
        common(asked, one.scope, one.role_id, one.principal_id, one.principal_type, one.condition, one.created)
        | bounds(one.starts, one.ends)
        | {
            "assignmentType": "Activated" if one.activated else "Assigned",
            "memberType": "Direct",
            "status": "Provisioned",
            "linkedRoleEligibilityScheduleId": linked,
        }
    )


def _schedule(asked: Asked, one: Given) -> dict[str, Any]:
    request = f"{one.scope.path}{_START}/roleAssignmentScheduleRequests/{one.request}"
    return document(_SCHEDULES, one.scope, one.id, _common(asked, one) | {"roleAssignmentScheduleRequestId": request})


def _instance(asked: Asked, one: Given) -> dict[str, Any]:
    properties = _common(asked, one) | {
        "roleAssignmentScheduleId": f"{one.scope.path}{_START}/{_SCHEDULES}/{one.id}",
        "originRoleAssignmentId": f"{one.scope.path}{_START}/roleAssignments/{one.id}",
    }
    return document(_INSTANCES, one.scope, one.id, properties)


def _path(kind: str, rest: str = "") -> str:
    return f"{{scope}}{_START}/{kind}{rest}"


_NAME: Final = "/{name}"
OPERATIONS: Final = (
    Operation("RoleAssignmentSchedules_Get", "GET", _path(_SCHEDULES, _NAME), get_schedule, SCHEDULES),
    Operation("RoleAssignmentSchedules_ListForScope", "GET", _path(_SCHEDULES), list_schedules, SCHEDULES),
    Operation("RoleAssignmentScheduleInstances_Get", "GET", _path(_INSTANCES, _NAME), get_instance, SCHEDULES),
    Operation("RoleAssignmentScheduleInstances_ListForScope", "GET", _path(_INSTANCES), list_instances, SCHEDULES),
)
