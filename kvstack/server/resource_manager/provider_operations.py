"""The operations there are for roles to name: what resource manager manages, and what is done with data."""

from collections.abc import Iterable
from typing import Any, Final

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.resource_manager.context import Asked
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import AUTHORIZATION, IDENTITIES, KEY_VAULT
from kvstack.terms.role import data_actions
from kvstack.vault import (
    access_policies,
    assignments,
    denials,
    eligible_assignments,
    engine,
    identities,
    managed_hsms,
    name_availability,
    resource_groups,
    role_definitions,
    vaults,
)

_NAMES: Final = {
    "Microsoft.KeyVault": "Key Vault",
    "Microsoft.Authorization": "Authorization",
    "Microsoft.ManagedIdentity": "Managed Identity",
    "Microsoft.Resources": "Resources",
}
# Every action that an operation here asks for.
CONTROL: Final = (
    vaults.READ,
    vaults.WRITE,
    vaults.DELETE,
    vaults.READ_DELETED,
    vaults.PURGE,
    access_policies.WRITE,
    name_availability.READ,
    engine.READ_HSM,
    managed_hsms.WRITE,
    managed_hsms.DELETE,
    managed_hsms.READ_DELETED,
    managed_hsms.PURGE,
    assignments.READ,
    assignments.WRITE,
    assignments.DELETE,
    eligible_assignments.READ,
    role_definitions.READ,
    role_definitions.WRITE,
    role_definitions.DELETE,
    denials.READ,
    denials.WRITE,
    denials.DELETE,
    vaults.WRITE_LOCK,
    identities.READ,
    identities.WRITE,
    identities.DELETE,
    resource_groups.READ,
    resource_groups.READ_SUBSCRIPTION,
)


def list_key_vault(_: Asked) -> Answer:
    """Operations_List of Microsoft.KeyVault."""
    return answered({"value": _operations("Microsoft.KeyVault")})


def list_managed_identity(_: Asked) -> Answer:
    """Operations_List of Microsoft.ManagedIdentity."""
    return answered({"value": _operations("Microsoft.ManagedIdentity")})


def list_providers(_: Asked) -> Answer:
    """ProviderOperationsMetadata_List."""
    return answered({"value": [_provider(name) for name in _NAMES]})


def get_provider(asked: Asked) -> Answer:
    """ProviderOperationsMetadata_Get."""
    wanted = asked.names["namespace"].lower()
    for name in _NAMES:
        if name.lower() == wanted:
            return answered(_provider(name))
    raise Refusal(refused(404, "ProviderNotFound", "There is no such resource provider here."))


def _provider(namespace: str) -> dict[str, Any]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for one in _operations(namespace):
        grouped.setdefault(one["display"]["resource"], []).append(
            {
                "name": one["name"],
                "displayName": one["display"]["operation"],
                "description": one["display"]["description"],
                "isDataAction": one["isDataAction"],
            }
        )
    return {
        "id": f"/providers/Microsoft.Authorization/providerOperations/{namespace}",
        "name": namespace,
        "type": "Microsoft.Authorization/providerOperations",
        "displayName": _NAMES[namespace],
        "operations": [],
        "resourceTypes": [{"name": kind, "displayName": kind, "operations": found} for kind, found in grouped.items()],
    }


def _operations(namespace: str) -> list[dict[str, Any]]:
    start = f"{namespace}/"
    return [*_told(CONTROL, start, data=False), *_told(data_actions(), start, data=True)]


def _told(actions: Iterable[str], start: str, *, data: bool) -> list[dict[str, Any]]:
    found = []
    for action in sorted({one for one in actions if one.startswith(start)}, key=str.lower):
        parts = action.removeprefix(start).removesuffix("/action").split("/")
        kind, verb = "/".join(parts[:-1]), parts[-1]
        found.append(
            {
                "name": action,
                "isDataAction": data,
                "display": {
                    "provider": _NAMES[start.removesuffix("/")],
                    "resource": kind,
                    "operation": f"{verb} {kind}",
                    "description": f"{verb} {'the data of ' if data else ''}{kind}",
                },
            }
        )
    return found


_ALL: Final = "/providers/Microsoft.Authorization/providerOperations"
OPERATIONS: Final = (
    Operation("Operations_List", "GET", "/providers/Microsoft.KeyVault/operations", list_key_vault, KEY_VAULT),
    Operation(
        "Operations_List", "GET", "/providers/Microsoft.ManagedIdentity/operations", list_managed_identity, IDENTITIES
    ),
    Operation("ProviderOperationsMetadata_List", "GET", _ALL, list_providers, AUTHORIZATION),
    Operation("ProviderOperationsMetadata_Get", "GET", f"{_ALL}/{{namespace}}", get_provider, AUTHORIZATION),
)
