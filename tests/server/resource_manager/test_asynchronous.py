"""Azure's asynchronous client for roles, unmodified."""

import asyncio
import uuid
from typing import Any

from azure.identity.aio import ClientSecretCredential
from azure.mgmt.authorization.aio import AuthorizationManagementClient

from kvstack.terms.role import built_in_roles
from tests.server.served import APP, STRANGER, Served

USER = built_in_roles()["key vault secrets user"].id


def test_a_role_is_given_seen_and_taken_away(managed: Served) -> None:
    subscription = f"/subscriptions/{managed.subscription}"
    name = str(uuid.uuid4())
    role = f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{USER}"

    async def use(roles: Any) -> None:
        made = await roles.role_assignments.create(
            subscription, name, {"role_definition_id": role, "principal_id": STRANGER}
        )
        assert made.principal_id == STRANGER
        assert name in [one.name async for one in roles.role_assignments.list_for_subscription()]
        assert "Key Vault Secrets User" in [one.role_name async for one in roles.role_definitions.list(subscription)]
        assert (await roles.role_assignments.delete(subscription, name)).name == name

    async def used() -> None:
        credential = ClientSecretCredential(
            managed.tenant,
            APP,
            managed.secret(),
            authority=f"https://{managed.login}",
            disable_instance_discovery=True,
            **managed.transport,
        )
        client = AuthorizationManagementClient(
            credential,
            managed.subscription,
            base_url=f"https://{managed.management}",
            credential_scopes=[f"https://{managed.management}/.default"],
            **managed.transport,
        )
        async with credential, client:
            await use(client)

    asyncio.run(used())
