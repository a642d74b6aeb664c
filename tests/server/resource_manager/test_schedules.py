"""Azure's own client for roles, unmodified: roles that are taken up for a while, and given from when to when."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.v2020_10_01.models import (
    RoleAssignmentScheduleRequest,
    RoleAssignmentScheduleRequestPropertiesScheduleInfo,
    RoleAssignmentScheduleRequestPropertiesScheduleInfoExpiration,
    RoleEligibilityScheduleRequest,
    RoleEligibilityScheduleRequestPropertiesScheduleInfo,
    RoleEligibilityScheduleRequestPropertiesScheduleInfoExpiration,
)

from kvstack.terms.role import built_in_roles
from tests.server.resource_manager.clients import management
from tests.server.served import READER, SHOP, STRANGER, Served

USER = built_in_roles()["key vault secrets user"].id
CRYPTO = built_in_roles()["key vault crypto user"].id


@pytest.fixture(scope="module")
def admin(managed: Served) -> Iterator[Any]:
    with management(managed, AuthorizationManagementClient) as found:
        yield found


@pytest.fixture(scope="module")
def stranger(managed: Served) -> Iterator[Any]:
    with management(managed, AuthorizationManagementClient, STRANGER) as found:
        yield found


@pytest.fixture(scope="module")
def shop(managed: Served) -> str:
    return f"/subscriptions/{managed.subscription}/resourceGroups/local/providers/Microsoft.KeyVault/vaults/{SHOP}"


def definition(managed: Served, role: str) -> str:
    return f"/subscriptions/{managed.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"


def eligible(managed: Served, kind: str, role: str = USER, who: str = STRANGER, **end: Any) -> Any:
    return RoleEligibilityScheduleRequest(
        principal_id=who,
        role_definition_id=definition(managed, role),
        request_type=kind,
        justification="on call",
        schedule_info=RoleEligibilityScheduleRequestPropertiesScheduleInfo(
            start_date_time=datetime.now(UTC),
            expiration=RoleEligibilityScheduleRequestPropertiesScheduleInfoExpiration(
                **(end or {"type": "AfterDuration", "duration": "P365D"})
            ),
        ),
    )


def request(managed: Served, kind: str, role: str = USER, who: str = STRANGER, **more: Any) -> Any:
    end = {name: more.pop(name) for name in ("duration", "end_date_time") if name in more}
    start = more.pop("start", datetime.now(UTC))
    type_ = "AfterDateTime" if "end_date_time" in end else "AfterDuration" if end else "NoExpiration"
    return RoleAssignmentScheduleRequest(
        principal_id=who,
        role_definition_id=definition(managed, role),
        request_type=kind,
        schedule_info=RoleAssignmentScheduleRequestPropertiesScheduleInfo(
            start_date_time=start,
            expiration=RoleAssignmentScheduleRequestPropertiesScheduleInfoExpiration(type=type_, **end),
        ),
        **({"justification": "a customer waits"} | more),
    )


def code(error: HttpResponseError) -> str:
    assert error.error is not None
    return str(error.error.code)


def reads(managed: Served) -> bool:
    answer = managed.ask("GET", "/secrets/greeting?api-version=7.4", token=managed.token(STRANGER))
    assert answer.status in (200, 403), answer
    return answer.status == 200


def test_a_role_is_made_eligible_taken_up_given_back_and_taken_away(
    admin: Any, stranger: Any, managed: Served, shop: str
) -> None:
    name = str(uuid.uuid4())
    made = admin.role_eligibility_schedule_requests.create(shop, name, eligible(managed, "AdminAssign"))
    assert (made.name, made.status, made.request_type) == (name, "Provisioned", "AdminAssign")
    assert (made.principal_id, made.scope, made.justification) == (STRANGER, shop, "on call")
    assert made.schedule_info.expiration.end_date_time > datetime.now(UTC) + timedelta(days=364)
    assert admin.role_eligibility_schedule_requests.get(shop, name).name == name
    assert name in [one.name for one in admin.role_eligibility_schedule_requests.list_for_scope(shop)]
    schedule = admin.role_eligibility_schedules.get(shop, name)
    assert schedule.role_eligibility_schedule_request_id.endswith(f"/{name}")

    # Who is eligible sees it, has the right only once he took it up, and takes it up for himself only.
    assert not reads(managed)
    seen = list(stranger.role_eligibility_schedule_instances.list_for_scope(shop, filter="asTarget()"))
    assert [(one.principal_id, one.role_definition_id) for one in seen] == [(STRANGER, definition(managed, USER))]
    linked = seen[0].role_eligibility_schedule_id
    mine = str(uuid.uuid4())
    with pytest.raises(HttpResponseError):
        admin.role_assignment_schedule_requests.create(shop, str(uuid.uuid4()), request(managed, "SelfActivate"))
    with pytest.raises(HttpResponseError) as unjustified:
        stranger.role_assignment_schedule_requests.create(
            shop, mine, request(managed, "SelfActivate", duration="PT1H", justification=None)
        )
    assert code(unjustified.value) == "JustificationRequired"
    with pytest.raises(HttpResponseError) as long:
        stranger.role_assignment_schedule_requests.create(shop, mine, request(managed, "SelfActivate", duration="P2D"))
    assert code(long.value) == "InvalidActivationDuration"
    taken = stranger.role_assignment_schedule_requests.create(
        shop,
        mine,
        request(managed, "SelfActivate", duration="PT1H", linked_role_eligibility_schedule_id=linked),
    )
    assert (taken.name, taken.status, taken.request_type) == (mine, "Provisioned", "SelfActivate")
    assert taken.requestor_id == STRANGER
    ends = taken.schedule_info.expiration.end_date_time
    assert timedelta(minutes=55) < ends - datetime.now(UTC) <= timedelta(hours=1)
    assert reads(managed)
    assert stranger.role_assignment_schedule_requests.get(shop, mine).status == "Provisioned"
    (active,) = stranger.role_assignment_schedule_instances.list_for_scope(shop, filter="asTarget()")
    assert (active.assignment_type, active.end_date_time) == ("Activated", ends)
    assert (
        active.linked_role_eligibility_schedule_id
        == f"{shop}/providers/Microsoft.Authorization/roleEligibilitySchedules/{name}"
    )
    with pytest.raises(ResourceExistsError) as twice:
        stranger.role_assignment_schedule_requests.create(
            shop, str(uuid.uuid4()), request(managed, "SelfActivate", duration="PT1H")
        )
    assert code(twice.value) == "RoleAssignmentExists"

    back = stranger.role_assignment_schedule_requests.create(
        shop, str(uuid.uuid4()), request(managed, "SelfDeactivate")
    )
    assert (back.status, back.request_type) == ("Revoked", "SelfDeactivate")
    assert not reads(managed)
    assert list(stranger.role_assignment_schedule_instances.list_for_scope(shop, filter="asTarget()")) == []
    with pytest.raises(ResourceNotFoundError):
        stranger.role_assignment_schedule_requests.create(shop, str(uuid.uuid4()), request(managed, "SelfDeactivate"))

    gone = admin.role_eligibility_schedule_requests.create(shop, str(uuid.uuid4()), eligible(managed, "AdminRemove"))
    assert gone.status == "Revoked"
    with pytest.raises(ResourceNotFoundError):
        admin.role_eligibility_schedules.get(shop, name)
    with pytest.raises(ResourceNotFoundError) as none:
        stranger.role_assignment_schedule_requests.create(
            shop, str(uuid.uuid4()), request(managed, "SelfActivate", duration="PT1H")
        )
    assert code(none.value) == "RoleEligibilityScheduleNotFound"


def test_when_somebody_may_take_a_role_up_is_changed_and_its_terms_stay(admin: Any, managed: Served, shop: str) -> None:
    name = str(uuid.uuid4())
    admin.role_eligibility_schedule_requests.create(shop, name, eligible(managed, "AdminAssign", CRYPTO))
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    changed = admin.role_eligibility_schedule_requests.create(
        shop,
        str(uuid.uuid4()),
        eligible(managed, "AdminUpdate", CRYPTO, type="AfterDateTime", end_date_time=until),
    )
    assert changed.target_role_eligibility_schedule_id == name
    assert admin.role_eligibility_schedules.get(shop, name).end_date_time == until
    with pytest.raises(ResourceExistsError):
        admin.role_eligibility_schedule_requests.create(
            shop, str(uuid.uuid4()), eligible(managed, "AdminAssign", CRYPTO)
        )
    with pytest.raises(ResourceExistsError):
        admin.role_eligibility_schedule_requests.cancel(shop, name)
    with pytest.raises(HttpResponseError) as own:
        admin.role_eligibility_schedule_requests.create(
            shop, str(uuid.uuid4()), eligible(managed, "SelfExtend", CRYPTO)
        )
    assert code(own.value) == "InvalidRequestType"


def test_a_role_is_given_from_when_to_when_and_taken_away(admin: Any, managed: Served, shop: str) -> None:
    name, later = str(uuid.uuid4()), datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    made = admin.role_assignment_schedule_requests.create(
        shop, name, request(managed, "AdminAssign", end_date_time=later)
    )
    assert (made.status, made.request_type) == ("Provisioned", "AdminAssign")
    assert reads(managed)
    schedule = admin.role_assignment_schedules.get(shop, name)
    assert (schedule.assignment_type, schedule.end_date_time) == ("Assigned", later)
    instances = admin.role_assignment_schedule_instances
    assert name in [one.name for one in instances.list_for_scope(shop, filter=f"principalId eq '{STRANGER}'")]
    assert instances.get(shop, name).origin_role_assignment_id.endswith(f"/roleAssignments/{name}")
    gone = admin.role_assignment_schedule_requests.create(shop, str(uuid.uuid4()), request(managed, "AdminRemove"))
    assert gone.status == "Revoked"
    assert not reads(managed)
    with pytest.raises(ResourceNotFoundError):
        admin.role_assignment_schedules.get(shop, name)


def test_what_begins_later_is_a_schedule_and_no_instance(admin: Any, managed: Served, shop: str) -> None:
    name, start = str(uuid.uuid4()), datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    admin.role_assignment_schedule_requests.create(
        shop, name, request(managed, "AdminAssign", CRYPTO, who=READER, start=start, duration="P1D")
    )
    schedule = admin.role_assignment_schedules.get(shop, name)
    assert (schedule.start_date_time, schedule.end_date_time) == (start, start + timedelta(days=1))
    assert name not in [one.name for one in admin.role_assignment_schedule_instances.list_for_scope(shop)]
    assert name not in [one.name for one in admin.role_assignments.list_for_scope(shop)]
    with pytest.raises(ResourceNotFoundError):
        admin.role_assignment_schedule_instances.get(shop, name)


def test_who_may_not_give_roles_makes_nobody_eligible(managed: Served, shop: str) -> None:
    with management(managed, AuthorizationManagementClient, READER) as reader:
        with pytest.raises(HttpResponseError) as refusal:
            reader.role_eligibility_schedule_requests.create(
                shop, str(uuid.uuid4()), eligible(managed, "AdminAssign", who=READER)
            )
        assert (refusal.value.status_code, code(refusal.value)) == (403, "AuthorizationFailed")
        with pytest.raises(HttpResponseError) as refusal:
            reader.role_assignment_schedule_requests.create(
                shop, str(uuid.uuid4()), request(managed, "AdminAssign", who=READER)
            )
        assert refusal.value.status_code == 403


@pytest.mark.parametrize(
    "properties",
    [
        {"requestType": "SelfActivate", "scheduleInfo": {"startDateTime": "2099-01-01T00:00:00Z"}},
        {"requestType": "AdminAssign", "scheduleInfo": {"startDateTime": "2027-01-01T00:00:00"}},
        {"requestType": "AdminAssign", "scheduleInfo": {"expiration": {"type": "AfterDuration", "duration": "soon"}}},
        {"requestType": "AdminAssign", "scheduleInfo": {"expiration": {"type": "AfterDuration", "duration": "P999Y"}}},
        {"requestType": "AdminAssign", "scheduleInfo": {"expiration": {"type": "Never"}}},
        {"requestType": "AdminAssign", "scheduleInfo": {"expiration": {"type": "AfterDateTime"}}},
        {"requestType": "AdminExtend"},
        {"requestType": "AdminAssign", "roleDefinitionId": "Owner"},
        {"requestType": "AdminAssign", "principalId": "me"},
    ],
)
def test_what_makes_no_sense_is_refused(
    managed: Served, shop: str, asked: Callable[..., Any], properties: dict[str, Any]
) -> None:
    path = f"{shop}/providers/Microsoft.Authorization/roleAssignmentScheduleRequests/{uuid.uuid4()}"
    plain = {"principalId": STRANGER, "roleDefinitionId": definition(managed, CRYPTO)}
    answer = asked("PUT", path, version="2020-10-01", json_body={"properties": plain | properties})
    if properties.get("scheduleInfo", {}).get("expiration", {}).get("duration") == "P999Y":
        assert answer.status == 201  # far away, and no error
    else:
        assert answer.status == 400, answer
