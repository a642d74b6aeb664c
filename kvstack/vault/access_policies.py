"""Access policies of a vault, Azure's older model: set, taken away, listed. Managing them is resource manager's."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.terms import limits
from kvstack.terms.access_policy import COLLECTIONS, Enough, permission_problems, spelled
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
# What is given is added to what a principal has, taken from it, or stands in its place; `all`: and who is not among the
# given has nothing any more.
Change = Literal["add", "remove", "replace", "all"]


class GivenPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants a principal to have in a vault, in any spelling of Azure's."""

    principal_id: str
    keys: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    certificates: frozenset[str] = frozenset()


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
            there = policy_of(attempt, home, principal_id)
            if there is not None and only_if_absent:
                raise Conflict(
                    f"{principal_id} has an access policy in vault `{home.name}` already",
                    "Somebody set it since the plan was made: run `kvstack plan` again.",
                )
            given = zip(COLLECTIONS, (keys, secrets, certificates), strict=True)
            return _put(attempt, home, principal_id, given, declared_by)

    def change_access_policies(
        self,
        caller: Caller,
        vault: str,
        given: Sequence[GivenPolicy],
        change: Change,
        *,
        resource_group: str | None = None,
    ) -> tuple[AccessPolicy, ...]:
        """Change several policies of a vault at once, or none. resource_group: the one it has to be in, any where None.
        Returns all the vault has then, by principal. Raises BadParameter where a principal stands twice."""
        with self._attempt(caller, "VaultAccessPolicyPut", self._scope(vault)) as attempt, attempt.transaction():
            home = self._managed(attempt, vault, WRITE, resource_group)
            principals = [one.principal_id.lower() for one in given]
            if len({*principals}) != len(principals):
                raise BadParameter("a principal stands twice among the access policies", "Give all of it at once.")
            before = dict(attempt.registry.policies(home).by_principal)
            for one in given:
                _change(attempt, home, one, change)
            if change == "all":
                for principal in before.keys() - {*principals}:
                    _remove(attempt, home, before[principal])
            now = attempt.registry.policies(home).by_principal
            changed = [
                principal
                for principal in sorted({*before, *now})
                if _meaning(before.get(principal)) != _meaning(now.get(principal))
            ]
            attempt.details.clear()
            attempt.details.update(change=change, principals=" ".join(changed))
            return listed_policies(attempt, home.name)

    def delete_access_policy(self, caller: Caller, vault: str, principal_id: str) -> AccessPolicy:
        """Take a principal's policy away. Raises NotFound where he has none of his own."""
        with self._attempt(caller, "VaultAccessPolicyDelete", self._scope(vault)) as attempt, attempt.transaction():
            home = self._managed(attempt, vault, WRITE)
            policy = policy_of(attempt, home, principal_id)
            if policy is None:
                raise NotFound(
                    f"{principal_id} has no access policy in vault `{home.name}`",
                    f"`kvstack vault show {home.name}` shows those there are.",
                    code="AccessPolicyNotFound",
                )
            _remove(attempt, home, policy)
            return policy

    def list_access_policies(self, caller: Caller, vault: str) -> tuple[AccessPolicy, ...]:
        """Return a vault's access policies, by principal: who sees the vault sees them, as on Azure."""
        with self._attempt(caller, "VaultAccessPolicyList", self._scope(vault)) as attempt, attempt.reading():
            return listed_policies(attempt, self._managed(attempt, vault, READ).name)


def policy_of(attempt: Attempt, home: Vault, principal_id: str) -> AccessPolicy | None:
    """Return the policy a principal has in a vault, None where it has none of its own."""
    return attempt.registry.policies(home).by_principal.get(principal_id.lower())


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


def _change(attempt: Attempt, home: Vault, given: GivenPolicy, change: Change) -> None:
    there = policy_of(attempt, home, given.principal_id)
    wanted = {kind: spelled(kind, getattr(given, kind)) for kind in COLLECTIONS}
    had = {kind: getattr(there, kind) if there is not None else frozenset() for kind in COLLECTIONS}
    left = wanted
    if change == "add":
        left = {kind: had[kind] | wanted[kind] for kind in COLLECTIONS}
    elif change == "remove":
        left = {kind: had[kind] - wanted[kind] for kind in COLLECTIONS}
    if left == had:
        return
    if there is not None and not any(left.values()):
        # A policy that permits nothing is none.
        _remove(attempt, home, there)
        return
    _put(attempt, home, given.principal_id, tuple(left.items()), there.declared_by if there is not None else "")


def _put(
    attempt: Attempt,
    home: Vault,
    principal_id: str,
    given: Iterable[tuple[ItemCollection, Given]],
    declared_by: str,
) -> AccessPolicy:
    """Keep a principal's policy, in place of the one it had."""
    there = policy_of(attempt, home, principal_id)
    policy = AccessPolicy(
        vault_id=home.id,
        principal_id=principal_id.lower(),
        declared_by=declared_by,
        created=there.created if there is not None else attempt.now,
        updated=attempt.now,
        updated_by=attempt.caller.id,
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


def _remove(attempt: Attempt, home: Vault, policy: AccessPolicy) -> None:
    require_approved(attempt, _deed(attempt, "take", home, policy))
    attempt.details.update(principal=policy.principal_id)
    attempt.changes_registry().remove_policy(attempt.tx, home, policy)


def _meaning(policy: AccessPolicy | None) -> Enough:
    return policy.permissions if policy is not None else frozenset()


def _deed(attempt: Attempt, verb: str, home: Vault, policy: AccessPolicy) -> Deed:
    """Return the giving or taking of a policy, as an approval is about it."""
    who = named(attempt, policy.principal_id)
    what = policy_words(who, policy.keys, policy.secrets, policy.certificates)
    return access(place(attempt.scope_of(home)), verb, what)


def _permissions(kind: ItemCollection, wanted: Given, there: AccessPolicy | None) -> frozenset[str]:
    if wanted is UNSET:
        return frozenset() if there is None else getattr(there, kind)
    return spelled(kind, wanted)
