"""The resource providers of the subscription, all of which are registered, and the places things are said to be in."""

from typing import Any, Final

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.resource_manager.context import Asked, listed
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import (
    AUTHORIZATION,
    DENY_ASSIGNMENTS,
    IDENTITIES,
    KEY_VAULT,
    MANAGED_HSM,
    RESOURCES,
    ROLE_DEFINITIONS,
)

_TYPES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "Microsoft.Authorization": {
        "roleAssignments": AUTHORIZATION,
        "roleDefinitions": ROLE_DEFINITIONS,
        "denyAssignments": DENY_ASSIGNMENTS,
    },
    "Microsoft.KeyVault": {
        "vaults": KEY_VAULT,
        "vaults/keys": KEY_VAULT,
        "vaults/secrets": KEY_VAULT,
        "deletedVaults": KEY_VAULT,
        "managedHSMs": MANAGED_HSM,
    },
    "Microsoft.ManagedIdentity": {"userAssignedIdentities": IDENTITIES},
    "Microsoft.Resources": {"subscriptions": RESOURCES, "resourceGroups": RESOURCES, "tenants": RESOURCES},
}


def list_providers(asked: Asked) -> Answer:
    """Providers_List."""
    asked.service.get_home_subscription(asked.caller)
    return listed(asked, _TYPES, str.lower, lambda one: _document(asked, one))


def get_provider(asked: Asked) -> Answer:
    """Providers_Get."""
    return _one(asked)


def register(asked: Asked) -> Answer:
    """Providers_Register: each is registered already."""
    return _one(asked)


def list_locations(asked: Asked) -> Answer:
    """Subscriptions_ListLocations: those that something is in, as far as the caller sees it."""
    asked.service.get_home_subscription(asked.caller)
    groups = asked.service.list_resource_groups(asked.caller)
    found = {place.lower(): place for group in groups for place in group.locations or (group.location,)}
    return answered({"value": [_location(asked, found[one]) for one in sorted(found)]})


def _one(asked: Asked) -> Answer:
    asked.service.get_home_subscription(asked.caller)
    spelled = {one.lower(): one for one in _TYPES}
    namespace = spelled.get(asked.names["namespace"].lower())
    if namespace is None:
        raise Refusal(
            refused(404, "InvalidResourceNamespace", "There is no such resource provider in this subscription.")
        )
    return answered(_document(asked, namespace))


def _document(asked: Asked, namespace: str) -> dict[str, Any]:
    return {
        "id": f"{asked.subscription}/providers/{namespace}",
        "namespace": namespace,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationFree",
        "resourceTypes": [
            {"resourceType": kind, "locations": [], "apiVersions": list(reversed(versions)), "capabilities": "None"}
            for kind, versions in _TYPES[namespace].items()
        ],
    }


def _location(asked: Asked, name: str) -> dict[str, Any]:
    return {
        "id": f"{asked.subscription}/locations/{name}",
        "name": name,
        "type": "Region",
        "displayName": name,
        "regionalDisplayName": name,
    }


_ALL: Final = "/subscriptions/{subscription}/providers"
_ONE: Final = f"{_ALL}/{{namespace}}"
OPERATIONS: Final = (
    Operation("Providers_List", "GET", _ALL, list_providers, RESOURCES),
    Operation("Providers_Get", "GET", _ONE, get_provider, RESOURCES),
    Operation("Providers_Register", "POST", f"{_ONE}/register", register, RESOURCES),
    Operation(
        "Subscriptions_ListLocations", "GET", "/subscriptions/{subscription}/locations", list_locations, RESOURCES
    ),
)
