"""What is in a vault, told by the vault itself: every version, and of every value a digest."""

import hashlib
from pathlib import Path
from typing import Any

from kvstack.vault.errors import VaultError
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock


def facts(folder: Path) -> dict[str, Any]:
    """Return it. A name with `(deleted)` is soft-deleted."""
    unlocked = unlock(folder)
    try:
        service, audit = VaultService(unlocked), unlocked.audit.verify()
        operator = service.operator
        things: dict[str, Any] = {}
        values: dict[str, str] = {}
        for vault in service.list_vaults(operator):
            things[vault.name] = 1
            for key in service.list_keys(operator, vault.name):
                things[f"{vault.name}/keys/{key.name}"] = len(service.list_key_versions(operator, vault.name, key.name))
            for secret in service.list_secrets(operator, vault.name):
                place = f"{vault.name}/secrets/{secret.name}"
                things[place] = len(service.list_secret_versions(operator, vault.name, secret.name))
                values[place] = _digest(service, vault.name, secret.name)
            for issuer in service.list_issuers(operator, vault.name):
                things[f"{vault.name}/issuers/{issuer.name}: {issuer.provider} {issuer.account_id}"] = 1
            for contact in service.get_contacts(operator, vault.name):
                things[f"{vault.name}/contacts: {contact.email} {contact.name} {contact.phone}"] = 1
            for key in service.list_deleted_keys(operator, vault.name):
                things[f"{vault.name}/keys/{key.name} (deleted)"] = 1
            for secret in service.list_deleted_secrets(operator, vault.name):
                things[f"{vault.name}/secrets/{secret.name} (deleted)"] = 1
        for vault in service.list_deleted_vaults(operator):
            things[f"{vault.name} (deleted)"] = 1
        for assignment in service.list_role_assignments(operator):
            if assignment.principal_id != operator.id:
                things[
                    f"{assignment.scope.path.rpartition('/')[2]}: {assignment.role_id} of {assignment.principal_id}"
                ] = 1
        return {
            "things": things,
            "values": values,
            "audit": None if audit.problem is None else audit.problem.what,
            "operations": [record.operation for record in unlocked.audit.records() if record.result == "Success"],
        }
    finally:
        unlocked.close()


def _digest(service: VaultService, vault: str, name: str) -> str:
    try:
        value = service.get_secret(service.operator, vault, name).value
    except VaultError:
        return "not readable"
    return hashlib.sha256(value.reveal()).hexdigest() if value is not None else "none"
