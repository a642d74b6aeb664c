"""Access policies of a vault, Azure's older model: set, taken away, listed. Managing them is resource manager's."""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import UNSET, UnsetType

from kvstack.terms import limits
from kvstack.terms.access_policy import COLLECTIONS, permission_problems, spelled
from kvstack.terms.approval import Deed, access, policy_words
from kvstack.terms.principal import is_guid
from kvstack.terms.scope import ItemCollection
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.approval_guard import named, place, require_approved
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from kvstack.vault.records import Vault
from kvstack.vault.vaults import READ, VaultOperations

# Azure's for adding, replacing and removing alike. Who has it gives himself what is in the vault: Key Vault Contributor
# does, as on Azure.
WRITE: Final = "Microsoft.KeyVault/vaults/accessPolicies/write"
Given = Iterable[str] | UnsetType


class AccessPolicyOperations(VaultOperations):
    """What can be done with a vault's access policies. They are kept in a vault under roles, too, and count there once
    it goes by policies."""

    def set_access_policy(
        self,
        caller: Caller,
        vault: str,
        principal_id: str,
        *,
        keys: Given = UNSET,
        secrets: Given = UNSET,
        certificates: Given = UNSET,
        declared_by: str = "",
        only_if_absent: bool = False,
    ) -> AccessPolicy:
        """Set what a principal may do in a vault, in place of what he might before; of a kind that is not given, that
        stays. keys, secrets, certificates: Azure's permissions, `all` for every one; declared_by: the stack that sets
        it; only_if_absent: raise Conflict where the principal has one."""
        with self._attempt(caller, "VaultAccessPolicyPut", self._scope(vault)) as attempt, attempt.transaction():
            home = self._managed(attempt, vault, WRITE)
            there = attempt.registry.policies(home).by_principal.get(principal_id.lower())
            if there is not None and only_if_absent:
                raise Conflict(
                    f"{principal_id} has an access policy in vault `{home.name}` already",
                    "Somebody set it since the plan was made: run `kvstack plan` again.",
                )
            given = zip(COLLECTIONS, (keys, secrets, certificates), strict=True)
            policy = AccessPolicy(
                vault_id=home.id,
                principal_id=principal_id.lower(),
                declared_by=declared_by,
                created=there.created if there is not None else attempt.now,
                updated=attempt.now,
                updated_by=caller.id,
                **{kind: _permissions(kind, wanted, there) for kind, wanted in given},
            )
            found = list(policy_problems(policy))
            if found:
                raise BadParameter.of(found)
            if there is None and len(attempt.registry.policies(home).by_principal) >= limits.ACCESS_POLICIES:
                raise Conflict(
                    f"vault `{home.name}` has {limits.ACCESS_POLICIES} access policies, it can have no more",
                    "Give them to groups, or change the vault to `rbac`.",
                )
            if there is None:
                require_approved(attempt, _deed(attempt, "give", home, policy))
            elif there.permissions != policy.permissions:
                require_approved(attempt, _deed(attempt, "take", home, there), _deed(attempt, "give", home, policy))
            attempt.details.update(principal=policy.principal_id, permissions=" ".join(sorted(policy.permissions)))
            attempt.changes_registry().put_policy(attempt.tx, home, policy)
            return policy

    def delete_access_policy(self, caller: Caller, vault: str, principal_id: str) -> AccessPolicy:
        """Take a principal's policy away. Raises NotFound where he has none of his own."""
        with self._attempt(caller, "VaultAccessPolicyDelete", self._scope(vault)) as attempt, attempt.transaction():
            home = self._managed(attempt, vault, WRITE)
            policy = attempt.registry.policies(home).by_principal.get(principal_id.lower())
            if policy is None:
                raise NotFound(
                    f"{principal_id} has no access policy in vault `{home.name}`",
                    f"`kvstack vault show {home.name}` shows those there are.",
                    code="AccessPolicyNotFound",
                )
            require_approved(attempt, _deed(attempt, "take", home, policy))
            attempt.details.update(principal=policy.principal_id)
            attempt.changes_registry().remove_policy(attempt.tx, home, policy)
            return policy

    def list_access_policies(self, caller: Caller, vault: str) -> tuple[AccessPolicy, ...]:
        """Return a vault's access policies, by principal: who sees the vault sees them, as on Azure."""
        with self._attempt(caller, "VaultAccessPolicyList", self._scope(vault)) as attempt, attempt.reading():
            return listed_policies(attempt, self._managed(attempt, vault, READ).name)


def listed_policies(attempt: Attempt, vault: str) -> tuple[AccessPolicy, ...]:
    """Return a vault's access policies, by principal; none where there is no such vault."""
    home = attempt.registry.vault(vault)
    found = attempt.registry.policies(home).by_principal if home is not None else {}
    return tuple(found[principal] for principal in sorted(found))


def policy_problems(policy: AccessPolicy) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for what no vault would take as a policy."""
    if not is_guid(policy.principal_id):
        yield "principal", f"`{policy.principal_id}` is no principal's id: a GUID is"
    for kind in COLLECTIONS:
        for words in permission_problems(kind, getattr(policy, kind)):
            yield kind, words
    if not policy.permissions:
        yield "permissions", "a policy that permits nothing: delete it instead"


def _deed(attempt: Attempt, verb: str, home: Vault, policy: AccessPolicy) -> Deed:
    """Return the giving or taking of a policy, as an approval is about it."""
    who = named(attempt, policy.principal_id)
    what = policy_words(who, policy.keys, policy.secrets, policy.certificates)
    return access(place(attempt.scope_of(home)), verb, what)


def _permissions(kind: ItemCollection, wanted: Given, there: AccessPolicy | None) -> frozenset[str]:
    if wanted is UNSET:
        return frozenset() if there is None else getattr(there, kind)
    return spelled(kind, wanted)
