"""Whatever comes to resource manager is answered in Azure's shape, and never by a failure of the server."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.server.resource_manager.plane import DIRECTORY, ROUTES
from kvstack.server.resource_manager.routes import Operation
from tests.server.served import SHOP, STRANGER, Answered, Served
from tests.server.test_bad_requests import in_azures_shape

GUID = "11111111-2222-4333-8444-555555555555"
WITH_BODY = ("PUT", "PATCH", "POST")
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"{}",
    b'{"properties": null}',
    b'{"properties": 1, "location": 2, "tags": 3, "name": 4}',
    b'{"properties": {}, "location": "", "name": ""}',
    b'{"properties": {}, "location": "l", "name": "\\ud800"}',
    b'{"properties": {"sku": [], "accessPolicies": {}, "requestType": {}, "permissions": 1}, "location": "l"}',
    b'{"location": "l", "location": "m"}',
    b'{"location": "l", "tags": {"t": 1}, "properties": {"softDeleteRetentionInDays": NaN}}',
    b'{"location": "l", "tags": {"t": 1}, "properties": {"softDeleteRetentionInDays": 99999999999999999999}}',
    b'{"location": "\\ud800", "name": "\\ud800", "properties": {"value": "\\ud800", "principalId": "\\ud800"}}',
    b"\xff\xfe",
    b"[" * 100_000,
)


def filled(operation: Operation, served: Served) -> str:
    """Return a path of an operation, on things that may be there."""
    top = f"/subscriptions/{served.subscription}"
    named = {"subscription": served.subscription, "group": "local", "name": SHOP, "location": "local", "kind": "add"}
    named |= {
        "key": "k",
        "version": "0" * 32,
        "secret": "never",
        "connection": "c",
        "namespace": "Microsoft.KeyVault",
        "id": GUID,
    }
    if "{scope}" in operation.path:
        named |= {"scope": f"{top}/resourceGroups/local/providers/Microsoft.KeyVault/vaults/{SHOP}", "name": GUID}
    return operation.path.format(**named)


def shown(operation: Operation) -> str:
    return f"{operation.method}-{operation.id}"


@pytest.mark.parametrize("operation", [*ROUTES.operations, *DIRECTORY.operations], ids=shown)
def test_before_anything_else_one_has_to_say_who_one_is(managed: Served, operation: Operation) -> None:
    answer = managed.ask(operation.method, filled(operation, managed), host=managed.management)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'Bearer authorization_uri="https://{managed.login}/{managed.tenant}"'
    if operation.method != "HEAD":
        assert answer.code == "AuthenticationFailed"


def test_a_token_of_one_plane_is_none_at_the_other(managed: Served) -> None:
    path = "/subscriptions?api-version=2022-12-01"
    answer = managed.ask("GET", path, host=managed.management, token=managed.token())
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationToken")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    secret = "/secrets/greeting?api-version=7.4"
    assert managed.ask("GET", secret, token=managed.management_token()).status == 401


@pytest.mark.parametrize("operation", ROUTES.operations, ids=shown)
def test_a_version_has_to_be_named_and_to_be_there(
    managed: Served, operation: Operation, asked: Callable[..., Any]
) -> None:
    token, path = managed.management_token(), filled(operation, managed)
    unnamed = managed.ask(operation.method, path, host=managed.management, token=token)
    unknown = asked(operation.method, path, version="2014-01-01%3cscript%3e")
    assert (unnamed.status, unknown.status) == (400, 400)
    if operation.method != "HEAD":
        assert unnamed.code == "MissingApiVersionParameter"
        assert unknown.code == "InvalidApiVersionParameter"
        assert operation.versions[-1] in unknown.json["error"]["message"]


WITHOUT_BODY = ("purge", "cancel", "register")
CHANGING = [
    one
    for one in (*ROUTES.operations, *DIRECTORY.operations)
    if one.method in WITH_BODY and not one.path.endswith(WITHOUT_BODY)
]


@pytest.mark.parametrize("operation", CHANGING, ids=shown)
def test_a_wrong_body_is_refused_and_nothing_is_repeated_of_it(
    managed: Served, operation: Operation, asked: Callable[..., Any]
) -> None:
    path, version = filled(operation, managed), operation.versions[-1]
    for body in BODIES:
        answer: Answered = asked(
            operation.method, path, version=version, body=body, headers={"Content-Type": "application/json"}
        )
        in_azures_shape(answer)
        # What an operation does not know is left alone, so that an object may be enough for it.
        assert 400 <= answer.status < 500 or body.startswith(b'{"prop') or body == b"{}", (body[:60], answer)
    answer = asked(operation.method, path, version=version, body=b"x=y", headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.code) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    "scope",
    [
        "/subscriptions",
        "/subscriptions/x/resourceGroups",
        f"/subscriptions/{GUID}",
        "/providers/Microsoft.Management/managementGroups/root",
        "/a/b/c",
        "/subscriptions/{here}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/m",
        "/subscriptions/{here}/resourceGroups/g/providers/Microsoft.KeyVault/vaults/nowhere",
        "/subscriptions/{here}/resourceGroups/local/providers/Microsoft.KeyVault/managedHSMs/shop",
        "/subscriptions/{here}/resourceGroups/jobs/providers/Microsoft.ManagedIdentity/userAssignedIdentities/none",
    ],
)
def test_a_scope_of_nothing_here_is_told_so(managed: Served, asked: Callable[..., Any], scope: str) -> None:
    at = f"{scope.format(here=managed.subscription)}/providers/Microsoft.Authorization"
    role = f"/subscriptions/{managed.subscription}/providers/Microsoft.Authorization/roleDefinitions/{GUID}"
    body = {"properties": {"principalId": STRANGER, "roleDefinitionId": role, "requestType": "AdminAssign"}}
    for kind, version in (
        ("roleAssignments", "2022-04-01"),
        ("roleEligibilityScheduleRequests", "2020-10-01"),
        ("roleAssignmentScheduleRequests", "2020-10-01"),
    ):
        answer = asked("PUT", f"{at}/{kind}/{GUID}", version=version, json_body=body)
        in_azures_shape(answer)
        assert answer.status in (400, 404), answer
        in_azures_shape(asked("GET", f"{at}/{kind}", version=version))


@pytest.mark.parametrize(
    "given_filter", ["x", "atScope", "principalId eq x", "atScope() or asTarget()", "'", "(" * 400]
)
@pytest.mark.parametrize("kind", ["roleAssignments", "roleDefinitions", "denyAssignments", "roleEligibilitySchedules"])
def test_a_filter_nobody_knows_is_refused(
    managed: Served, asked: Callable[..., Any], kind: str, given_filter: str
) -> None:
    version = "2020-10-01" if kind.endswith("Schedules") else "2022-04-01"
    path = f"/subscriptions/{managed.subscription}/providers/Microsoft.Authorization/{kind}"
    answer = asked("GET", f"{path}?$filter={quote(given_filter)}", version=version)
    assert (answer.status, answer.code) == (400, "InvalidFilter")


@pytest.mark.parametrize("query", ["$top=0", "$top=1001", "$top=x", "$skiptoken=%25", "$skiptoken=gA"])
def test_a_page_nobody_can_have_is_refused(managed: Served, asked: Callable[..., Any], query: str) -> None:
    path = f"/subscriptions/{managed.subscription}/providers/Microsoft.KeyVault/vaults?{query}"
    in_azures_shape(asked("GET", path))
    assert asked("GET", path).status == 400


words = st.sampled_from(
    [
        *sorted({part for one in ROUTES.operations for part in one.path.split("/") if part and "{" not in part}),
        *("local", SHOP, GUID, "x", "", "..", "ä", "%00", "add", "Microsoft.KeyVault"),
    ]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        *("tenantId", "sku", "accessPolicies", "networkAcls", "createMode", "softDeleteRetentionInDays", "value"),
        *("roleDefinitionId", "principalId", "principalType", "condition", "requestType", "scheduleInfo", "kty"),
        *("justification", "permissions", "roleName", "assignableScopes", "attributes", "rotationPolicy", "name"),
    ]
)
bodies = st.fixed_dictionaries(
    {"properties": st.dictionaries(fields, values, max_size=5) | values},
    optional={"location": st.sampled_from(["l", 1, None]), "tags": values, "sku": values},
)


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operation=st.sampled_from(CHANGING), body=bodies | values)
def test_no_body_makes_an_operation_fail(
    managed: Served, asked: Callable[..., Any], operation: Operation, body: Any
) -> None:
    answer = asked(
        operation.method,
        filled(operation, managed),
        version=operation.versions[-1],
        body=json.dumps(body).encode("utf-8", "surrogatepass"),
        headers={"Content-Type": "application/json"},
    )
    in_azures_shape(answer)


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=st.lists(words, max_size=9),
    below=st.booleans(),
    query=st.dictionaries(st.sampled_from(["$filter", "$top", "$skiptoken", "x"]), st.text(max_size=10)),
    version=st.sampled_from(["2022-04-01", "2020-10-01", "2026-02-01", "x"]),
)
def test_no_request_makes_the_server_fail(
    managed: Served,
    asked: Callable[..., Any],
    method: str,
    path: list[str],
    below: bool,
    query: dict[str, str],
    version: str,
) -> None:
    start = f"/subscriptions/{managed.subscription}" if below else ""
    named = "&".join(f"{quote(name)}={quote(value, errors='replace')}" for name, value in query.items())
    answer = asked(
        method,
        f"{start}/" + "/".join(quote(part, safe="%") for part in path) + (f"?{named}" if named else ""),
        version=version,
        body=b"{}" if method in WITH_BODY else None,
        headers={"Content-Type": "application/json"},
    )
    if method == "HEAD":
        assert answer.status < 500
    else:
        in_azures_shape(answer)
