"""What resource manager refuses, in its codes: they are not those of the data plane for the same thing."""

from typing import Final

from kvstack.server.answer import Refusal, refused
from kvstack.vault.errors import VaultError

_DECIDED: Final = ("ForbiddenByRbac", "ForbiddenByPolicy")
_CODES: Final = {
    "BadParameter": "BadRequest",
    "VaultNotFound": "ResourceNotFound",
    "NotFound": "ResourceNotFound",
}


def code_of(error: VaultError) -> str:
    """Return resource manager's code for a refusal of the vault's."""
    if error.status == 403 and error.inner in _DECIDED:
        return "AuthorizationFailed"
    if error.inner == "ObjectIsDeletedButRecoverable":
        return "ConflictError"
    return _CODES.get(error.code, error.code)


def bad_request(message: str, code: str = "BadRequest") -> Refusal:
    """Return the refusal of something no vault would take."""
    return Refusal(refused(400, code, message))


def resource_not_found(what: str, resource_group: str) -> Refusal:
    """Return the refusal of a resource that is not there. what: as `Microsoft.KeyVault/vaults/shop`."""
    words = f"The Resource '{what}' under resource group '{resource_group}' was not found."
    return Refusal(refused(404, "ResourceNotFound", words))


def subscription_not_found(subscription: str) -> Refusal:
    """Return the refusal of a subscription that is another's."""
    return Refusal(refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found."))


def elsewhere(name: str, location: str) -> Refusal:
    """Return the refusal to make something in one place that is in another one."""
    words = f"The resource '{name}' already exists in location '{location}'."
    return Refusal(refused(409, "InvalidResourceLocation", words))
