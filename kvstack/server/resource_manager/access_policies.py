"""The operation on a vault's access policies: added, replaced, taken away."""

from typing import Final

from kvstack.server.answer import Answer, answered
from kvstack.server.resource_manager.context import Asked, path_of
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.vault_bodies import PutPolicies, policies_of
from kvstack.server.resource_manager.vault_documents import policy_documents
from kvstack.server.resource_manager.versions import KEY_VAULT
from kvstack.vault.access_policies import Change

_CHANGES: Final[dict[str, Change]] = {"add": "add", "replace": "replace", "remove": "remove"}


def update_access_policy(asked: Asked) -> Answer:
    """Vaults_UpdateAccessPolicy. Returns all the vault has then."""
    change = _CHANGES.get(asked.names["kind"].lower())
    if change is None:
        raise bad_request("Access policies are changed by `add`, `replace` or `remove`.", "InvalidOperationKind")
    given = policies_of(asked.document(PutPolicies).properties.access_policies, asked.service.tenant_id)
    left = asked.service.change_access_policies(asked.caller, asked.name, given, change, resource_group=asked.group)
    vault = asked.service.get_vault(asked.caller, asked.name, resource_group=asked.group)
    return answered(
        {
            "id": f"{path_of(vault, asked.subscription)}/accessPolicies/",
            "type": "Microsoft.KeyVault/vaults/accessPolicies",
            "location": vault.location,
            "properties": {"accessPolicies": policy_documents(asked, left)},
        }
    )


OPERATIONS: Final = (
    Operation(
        "Vaults_UpdateAccessPolicy",
        "PUT",
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"
        "/accessPolicies/{kind}",
        update_access_policy,
        KEY_VAULT,
    ),
)
