"""The operations on deleted vaults, and on the names of new ones."""

from typing import Any, Final

import msgspec

from kvstack.server.answer import Answer, answered
from kvstack.server.resource_manager.context import Asked, listed
from kvstack.server.resource_manager.errors import bad_request, resource_not_found
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.vault_documents import deleted_document
from kvstack.server.resource_manager.versions import KEY_VAULT, MANAGED_HSM
from kvstack.vault.errors import NotFound
from kvstack.vault.records import Vault


class CheckName(msgspec.Struct, frozen=True):
    """What a client gives to ask for a name. type: of the resource it is for."""

    name: str
    type: str = ""


def list_deleted_vaults(asked: Asked) -> Answer:
    """Vaults_ListDeleted."""
    found = asked.service.list_deleted_vaults(asked.caller)
    return listed(asked, found, lambda one: one.folded, lambda one: deleted_document(asked, one))


def get_deleted_vault(asked: Asked) -> Answer:
    """Vaults_GetDeleted."""
    return answered(deleted_document(asked, _deleted(asked)))


def purge_deleted_vault(asked: Asked) -> Answer:
    """Vaults_PurgeDeleted: gone for good, with all that was in it, when this answers."""
    _deleted(asked)
    asked.service.purge_vault(asked.caller, asked.name)
    return Answer(200, b"", ())


def check_name(asked: Asked) -> Answer:
    """Vaults_CheckNameAvailability, ManagedHsms_CheckMhsmNameAvailability."""
    given = asked.document(CheckName)
    if given.type and given.type.lower() not in ("microsoft.keyvault/vaults", "microsoft.keyvault/managedhsms"):
        raise bad_request("`type` is `Microsoft.KeyVault/vaults`.")
    found = asked.service.vault_name_availability(asked.caller, given.name)
    document: dict[str, Any] = {"nameAvailable": found.available}
    if not found.available:
        document |= {"reason": found.reason, "message": found.words}
    return answered(document)


def _deleted(asked: Asked) -> Vault:
    """Return the deleted vault, which has to be where it is looked for."""
    location = asked.names["location"]
    nothing = resource_not_found(f"Microsoft.KeyVault/locations/{location}/deletedVaults/{asked.name}", "")
    try:
        found = asked.service.get_deleted_vault(asked.caller, asked.name)
    except NotFound:
        raise nothing from None
    if found.location.replace(" ", "").lower() != location.replace(" ", "").lower():
        raise nothing
    return found


_PROVIDER: Final = "/subscriptions/{subscription}/providers/Microsoft.KeyVault"
_ONE: Final = f"{_PROVIDER}/locations/{{location}}/deletedVaults/{{name}}"
OPERATIONS: Final = (
    Operation("Vaults_ListDeleted", "GET", f"{_PROVIDER}/deletedVaults", list_deleted_vaults, KEY_VAULT),
    Operation("Vaults_GetDeleted", "GET", _ONE, get_deleted_vault, KEY_VAULT),
    Operation("Vaults_PurgeDeleted", "POST", f"{_ONE}/purge", purge_deleted_vault, KEY_VAULT),
    Operation("Vaults_CheckNameAvailability", "POST", f"{_PROVIDER}/checkNameAvailability", check_name, KEY_VAULT),
    Operation(
        "ManagedHsms_CheckMhsmNameAvailability",
        "POST",
        f"{_PROVIDER}/checkMhsmNameAvailability",
        check_name,
        MANAGED_HSM,
    ),
)
