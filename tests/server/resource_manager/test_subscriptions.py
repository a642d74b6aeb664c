"""Where vaults are, asked without any client: tenant, subscription, groups, everything in one list."""

from collections.abc import Callable
from typing import Any

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
