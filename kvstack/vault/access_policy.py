"""What a vault's access policies permit: whom, and what on its keys, secrets and certificates."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Final

from kvstack.terms.access_policy import COLLECTIONS, Enough
from kvstack.vault.table import Row, Table

AUDITED: Final = "policy:"  # how a policy is told from a role assignment in the audit


class AccessPolicy(Row, frozen=True, kw_only=True, dict=True):
    """One policy: what one principal, or a group, may do in one vault. principal_id: in lower case; declared_by: the
    stack that set it, empty where none did."""

    vault_id: str
    principal_id: str
    keys: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    certificates: frozenset[str] = frozenset()
    declared_by: str = ""
    created: datetime
    updated: datetime
    updated_by: str = ""

    @cached_property
    def audited(self) -> str:
        """What a record in the audit says it was allowed by, as it names a role assignment by its id."""
        return f"{AUDITED}{self.vault_id}/{self.principal_id}"

    @cached_property
    def permissions(self) -> Enough:
        """All it permits, as `secrets/get`."""
        return frozenset(f"{kind}/{name}" for kind in COLLECTIONS for name in getattr(self, kind))


ACCESS_POLICIES = Table("access_policies", AccessPolicy, ("vault_id", "principal_id"))


class VaultPolicies:
    """The policies of one vault, by principal."""

    __slots__ = ("by_principal",)

    def __init__(self, policies: Iterable[AccessPolicy] = ()) -> None:
        self.by_principal = {policy.principal_id: policy for policy in policies}

    def permitting(self, principals: tuple[str, ...], enough: Enough) -> Iterable[AccessPolicy]:
        """Yield the policies of somebody who acts under these ids that permit one of these, his own first."""
        for principal in principals:
            policy = self.by_principal.get(principal)
            if policy is not None and not enough.isdisjoint(policy.permissions):
                yield policy
