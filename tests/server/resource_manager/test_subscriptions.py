"""Where vaults are, asked without any client: tenant, subscription, groups, everything in one list."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.served import SHOP, STRANGER, Served

V = "2022-12-01"


def test_the_tenant_and_its_subscription_are_listed(managed: Served, asked: Callable[..., Any]) -> None:
    (tenant,) = asked("GET", "/tenants", version=V).json["value"]
    assert tenant["tenantId"] == managed.tenant
    (one,) = asked("GET", "/subscriptions", version=V).json["value"]
    assert (one["subscriptionId"], one["tenantId"], one["state"]) == (managed.subscription, managed.tenant, "Enabled")
    assert asked("GET", f"/subscriptions/{managed.subscription.upper()}", version=V).json == one


def test_whom_nothing_was_given_sees_no_subscription(managed: Served) -> None:
    token = managed.management_token(STRANGER)
    path = f"/subscriptions?api-version={V}"
    assert managed.ask("GET", path, host=managed.management, token=token).json["value"] == []


def test_another_subscription_is_not_there(asked: Callable[..., Any]) -> None:
    answer = asked("GET", f"/subscriptions/{STRANGER}/providers/Microsoft.KeyVault/vaults")
    assert (answer.status, answer.code) == (404, "SubscriptionNotFound")
    answer = asked(
        "GET", f"/subscriptions/{STRANGER}/providers/Microsoft.Authorization/roleAssignments", version="2022-04-01"
    )
    assert (answer.status, answer.code) == (404, "SubscriptionNotFound")


def test_groups_are_those_something_is_in(managed: Served, asked: Callable[..., Any]) -> None:
    top = f"/subscriptions/{managed.subscription}"
    body = {"location": "there", "properties": {"tenantId": managed.tenant, "sku": {"family": "A", "name": "standard"}}}
    asked("PUT", f"{top}/resourceGroups/Team(1)/providers/Microsoft.KeyVault/vaults/grouped", json_body=body)
    names = {one["name"]: one for one in asked("GET", f"{top}/resourceGroups", version=V).json["value"]}
    assert {"local", "Team(1)"} <= names.keys()
    # Azure's clients escape what needs none, too.
    found = asked("GET", f"{top}/resourceGroups/team%281%29", version=V)
    assert (found.json["name"], found.json["location"]) == ("Team(1)", "there")
    assert asked("HEAD", f"{top}/resourceGroups/local", version=V).status == 204
    assert asked("GET", f"{top}/resourceGroups/nowhere", version=V).code == "ResourceGroupNotFound"
    here = asked("GET", f"{top}/resourceGroups/team%281%29/resources", version=V).json["value"]
    assert [(one["name"], one["type"]) for one in here] == [("grouped", "Microsoft.KeyVault/vaults")]


@pytest.mark.parametrize("part", ["%2e%2e", "a%2fb", "a%252fb", "%00", "%ff", "a%0a"])
def test_an_escape_leads_nowhere_else(managed: Served, asked: Callable[..., Any], part: str) -> None:
    answer = asked("GET", f"/subscriptions/{managed.subscription}/resourceGroups/{part}", version=V)
    assert answer.status == 404
    assert SHOP not in answer.body.decode()


@pytest.mark.parametrize(
    ("filtered", "found"),
    [
        ("resourceType eq 'microsoft.keyvault/vaults' and name eq 'SHOP'", {"shop"}),
        ("resourceType eq 'Microsoft.KeyVault/vaults' and name eq 'not-there'", set()),
        ("name eq 'shop' and resourceGroup eq 'LOCAL'", {"shop"}),
        ("name eq 'shop' and resourceGroup eq 'team'", set()),
        ("name eq 'shop' and location eq 'local'", {"shop"}),
        ("resourceType eq 'Microsoft.Storage/storageAccounts'", set()),
    ],
)
def test_resources_are_found_by_type_name_group_and_place(
    managed: Served, asked: Callable[..., Any], filtered: str, found: set[str]
) -> None:
    path = f"/subscriptions/{managed.subscription}/resources?$filter={quote(filtered)}"
    assert {one["name"] for one in asked("GET", path, version=V).json["value"]} == found


def test_what_resources_are_not_filtered_by_is_refused(managed: Served, asked: Callable[..., Any]) -> None:
    filtered = quote("tagName eq 'a'")
    answer = asked("GET", f"/subscriptions/{managed.subscription}/resources?$filter={filtered}", version=V)
    assert (answer.status, answer.code) == (400, "InvalidFilterInQueryString")


def test_every_provider_is_registered_already(managed: Served, asked: Callable[..., Any]) -> None:
    top = f"/subscriptions/{managed.subscription}/providers"
    listed = asked("GET", top, version=V).json["value"]
    assert "Microsoft.KeyVault" in [one["namespace"] for one in listed]
    assert {one["registrationState"] for one in listed} == {"Registered"}
    one = asked("GET", f"{top}/microsoft.keyvault", version=V).json
    assert one in listed
    versions = {kind["resourceType"]: kind["apiVersions"] for kind in one["resourceTypes"]}["vaults"]
    # Who asks for the newest gets it, and it works.
    path = f"/subscriptions/{managed.subscription}/resourceGroups/local/providers/Microsoft.KeyVault/vaults/{SHOP}"
    assert asked("GET", path, version=versions[0]).status == 200
    assert versions == sorted(versions, reverse=True)
    assert asked("POST", f"{top}/Microsoft.KeyVault/register", version=V).json == one
    assert asked("GET", f"{top}/Microsoft.Storage", version=V).code == "InvalidResourceNamespace"


def test_places_are_those_something_is_in(managed: Served, asked: Callable[..., Any]) -> None:
    found = asked("GET", f"/subscriptions/{managed.subscription}/locations", version=V).json["value"]
    assert "local" in [one["name"] for one in found]


@pytest.mark.parametrize("path", ["providers", "providers/Microsoft.KeyVault", "locations"])
def test_whom_nothing_was_given_sees_neither_providers_nor_places(managed: Served, path: str) -> None:
    token = managed.management_token(STRANGER)
    answer = managed.ask(
        "GET",
        f"/subscriptions/{managed.subscription}/{path}?api-version={V}",
        host=managed.management,
        token=token,
    )
    assert (answer.status, answer.code) == (403, "AuthorizationFailed")
