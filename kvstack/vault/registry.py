"""What every decision needs, held in memory while nothing of it changes: vaults, role assignments, principals."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from kvstack.terms.membership import Memberships
from kvstack.terms.name import folded
from kvstack.terms.principal import PrincipalType
from kvstack.terms.role import RoleDefinition, built_in_roles_by_id
from kvstack.terms.role import role as built_in_role
from kvstack.terms.scope import Scope
from kvstack.vault.access import Assignments
from kvstack.vault.access_policy import ACCESS_POLICIES, AccessPolicy, VaultPolicies
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.caller import Caller
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.local_access import LOCAL_ASSIGNMENTS, LOCAL_ROLES, LocalAccess, LocalAssignment, LocalRole
from kvstack.vault.records import Vault
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction


class PrincipalRow(Row, frozen=True, kw_only=True):
    """A known principal. members: ids of a group's direct members."""

    id: str
    type: PrincipalType
    name: str = ""
    members: frozenset[str] = frozenset()


class RegistryMark(Row, frozen=True, kw_only=True):
    """Written anew at every change: its generation, which no row had before, tells which state the registry is in."""

    name: str


class CustomRole(Row, frozen=True, kw_only=True):
    """A role of the store's own. id: the definition's, a GUID in lower case; assignable_scopes: where it may be given,
    at them or below, in lower case."""

    id: str
    definition: RoleDefinition
    assignable_scopes: tuple[Scope, ...]
    created: datetime
    updated: datetime
    updated_by: str = ""


VAULTS = Table("vaults", Vault, ("folded",))
ROLE_ASSIGNMENTS = Table("role_assignments", RoleAssignment, ("id",))
PRINCIPALS = Table("principals", PrincipalRow, ("id",))
DENIALS = Table("deny_assignments", DenyAssignment, ("id",))
ROLE_DEFINITIONS = Table("role_definitions", CustomRole, ("id",))
MARKS = Table("registry_marks", RegistryMark, ("name",))
_MARK: Final = "registry"
_CALLERS: Final = 4096  # whose groups are remembered; they come with a token, so there is no end of them


