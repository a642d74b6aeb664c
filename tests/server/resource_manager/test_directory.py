"""Who the principals are, in Microsoft Graph's words, asked without any client; `az` asks the same."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from kvstack.terms.principal import Principal
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.server.served import APP, READER, STRANGER, Served

GROUP, ALICE = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22", "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10"
Graph = Callable[..., Any]


@pytest.fixture(scope="module")
def graph(managed: Served) -> Graph:
    """Ask the directory, as the app."""
    unlocked = unlock(managed.folder)
    try:
        service = VaultService(unlocked)
        service.put_principal(service.operator, Principal(id=ALICE, type="user", name="alice@example.com"))
        service.put_principal(service.operator, Principal(id=GROUP, type="group", name="on'call"))
    finally:
        unlocked.close()
    token = managed.management_token()

    def ask(path: str, filtered: str = "", *, who: str = "", body: Any = None) -> Any:
        return managed.ask(
            "GET" if body is None else "POST",
            f"/v1.0/{path}" + (f"?$filter={quote(filtered)}" if filtered else ""),
            host=managed.management,
            token=managed.management_token(who) if who else token,
            json_body=body,
        )

    return ask


def ids(answer: Any) -> list[str]:
    assert answer.status == 200, answer
    return [one["id"] for one in answer.json["value"]]


@pytest.mark.parametrize(
    ("path", "filtered", "found"),
    [
        ("servicePrincipals", f"servicePrincipalNames/any(c:c eq '{APP.upper()}')", [APP]),
        ("servicePrincipals", f"appId eq '{READER}'", [READER]),
        ("servicePrincipals", "displayName eq 'stranger'", [STRANGER]),
        ("servicePrincipals", f"appId eq '{ALICE}'", []),
        ("users", "userPrincipalName eq 'alice@example.com'", [ALICE]),
        ("users", f"id eq '{APP}'", []),
        ("groups", "displayName eq 'on''call'", [GROUP]),
    ],
)
def test_a_principal_is_found_by_what_is_known_of_it(graph: Graph, path: str, filtered: str, found: list[str]) -> None:
    assert ids(graph(path, filtered)) == found


def test_ids_are_looked_up_all_at_once_and_who_is_not_known_is_left_out(graph: Graph) -> None:
    wanted = [APP, ALICE, GROUP, "11111111-1111-4111-8111-111111111111"]
    answer = graph("directoryObjects/getByIds", body={"ids": wanted})
    assert {one["id"]: one["@odata.type"] for one in answer.json["value"]} == {
        APP: "#microsoft.graph.servicePrincipal",
        ALICE: "#microsoft.graph.user",
        GROUP: "#microsoft.graph.group",
    }
    some = graph("directoryObjects/getByIds", body={"ids": wanted, "types": ["user", "group"]})
    assert set(ids(some)) == {ALICE, GROUP}


def test_a_managed_identity_is_a_service_principal_with_a_client_id_of_its_own(graph: Graph, managed: Served) -> None:
    path = (
        f"/subscriptions/{managed.subscription}/resourceGroups/team/providers"
        "/Microsoft.ManagedIdentity/userAssignedIdentities/batch?api-version=2025-05-31-preview"
    )
    token = managed.management_token()
    made = managed.ask("PUT", path, host=managed.management, token=token, json_body={"location": "here"})
    properties = made.json["properties"]
    (found,) = graph("servicePrincipals", f"appId eq '{properties['clientId']}'").json["value"]
    assert (found["id"], found["servicePrincipalType"]) == (properties["principalId"], "ManagedIdentity")


def test_who_may_not_read_principals_is_refused(graph: Graph) -> None:
    answer = graph("servicePrincipals", who=STRANGER)
    assert (answer.status, answer.code) == (403, "AuthorizationFailed")


@pytest.mark.parametrize("filtered", ["startswith(displayName,'a')", "password eq 'x'", "id eq 'a' or id eq 'b'"])
def test_what_nothing_is_filtered_by_is_refused(graph: Graph, filtered: str) -> None:
    answer = graph("users", filtered)
    assert (answer.status, answer.code) == (400, "Request_BadRequest")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"servicePrincipals/{APP.upper()}", APP),
        (f"users/{ALICE}", ALICE),
        ("users/Alice@example.com", ALICE),
        (f"groups/{GROUP}", GROUP),
    ],
)
def test_one_is_told_of_by_its_id(graph: Graph, path: str, found: str) -> None:
    answer = graph(path)
    assert (answer.status, answer.json["id"]) == (200, found)


@pytest.mark.parametrize("path", [f"users/{APP}", f"groups/{ALICE}", f"servicePrincipals/{GROUP}", "users/nobody"])
def test_one_of_another_kind_is_not_there(graph: Graph, path: str) -> None:
    answer = graph(path)
    assert (answer.status, answer.code) == (404, "Request_ResourceNotFound")


def test_only_what_is_there_is_answered(graph: Graph) -> None:
    assert graph("me").status == 404
    assert graph("applications").status == 404
    assert graph("users", body={}).status == 405
    assert graph("directoryObjects/getByIds", body={"ids": ["x"] * 1001}).status == 400
