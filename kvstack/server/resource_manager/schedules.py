"""What the requests for roles for a while share: how long, for whom, and how it is told."""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kvstack.server.filters import AS_TARGET, ASSIGNED_TO, AT_SCOPE, PRINCIPAL, filtered
from kvstack.server.resource_manager.context import Asked, timestamp
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.role_ids import definition_path, told_type
from kvstack.terms.duration import Duration, duration
from kvstack.terms.principal import PrincipalType, is_guid
from kvstack.terms.role import built_in_roles_by_id
from kvstack.terms.scope import Scope

PROVIDER: Final = "Microsoft.Authorization"
# Two machines' clocks are never quite the same: a start this much later is now.
_SKEW: Final = timedelta(minutes=5)


class GivenExpiration(msgspec.Struct, frozen=True, rename="camel"):
    """When something ends. type: NoExpiration, AfterDuration or AfterDateTime."""

    type: str | None = None
    end_date_time: datetime | None = None
    duration: str | None = None


class GivenSchedule(msgspec.Struct, frozen=True, rename="camel"):
    """From when, and to when."""

    start_date_time: datetime | None = None
    expiration: GivenExpiration | None = None


class GivenRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives of a request."""

    principal_id: str
    role_definition_id: str
    request_type: str
    schedule_info: GivenSchedule | None = None
    justification: str | None = None
    condition: str | None = None
    condition_version: str | None = None
    linked_role_eligibility_schedule_id: str | None = None
    target_role_eligibility_schedule_id: str | None = None
    target_role_assignment_schedule_id: str | None = None


class PutRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives to make a request."""

    properties: GivenRequest


class Period(msgspec.Struct, frozen=True):
    """From when to when; None: without a bound."""

    starts: datetime | None = None
    ends: datetime | None = None


def period(given: GivenSchedule | None, now: datetime) -> Period:
    """Return when a request is for. Raises Refusal."""
    schedule = given or GivenSchedule()
    starts, expiration = schedule.start_date_time, schedule.expiration or GivenExpiration()
    if starts is not None and starts.tzinfo is None:
        raise bad_request("`scheduleInfo.startDateTime` needs a time zone: 2027-01-31T08:00:00Z.")
    match (expiration.type or "").lower():
        case "" | "noexpiration":
            return Period(starts)
        case "afterdatetime" if expiration.end_date_time is not None:
            if expiration.end_date_time.tzinfo is None:
                raise bad_request("`expiration.endDateTime` needs a time zone: 2027-01-31T08:00:00Z.")
            return Period(starts, expiration.end_date_time)
        case "afterduration" if expiration.duration is not None:
            try:
                return Period(starts, _duration(expiration.duration).after(starts or now))
            except OverflowError:
                raise bad_request("`expiration.duration` ends after the year 9999.") from None
        case _:
            raise bad_request(
                "`expiration` is `NoExpiration`, `AfterDateTime` with `endDateTime`, `AfterDuration` with `duration`.",
                "InvalidExpiration",
            )


def length(given: GivenSchedule | None, now: datetime) -> timedelta | None:
    """Return how long a role is to be taken up for, from now on; None for as long as it may be. Raises Refusal."""
    found = period(given, now)
    if found.starts is not None and found.starts > now + _SKEW:
        raise bad_request("A role is taken up from now on: ask when it is needed.", "InvalidStartTime")
    if found.ends is None:
        return None
    return found.ends - (found.starts if _is_length(given) and found.starts is not None else now)


def _is_length(given: GivenSchedule | None) -> bool:
    expiration = given.expiration if given is not None else None
    return expiration is not None and (expiration.type or "").lower() == "afterduration"


def _duration(text: str) -> Duration:
    try:
        return duration(text)
    except ValueError as error:
        raise bad_request(f"`expiration.duration`: {error}.") from None


def guid_of(path: str) -> str:
    """Return the GUID at the end of an id, or the id itself where it is one. Raises Refusal."""
    found = path.rpartition("/")[2].lower()
    if not is_guid(found):
        raise bad_request("The id of a schedule ends with a GUID.", "InvalidScheduleId")
    return found


class Wanted(msgspec.Struct, frozen=True):
    """Which of a list are asked for. principals: whose, None for everybody's."""

    here: Scope
    below: bool
    principals: frozenset[str] | None

    def has(self, scope: Scope, principal_id: str) -> bool:
        """Tell whether something of a principal at a scope is asked for."""
        if self.principals is not None and principal_id not in self.principals:
            return False
        return scope.contains(self.here) or (self.below and self.here.contains(scope))


def wanted(asked: Asked) -> Wanted:
    """Return what a list's filter asks for. Raises Refusal."""
    asked_for = filtered(asked.request.query, (AT_SCOPE, AS_TARGET, PRINCIPAL, ASSIGNED_TO))
    principals: frozenset[str] | None = None
    if AS_TARGET in asked_for:
        principals = asked.service.acting_as(asked.caller)
    elif PRINCIPAL in asked_for or ASSIGNED_TO in asked_for:
        principals = frozenset({(asked_for.get(PRINCIPAL) or asked_for.get(ASSIGNED_TO) or "").lower()})
    return Wanted(asked.scope, AT_SCOPE not in asked_for, principals)


def common(
    asked: Asked,
    scope: Scope,
    role_id: str,
    principal_id: str,
    principal_type: PrincipalType,
    condition: str,
    created: datetime,
) -> dict[str, Any]:
    """Return what every request, schedule and instance tells."""
    path = scope.path
    known = built_in_roles_by_id().get(role_id)
    role = {"id": definition_path(asked, role_id), "type": "BuiltInRole" if known is not None else "CustomRole"}
    if known is not None:
        role["displayName"] = known.name
    return {
        "scope": path,
        "roleDefinitionId": definition_path(asked, role_id),
        "principalId": principal_id,
        "principalType": told_type(principal_type),
        "condition": condition or None,
        "conditionVersion": "2.0" if condition else None,
        "createdOn": timestamp(created),
        "expandedProperties": {
            "scope": {"id": path, "displayName": path.rpartition("/")[2], "type": scope.level},
            "roleDefinition": role,
            "principal": {"id": principal_id, "type": told_type(principal_type)},
        },
    }


def bounds(starts: datetime | None, ends: datetime | None) -> dict[str, Any]:
    """Return from when to when, as schedules and instances tell it."""
    return {"startDateTime": timestamp(starts), "endDateTime": timestamp(ends)}


def schedule_info(starts: datetime | None, ends: datetime | None) -> dict[str, Any]:
    """Return from when to when, as requests tell it."""
    expiration = {"type": "AfterDateTime", "endDateTime": timestamp(ends)} if ends else {"type": "NoExpiration"}
    return {"startDateTime": timestamp(starts), "expiration": {"duration": None, "endDateTime": None} | expiration}


def document(kind: str, scope: Scope, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Return a request, schedule or instance."""
    return {
        "id": f"{scope.path}/providers/{PROVIDER}/{kind}/{name}",
        "name": name,
        "type": f"{PROVIDER}/{kind}",
        "properties": properties,
    }