class Registry:
    """The registry of one state of the store. Used under the store's lock only.

    Changes go through it to the store, so that thousands in one transaction do not read everything again each time.
    """

    def __init__(
        self,
        mark: int,
        vaults: Iterable[Vault],
        assignments: Iterable[RoleAssignment],
        principals: Iterable[PrincipalRow],
        custom_roles: Iterable[CustomRole] = (),
        denials: Iterable[DenyAssignment] = (),
        local: Mapping[str, LocalAccess] | None = None,
        policies: Iterable[AccessPolicy] = (),
    ) -> None:
        self.mark = mark
        self.vaults = {vault.folded: vault for vault in vaults}
        self.role_assignments = {assignment.id: assignment for assignment in assignments}
        self.principals = {principal.id: principal for principal in principals}
        self.custom_roles = {role.id: role for role in custom_roles}
        self.denials = {denial.id: denial for denial in denials}
        self._local = dict(local or {})
        # Asked without the store's lock, while a key is used: one look-up, never a walk.
        self._pools = {vault.pool_id: vault for vault in self.vaults.values() if vault.pool is not None}
        self.assignments = Assignments(self.role_assignments.values(), self.roles(), self.denials.values())
        self._policies: dict[str, VaultPolicies] = {}
        for policy in policies:
            self._policies.setdefault(policy.vault_id, VaultPolicies()).by_principal[policy.principal_id] = policy
        for vault in self.vaults.values():
            self._let_go_by(vault)
        self._memberships: Memberships | None = None
        self._asking: dict[tuple[str, frozenset[str]], tuple[str, ...]] = {}

    def vault(self, name: str) -> Vault | None:
        """Return the vault of this name, live or soft-deleted."""
        return self.vaults.get(folded(name))

    def pool(self, pool_id: str) -> Vault | None:
        """Return the Managed HSM whose keys' provider bears this id, live or soft-deleted."""
        return self._pools.get(pool_id)

    def local(self, name: str) -> LocalAccess:
        """Return who may do what inside the Managed HSM of this name: nobody anything where there is none."""
        vault = self.vault(name)
        if vault is None or vault.pool is None:
            return LocalAccess()
        return self._local.setdefault(vault.id, LocalAccess())

    def policies(self, vault: Vault) -> VaultPolicies:
        """Return a vault's access policies: they are kept while it goes by roles, too."""
        return self._policies.setdefault(vault.id, VaultPolicies())

    def roles(self) -> Mapping[str, RoleDefinition]:
        """Return every role definition by id."""
        if not self.custom_roles:
            return built_in_roles_by_id()
        return {**built_in_roles_by_id(), **{role.id: role.definition for role in self.custom_roles.values()}}

    def role(self, name_or_id: str) -> RoleDefinition:
        """Return the role of this name or id, in any case. Raises ValueError, suggesting near names."""
        wanted = folded(name_or_id)
        for role in self.custom_roles.values():
            if wanted in (role.id, folded(role.definition.name)):
                return role.definition
        return built_in_role(name_or_id)

    @property
    def memberships(self) -> Memberships:
        """Who is in which groups, as the directory has it."""
        if self._memberships is None:
            self._memberships = Memberships(self.principals.values())
        return self._memberships

    def principals_of(self, caller: Caller) -> tuple[str, ...]:
        """Return every id a caller acts under: its own, its groups', and the groups' those are in, loops and all."""
        asking = (caller.id, caller.groups)
        known = self._asking.get(asking)
        if known is None:
            direct = {caller.id, *caller.groups}
            reached = direct.union(*map(self.memberships.ways, direct))
            known = (caller.id, *sorted(reached - {caller.id}))
            if len(self._asking) >= _CALLERS:
                self._asking.clear()
            self._asking[asking] = known
        return known

    def put_vault(self, tx: Transaction, vault: Vault) -> None:
        """Keep a vault."""
        VAULTS.put(tx, vault)
        self.vaults[vault.folded] = vault
        if vault.pool is not None:
            self._pools[vault.pool_id] = vault
        self._let_go_by(vault)

    def remove_vault(self, tx: Transaction, vault: Vault) -> None:
        """Forget a vault, with its access policies."""
        for policy in tuple(self.policies(vault).by_principal.values()):
            self.remove_policy(tx, vault, policy)
        VAULTS.delete(tx, vault.folded)
        del self.vaults[vault.folded]
        del self._policies[vault.id]
        self.assignments.go_by(vault.folded, None)
        self._pools.pop(vault.pool_id, None)

    def put_assignment(self, tx: Transaction, assignment: RoleAssignment) -> None:
        """Keep a role assignment that was not there."""
        ROLE_ASSIGNMENTS.put(tx, assignment)
        self.role_assignments[assignment.id] = assignment
        self.assignments.add(assignment)
        tx.access_changed.append((assignment.scope, "RoleAssignment", assignment.id))

    def remove_assignment(self, tx: Transaction, assignment: RoleAssignment) -> None:
        """Forget a role assignment."""
        ROLE_ASSIGNMENTS.delete(tx, assignment.id)
        del self.role_assignments[assignment.id]
        self.assignments.remove(assignment)
        tx.access_changed.append((assignment.scope, "RoleAssignment", assignment.id))

    def put_policy(self, tx: Transaction, vault: Vault, policy: AccessPolicy) -> None:
        """Keep an access policy of a vault, in place of the one of its principal."""
        ACCESS_POLICIES.put(tx, policy)
        self.policies(vault).by_principal[policy.principal_id] = policy
        tx.access_changed.append((vault, "AccessPolicy", policy.principal_id))

    def remove_policy(self, tx: Transaction, vault: Vault, policy: AccessPolicy) -> None:
        """Forget an access policy of a vault."""
        ACCESS_POLICIES.delete(tx, policy.vault_id, policy.principal_id)
        del self.policies(vault).by_principal[policy.principal_id]
        tx.access_changed.append((vault, "AccessPolicy", policy.principal_id))

    def put_denial(self, tx: Transaction, denial: DenyAssignment) -> None:
        """Keep a denial that was not there."""
        DENIALS.put(tx, denial)
        self.denials[denial.id] = denial
        self.assignments.deny(denial)
        tx.access_changed.append((denial.scope, "DenyAssignment", denial.id))

    def remove_denial(self, tx: Transaction, denial: DenyAssignment) -> None:
        """Forget a denial."""
        DENIALS.delete(tx, denial.id)
        del self.denials[denial.id]
        self.assignments.no_longer_deny(denial)
        tx.access_changed.append((denial.scope, "DenyAssignment", denial.id))

    def put_role(self, tx: Transaction, role: CustomRole) -> None:
        """Keep a role definition, in place of the one of its id."""
        ROLE_DEFINITIONS.put(tx, role)
        self.custom_roles[role.id] = role
        self.assignments.put_role(role.definition)
        tx.access_changed.append((None, "RoleDefinition", role.id))

    def remove_role(self, tx: Transaction, role: CustomRole) -> None:
        """Forget a role definition: what is still given of it allows nothing."""
        ROLE_DEFINITIONS.delete(tx, role.id)
        del self.custom_roles[role.id]
        self.assignments.remove_role(role.id)
        tx.access_changed.append((None, "RoleDefinition", role.id))

    def put_local_assignment(self, tx: Transaction, home: Vault, assignment: LocalAssignment) -> None:
        """Keep an assignment inside a Managed HSM that was not there."""
        LOCAL_ASSIGNMENTS.put(tx, assignment)
        self.local(home.name).put_assignment(assignment)
        tx.access_changed.append((home, "RoleAssignment", assignment.id))

    def remove_local_assignment(self, tx: Transaction, home: Vault, assignment: LocalAssignment) -> None:
        """Forget an assignment inside a Managed HSM."""
        LOCAL_ASSIGNMENTS.delete(tx, assignment.vault_id, assignment.id)
        self.local(home.name).remove_assignment(assignment)
        tx.access_changed.append((home, "RoleAssignment", assignment.id))

    def put_local_role(self, tx: Transaction, home: Vault, role: LocalRole) -> None:
        """Keep a role of a Managed HSM's own, in place of the one of its id."""
        LOCAL_ROLES.put(tx, role)
        self.local(home.name).put_role(role)
        tx.access_changed.append((home, "RoleDefinition", role.id))

    def remove_local_role(self, tx: Transaction, home: Vault, role: LocalRole) -> None:
        """Forget a role of a Managed HSM's own: what is still given of it allows nothing."""
        LOCAL_ROLES.delete(tx, role.vault_id, role.id)
        self.local(home.name).remove_role(role)
        tx.access_changed.append((home, "RoleDefinition", role.id))

    def remove_local(self, tx: Transaction, home: Vault) -> None:
        """Forget who may do what inside a Managed HSM."""
        local = self.local(home.name)
        for assignment in tuple(local.assignments.values()):
            self.remove_local_assignment(tx, home, assignment)
        for role in tuple(local.custom_roles.values()):
            self.remove_local_role(tx, home, role)

    def put_principal(self, tx: Transaction, principal: PrincipalRow) -> None:
        """Keep a principal, in place of what was known of it."""
        PRINCIPALS.put(tx, principal)
        self.principals[principal.id] = principal
        self._memberships = None
        self._asking = {}

    def remove_principal(self, tx: Transaction, principal_id: str) -> None:
        """Forget a principal, and that it is in any group."""
        for group in [one for one in self.principals.values() if principal_id in one.members]:
            self.put_principal(tx, msgspec.structs.replace(group, members=group.members - {principal_id}))
        PRINCIPALS.delete(tx, principal_id)
        self.principals.pop(principal_id, None)
        self._memberships = None
        self._asking = {}

    def set_mark(self, tx: Transaction) -> None:
        """Tell others that what they hold in memory is no longer so."""
        MARKS.put(tx, RegistryMark(name=_MARK))
        self.mark = stored_mark(tx)

    def _let_go_by(self, vault: Vault) -> None:
        by_policies = vault.access_model == "access_policies"
        self.assignments.go_by(vault.folded, self.policies(vault) if by_policies else None)


def stored_mark(tx: Transaction) -> int:
    """Return the state the store's registry is in, from the ledger: it is in memory, so every operation can ask."""
    return tx.ledger.entry(tx.reader, tx.ledger.lasting_number(MARKS.name, (_MARK,))) or 0


def read_registry(tx: Transaction) -> Registry:
    """Read the registry, checking every row."""
    given: dict[str, tuple[list[LocalAssignment], list[LocalRole]]] = {}
    for assignment in LOCAL_ASSIGNMENTS.scan(tx):
        given.setdefault(assignment.vault_id, ([], []))[0].append(assignment)
    for role in LOCAL_ROLES.scan(tx):
        given.setdefault(role.vault_id, ([], []))[1].append(role)
    return Registry(
        stored_mark(tx),
        VAULTS.scan(tx),
        ROLE_ASSIGNMENTS.scan(tx),
        PRINCIPALS.scan(tx),
        ROLE_DEFINITIONS.scan(tx),
        DENIALS.scan(tx),
        {vault_id: LocalAccess(*found) for vault_id, found in given.items()},
        ACCESS_POLICIES.scan(tx),
    )
