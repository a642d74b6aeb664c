"""The operations on private links: there are none, since who reaches the server reaches all of its vaults."""

from typing import Final

from kvstack.server.answer import Answer
from kvstack.server.resource_manager.context import Asked, empty
from kvstack.server.resource_manager.errors import resource_not_found
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import KEY_VAULT, MANAGED_HSM


def list_of_vault(asked: Asked) -> Answer:
    """PrivateEndpointConnections_ListByResource, PrivateLinkResources_ListByVault."""
    asked.service.get_vault(asked.caller, asked.name, resource_group=asked.group)
    return empty(asked)


def list_of_managed_hsm(asked: Asked) -> Answer:
    """MHSMPrivateEndpointConnections_ListByResource, MHSMPrivateLinkResources_ListByMhsmResource,
    MHSMRegions_ListByResource."""
    asked.service.get_managed_hsm(asked.caller, asked.name, resource_group=asked.group)
    return empty(asked)


def get_of_vault(asked: Asked) -> Answer:
    """PrivateEndpointConnections_Get."""
    list_of_vault(asked)
    raise _nothing(asked, "vaults")


def get_of_managed_hsm(asked: Asked) -> Answer:
    """MHSMPrivateEndpointConnections_Get."""
    list_of_managed_hsm(asked)
    raise _nothing(asked, "managedHSMs")


def _nothing(asked: Asked, kind: str) -> Exception:
    connection = f"privateEndpointConnections/{asked.names['connection']}"
    return resource_not_found(f"Microsoft.KeyVault/{kind}/{asked.name}/{connection}", asked.group)


_GROUP: Final = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault"
_VAULT: Final = f"{_GROUP}/vaults/{{name}}"
_HSM: Final = f"{_GROUP}/managedHSMs/{{name}}"
_CONNECTIONS: Final = "/privateEndpointConnections"
OPERATIONS: Final = (
    Operation("PrivateEndpointConnections_ListByResource", "GET", f"{_VAULT}{_CONNECTIONS}", list_of_vault, KEY_VAULT),
    Operation(
        "PrivateEndpointConnections_Get", "GET", f"{_VAULT}{_CONNECTIONS}/{{connection}}", get_of_vault, KEY_VAULT
    ),
    Operation("PrivateLinkResources_ListByVault", "GET", f"{_VAULT}/privateLinkResources", list_of_vault, KEY_VAULT),
    Operation(
        "MHSMPrivateEndpointConnections_ListByResource",
        "GET",
        f"{_HSM}{_CONNECTIONS}",
        list_of_managed_hsm,
        MANAGED_HSM,
    ),
    Operation(
        "MHSMPrivateEndpointConnections_Get",
        "GET",
        f"{_HSM}{_CONNECTIONS}/{{connection}}",
        get_of_managed_hsm,
        MANAGED_HSM,
    ),
    Operation(
        "MHSMPrivateLinkResources_ListByMhsmResource",
        "GET",
        f"{_HSM}/privateLinkResources",
        list_of_managed_hsm,
        MANAGED_HSM,
    ),
    Operation("MHSMRegions_ListByResource", "GET", f"{_HSM}/regions", list_of_managed_hsm, MANAGED_HSM),
)
