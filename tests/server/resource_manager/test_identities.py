"""Azure's own client for managed identities, unmodified: one from its making to its end, and what it may meanwhile."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.msi.models import Identity, IdentityUpdate

from kvstack.terms.role import built_in_roles
from tests.server.resource_manager.clients import management
from tests.server.served import READER, STRANGER, Served

USER = built_in_roles()["key vault secrets user"].id


@pytest.fixture(scope="module")
def identities(managed: Served) -> Iterator[Any]:
    with management(managed, ManagedServiceIdentityClient) as found:
        yield found.user_assigned_identities


def test_an_identity_is_made_changed_given_a_role_and_deleted(identities: Any, managed: Served) -> None:
    made = identities.create_or_update("jobs", "Batch", Identity(location="westeurope", tags={"a": "b"}))
    top = f"/subscriptions/{managed.subscription}"
    assert made.id == f"{top}/resourceGroups/jobs/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Batch"
    assert (made.name, made.location, made.tags) == ("Batch", "westeurope", {"a": "b"})
    assert made.tenant_id == managed.tenant
    assert uuid.UUID(made.principal_id) != uuid.UUID(made.client_id)
    same = identities.create_or_update("JOBS", "batch", Identity(location="West Europe", tags={"c": "d"}))
    assert (same.principal_id, same.tags) == (made.principal_id, {"c": "d"})
    assert identities.update("jobs", "Batch", IdentityUpdate(tags={})).tags == {}
    assert identities.get("jobs", "batch").principal_id == made.principal_id
    assert [one.name for one in identities.list_by_resource_group("jobs")] == ["Batch"]
    assert "Batch" in [one.name for one in identities.list_by_subscription()]
    with management(managed, AuthorizationManagementClient) as roles:
        name = str(uuid.uuid4())
        definition = f"{top}/providers/Microsoft.Authorization/roleDefinitions/{USER}"
        # Azure knows an identity as the service principal it is.
        given = roles.role_assignments.create(
            top,
            name,
            {
                "role_definition_id": definition,
                "principal_id": made.principal_id,
                "principal_type": "ServicePrincipal",
            },
        )
        assert given.principal_type == "ServicePrincipal"
        identities.delete("jobs", "Batch")
        with pytest.raises(ResourceNotFoundError):
            roles.role_assignments.get(top, name)
    with pytest.raises(ResourceNotFoundError):
        identities.get("jobs", "Batch")
    assert identities.delete("jobs", "Batch") is None


def test_an_identity_stays_where_it_is(identities: Any) -> None:
    identities.create_or_update("jobs", "stays", Identity(location="westeurope"))
    with pytest.raises(HttpResponseError) as elsewhere:
        identities.create_or_update("jobs", "stays", Identity(location="northeurope", tags={"x": "y"}))
    assert elsewhere.value.error is not None
    assert elsewhere.value.error.code == "InvalidResourceLocation"
    assert identities.get("jobs", "stays").tags == {}


@pytest.mark.parametrize("name", ["ab", "-abc", "a" * 129, STRANGER])
def test_a_name_no_identity_has_is_refused(identities: Any, name: str) -> None:
    with pytest.raises((HttpResponseError, ValueError)):
        identities.create_or_update("jobs", name, Identity(location="westeurope"))


def test_who_may_only_see_makes_none_and_a_stranger_sees_none(managed: Served, identities: Any) -> None:
    identities.create_or_update("jobs", "seen", Identity(location="westeurope"))
    with management(managed, ManagedServiceIdentityClient, READER) as reader:
        assert "seen" in [one.name for one in reader.user_assigned_identities.list_by_subscription()]
        with pytest.raises(HttpResponseError) as refusal:
            reader.user_assigned_identities.create_or_update("jobs", "mine", Identity(location="westeurope"))
        assert refusal.value.status_code == 403
    with management(managed, ManagedServiceIdentityClient, STRANGER) as stranger:
        assert list(stranger.user_assigned_identities.list_by_subscription()) == []
