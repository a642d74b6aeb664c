"""What is changed through resource manager is drift to who declared it otherwise, and goes back by an apply."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault.models import NetworkRuleSet, VaultPatchParameters, VaultPatchProperties

from tests.e2e.command_line import OK, Ran, begun, copied, ended, write
from tests.server.resource_manager.clients import management
from tests.server.served import READER, Served

CHANGES = 2
STACK = f"""
stack: payments
backend: {{type: embedded}}
principals:
  reader: {{type: service_principal, id: {READER}}}
vaults:
  payments-dev:
    tags: {{team: payments}}
    network: {{default_action: deny, ip_rules: [127.0.0.1]}}
    access:
      - {{principal: reader, role: Key Vault Secrets User}}
"""


@pytest.fixture
def declared(owned_vault: Path, tmp_path: Path) -> Iterator[Served]:
    folder = copied(owned_vault, tmp_path / "stack")
    write(folder, STACK)
    assert run(folder, "apply", "--yes").code == OK
    server = Served(folder)
    yield server
    server.kill()


def run(folder: Path, *arguments: str) -> Ran:
    return ended(begun(folder, *arguments))


def test_what_was_changed_through_resource_manager_is_drift_and_is_put_back(declared: Served) -> None:
    folder = declared.folder
    assert run(folder, "drift").code == OK
    with management(declared, KeyVaultManagementClient) as vaults:
        there = vaults.vaults.get("local", "payments-dev")
        # What the stack made is told by its tags here, too.
        assert there.tags["kvstack-stack"] == "payments"
        open_to_all = VaultPatchProperties(network_acls=NetworkRuleSet(default_action="Allow"))
        vaults.vaults.update("local", "payments-dev", VaultPatchParameters(properties=open_to_all))
    with management(declared, AuthorizationManagementClient) as roles:
        scope: Any = there.id
        (given,) = [one for one in roles.role_assignments.list_for_scope(scope, filter=f"principalId eq '{READER}'")
                    if one.scope == scope]  # fmt: skip
        roles.role_assignments.delete(scope, given.name)
    drifted = run(folder, "drift")
    assert drifted.code == CHANGES
    assert "payments-dev" in drifted.out
    assert "network" in drifted.out
    assert "payments-dev/access/reader/key-vault-secrets-user" in drifted.out
    planned = run(folder, "plan", "--detailed-exitcode")
    assert planned.code == CHANGES
    assert "default_action" in planned.out
    assert run(folder, "apply", "--yes").code == OK
    assert run(folder, "drift").code == OK
    with management(declared, KeyVaultManagementClient) as vaults:
        assert vaults.vaults.get("local", "payments-dev").properties.network_acls.default_action == "Deny"
