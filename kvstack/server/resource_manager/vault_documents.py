"""A vault as resource manager's clients get it."""

from collections.abc import Iterable
from typing import Any

from kvstack.server.resource_manager.context import VAULTS, Asked, path_of, system_data, timestamp
from kvstack.terms.access_policy import COLLECTIONS, in_order
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.records import NetworkRules, Vault


def vault_document(asked: Asked, vault: Vault) -> dict[str, Any]:
    """Return a live vault with its access policies."""
    properties: dict[str, Any] = {
        "sku": {"family": "A", "name": vault.sku},
        "tenantId": asked.service.tenant_id,
        "accessPolicies": policy_documents(asked, asked.service.access_policies_of(vault)),
        "enabledForDeployment": False,
        "enabledForDiskEncryption": False,
        "enabledForTemplateDeployment": False,
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": vault.soft_delete_retention_days,
        "enableRbacAuthorization": vault.access_model == "rbac",
        "vaultUri": asked.vault_uri(vault),
        "provisioningState": "Succeeded",
        "publicNetworkAccess": "Enabled",
        "networkAcls": _network(vault.network),
    }
    if vault.purge_protection:
        # Never false: Azure refuses that as a wish to switch it off, from whoever sends back what he got.
        properties["enablePurgeProtection"] = True
    return {
        "id": path_of(vault, asked.subscription),
        "name": vault.name,
        "type": VAULTS,
        "location": vault.location,
        "tags": vault.tags,
        "systemData": system_data(vault),
        "properties": properties,
    }


def deleted_document(asked: Asked, vault: Vault) -> dict[str, Any]:
    """Return a soft-deleted vault or Managed HSM."""
    kind, whose = ("deletedVaults", "vaultId") if vault.pool is None else ("deletedManagedHSMs", "mhsmId")
    deletion = vault.deletion
    properties: dict[str, Any] = {
        whose: path_of(vault, asked.subscription),
        "location": vault.location,
        "deletionDate": timestamp(deletion.deleted) if deletion is not None else None,
        "scheduledPurgeDate": timestamp(deletion.scheduled_purge) if deletion is not None else None,
        "tags": vault.tags,
    }
    if vault.purge_protection:
        properties["purgeProtectionEnabled"] = True
    place = f"{asked.subscription}/providers/Microsoft.KeyVault/locations/{vault.location}"
    return {
        "id": f"{place}/{kind}/{vault.name}",
        "name": vault.name,
        "type": f"Microsoft.KeyVault/{kind}",
        "properties": properties,
    }


def policy_documents(asked: Asked, policies: Iterable[AccessPolicy]) -> list[dict[str, Any]]:
    """Return access policies."""
    tenant = asked.service.tenant_id
    return [
        {
            "tenantId": tenant,
            "objectId": one.principal_id,
            "permissions": {kind: list(in_order(kind, getattr(one, kind))) for kind in COLLECTIONS} | {"storage": []},
        }
        for one in policies
    ]


def _network(rules: NetworkRules) -> dict[str, Any]:
    return {
        "bypass": "AzureServices" if rules.bypass == "trusted_services" else "None",
        "defaultAction": rules.default_action.capitalize(),
        "ipRules": [{"value": one} for one in rules.ip_rules],
        "virtualNetworkRules": [],
    }
