"""Whatever is asked of a Managed HSM is answered in Azure's shape, and never by a failure of the server."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kvstack.server.data_plane.plane import HSM_ROUTES, ROUTES
from kvstack.terms.local_role import ADMINISTRATOR
from tests.server.data_plane.hsms import CONTAINER, ELSEWHERE, NAMES, TREASURY, custodian, host, hsm_token
from tests.server.served import Served
from tests.server.test_bad_requests import in_azures_shape, values

OWN = tuple(one for one in HSM_ROUTES.operations if one not in ROUTES.operations)
SCOPES = ("", "/", "//", "keys", "/keys", "keys/k", "/keys/../x", "nothing", "keys/" + "k" * 200)
STORAGE = {"storageResourceUri": CONTAINER, "token": "t"}
SETTING = "AllowKeyManagementOperationsThroughARM"
WITH_BODY = ("PUT", "POST", "PATCH")
texts = st.sampled_from(["true", "", "x", "/", "..", "mhsm-x", CONTAINER, "0" * 32, ADMINISTRATOR])
permissions = st.fixed_dictionaries({}, optional={"dataActions": values, "notDataActions": values, "actions": values})
properties = st.fixed_dictionaries(
    {},
    optional={
        "roleDefinitionId": texts | values,
        "principalId": texts | values,
        "roleName": texts | values,
        "description": texts | values,
        "permissions": st.lists(permissions, max_size=2) | values,
        "assignableScopes": values,
    },
)
bodies = (
    st.fixed_dictionaries(
        {},
        optional={
            "value": texts | values,
            "properties": properties | values,
            "storageResourceUri": texts | values,
            "token": texts | values,
            "useManagedIdentity": st.booleans() | values,
            "sasTokenParameters": st.just(STORAGE) | values,
            "folderToRestore": texts | values,
            "folder": texts | values,
            "certificates": st.lists(st.sampled_from([custodian(name).jwk for name in NAMES]), max_size=4) | values,
            "required": st.integers() | values,
        },
    )
    | values
)


@pytest.fixture(scope="module")
def token(active: Served) -> str:
    return hsm_token(active)


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(operation=OWN[0], scope="/", name="x", hsm=TREASURY, query={"$filter": "principalId eq '"}, body=None)
@example(operation=OWN[0], scope="/", name="x", hsm=TREASURY, query={"$skiptoken": "gA"}, body=None)
@given(
    operation=st.sampled_from(OWN),
    scope=st.sampled_from(SCOPES),
    name=st.sampled_from(["x", "", "0" * 32, ADMINISTRATOR, SETTING]) | st.text(max_size=12),
    hsm=st.sampled_from([TREASURY, ELSEWHERE, "absent"]),
    query=st.dictionaries(st.sampled_from(["$filter", "$skiptoken", "maxresults"]), st.text(max_size=12), max_size=2),
    body=bodies,
)
def test_no_request_makes_the_server_fail(
    active: Served, token: str, operation: Any, scope: str, name: str, hsm: str, query: dict[str, str], body: Any
) -> None:
    parts = [{"{scope}": scope, "{}": quote(name, safe="")}.get(part, part) for part in operation.path]
    named = "&".join(f"{quote(key)}={quote(value, errors='replace')}" for key, value in query.items())
    answer = active.ask(
        operation.method,
        f"/{'/'.join(parts)}?api-version=2025-07-01" + (f"&{named}" if named else ""),
        host=host(active, hsm),
        token=token,
        body=json.dumps(body).encode("utf-8", "surrogatepass") if operation.method in WITH_BODY else None,
        headers={"Content-Type": "application/json"},
    )
    in_azures_shape(answer)


@pytest.mark.parametrize("operation", [one for one in OWN if one.method in WITH_BODY], ids=lambda one: one.id)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000, b'{"value":"\\ud800"}', b'{"a":1,"a":2}']
)
def test_a_body_that_is_wrong_changes_nothing(active: Served, token: str, operation: Any, body: bytes) -> None:
    path = "/".join({"{scope}": "", "{}": SETTING}.get(part, part) for part in operation.path)
    answer = active.ask(
        operation.method,
        f"/{path}?api-version=2025-07-01",
        host=host(active),
        token=token,
        body=body,
        headers={"Content-Type": "application/json"},
    )
    in_azures_shape(answer)
    assert answer.status == 400


@pytest.mark.parametrize("operation", OWN, ids=lambda one: one.id)
def test_who_does_not_say_who_he_is_is_asked_first(active: Served, operation: Any) -> None:
    path = "/".join({"{scope}": "", "{}": "x"}.get(part, part) for part in operation.path)
    answer = active.ask(operation.method, f"/{path}", host=host(active), body=b"{")
    assert (answer.status, answer.code) == (401, "Unauthorized")
