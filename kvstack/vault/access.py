"""Who may do what: the one evaluator, pure, for every operation and every question about access."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

import msgspec

from kvstack.terms.access_policy import Enough, enough
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.access_policy import AccessPolicy, VaultPolicies
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.permissions import Permissions, permissions

DENIAL_ACTIONS: Final = "Microsoft.Authorization/denyAssignments/"
ScopeKey = tuple[str, str, str, str]
_REMEMBERED: Final = 16_384  # answers for somebody's groups at one scope


class Request(msgspec.Struct, frozen=True):
    """One question. principals: the caller's id and those of all its groups; data: whether the action is on data in a
    vault, or on what resource manager manages; permissions: what an access policy has to permit for it, any of them;
    None for what stands for the action."""

    principals: tuple[str, ...]
    action: str
    data: bool
    scope: Scope
    permissions: Enough | None = None

    @property
    def enough(self) -> Enough:
        """What an access policy has to permit, any of them."""
        return enough(self.action) if self.permissions is None else self.permissions


class Decision(msgspec.Struct, frozen=True):
    """The answer, and what it rests on: the assignment or policy that allows it, or the denial that forbids it."""

    allowed: bool
    assignment: RoleAssignment | None = None
    denial: DenyAssignment | None = None
    policy: AccessPolicy | None = None


DENIED = Decision(False)


class Assignments:
    """All role assignments, found by principal and scope, so that a decision does not look at all of them; all denials,
    by scope; and the access policies of the vaults that go by them, by vault and principal.

    roles: every definition by id. An assignment of a role that is not known allows nothing. policies: by folded name of
    the vault; a vault that is not there goes by roles.
    """

    def __init__(
        self,
        assignments: Iterable[RoleAssignment],
        roles: Mapping[str, RoleDefinition],
        denials: Iterable[DenyAssignment] = (),
        policies: Mapping[str, VaultPolicies] | None = None,
    ) -> None:
        self._permissions = {role_id: permissions(role) for role_id, role in roles.items()}
        self._by_principal: dict[str, dict[ScopeKey, tuple[RoleAssignment, ...]]] = {}
        self._denials: dict[ScopeKey, tuple[DenyAssignment, ...]] = {}
        # By who asks about what, and one scope: what all his groups were given there is gone through once.
        self._allowing: dict[tuple[tuple[str, ...], str, bool, ScopeKey], tuple[RoleAssignment, ...]] = {}
        self._policies = dict(policies or {})
        for assignment in assignments:
            self.add(assignment)
        for denial in denials:
            self.deny(denial)

    def add(self, assignment: RoleAssignment) -> None:
        """Take one more into account."""
        self._allowing.clear()
        here = self._by_principal.setdefault(assignment.principal_id, {})
        key = scope_key(assignment.scope)
        here[key] = (*here.get(key, ()), assignment)

    def remove(self, assignment: RoleAssignment) -> None:
        """Take one out again."""
        self._allowing.clear()
        here = self._by_principal.get(assignment.principal_id, {})
        key = scope_key(assignment.scope)
        left = tuple(other for other in here.get(key, ()) if other.id != assignment.id)
        if left:
            here[key] = left
        else:
            here.pop(key, None)

    def deny(self, denial: DenyAssignment) -> None:
        """Take one more denial into account."""
        key = scope_key(denial.scope)
        self._denials[key] = (*self._denials.get(key, ()), denial)

    def no_longer_deny(self, denial: DenyAssignment) -> None:
        """Take a denial out again."""
        key = scope_key(denial.scope)
        left = tuple(other for other in self._denials.get(key, ()) if other.id != denial.id)
        if left:
            self._denials[key] = left
        else:
            self._denials.pop(key, None)

    @property
    def any_denials(self) -> bool:
        """Whether there is a denial at all: mostly there is none."""
        return bool(self._denials)

    def denying(self, request: Request) -> DenyAssignment | None:
        """Return the nearest denial that forbids what is asked."""
        # Else a denial of everything could never be taken away again.
        if not self._denials or request.action.lower().startswith(DENIAL_ACTIONS.lower()):
            return None
        for height, key in enumerate(scope_keys(request.scope)):
            for denial in self._denials.get(key, ()):
                if (not height or denial.below) and denial.meets(request.principals, request.action, data=request.data):
                    return denial
        return None

    def go_by(self, vault: str, policies: VaultPolicies | None) -> None:
        """Let the data in a vault go by these access policies, or by roles where None. vault: its folded name."""
        if policies is None:
            self._policies.pop(vault, None)
        else:
            self._policies[vault] = policies

    def policies(self, scope: Scope) -> VaultPolicies | None:
        """Return the policies that the data at a scope goes by, None where it goes by roles."""
        return self._policies.get(scope.vault.lower()) if self._policies and scope.vault else None

    def known(self, principals: tuple[str, ...], scope: Scope) -> bool:
        """Tell whether somebody who acts under these ids has a role at a scope or above, or a policy there."""
        policies = self.policies(scope)
        if policies is not None and not policies.by_principal.keys().isdisjoint(principals):
            return True
        keys = scope_keys(scope)
        return any(key in self._by_principal.get(principal, {}) for principal in principals for key in keys)

    def put_role(self, role: RoleDefinition) -> None:
        """Count assignments of a role by this definition from here on."""
        self._allowing.clear()
        self._permissions[role.id] = permissions(role)

    def remove_role(self, role_id: str) -> None:
        """Let assignments of a role allow nothing."""
        self._allowing.clear()
        self._permissions.pop(role_id, None)

    def at(self, principal: str, scope: Scope) -> tuple[RoleAssignment, ...]:
        """Return those of one principal at exactly this scope."""
        return self._by_principal.get(principal, {}).get(scope_key(scope), ())

    def granting(self, request: Request, now: datetime, latest: datetime | None = None) -> Iterator[RoleAssignment]:
        """Yield every assignment that allows what is asked, nearest scope first. latest: the latest moment seen."""
        for key in scope_keys(request.scope):
            for assignment in self._allowed_at(key, request):
                if assignment.holds(now, latest) and assignment.covers(request.action, request.scope):
                    yield assignment

    def _allowed_at(self, key: ScopeKey, request: Request) -> tuple[RoleAssignment, ...]:
        """Return the assignments at exactly this scope whose roles allow what is asked, whenever they hold."""
        question = (request.principals, request.action, request.data, key)
        found = self._allowing.get(question)
        if found is None:
            found = tuple(
                assignment
                for principal in request.principals
                if (mine := self._by_principal.get(principal)) is not None
                for assignment in mine.get(key, ())
                if (role := self._permissions.get(assignment.role_id)) is not None
                and role.allow(request.action, data=request.data)
            )
            if len(self._allowing) >= _REMEMBERED:
                self._allowing.clear()
            self._allowing[question] = found
        return found

    def in_force(
        self, principals: tuple[str, ...], scope: Scope, now: datetime
    ) -> Iterator[tuple[RoleAssignment, Permissions]]:
        """Yield every assignment that reaches a scope now, with what its role allows, nearest scope first."""
        mine = [found for principal in principals if (found := self._by_principal.get(principal))]
        for key in scope_keys(scope) if mine else ():
            for found in mine:
                for assignment in found.get(key, ()):
                    role = self._permissions.get(assignment.role_id)
                    if role is not None and assignment.holds(now):
                        yield assignment, role

    def permissions(self, assignment: RoleAssignment) -> Permissions | None:
        """Return what an assignment's role allows, None for a role that is not known."""
        return self._permissions.get(assignment.role_id)


def decision(request: Request, assignments: Assignments, now: datetime, latest: datetime | None = None) -> Decision:
    """Return whether somebody may do something: denied, unless one assignment at the scope or above allows it, and no
    denial there forbids it. In a vault under access policies nothing but a policy of it counts for what is done with
    the data."""
    if request.data:
        policies = assignments.policies(request.scope)
        if policies is not None:
            for policy in policies.permitting(request.principals, request.enough):
                return Decision(True, policy=policy)
            return DENIED
    denial = assignments.denying(request)
    if denial is not None:
        return Decision(False, denial=denial)
    for assignment in assignments.granting(request, now, latest):
        return Decision(True, assignment)
    return DENIED


def scope_key(scope: Scope) -> ScopeKey:
    """Return what two scopes share when they are one."""
    return scope.subscription.lower(), scope.resource_group.lower(), scope.vault.lower(), scope.item.lower()


def scope_keys(scope: Scope) -> tuple[ScopeKey, ...]:
    """Return the keys of a scope and of all above it, nearest first."""
    subscription, resource_group, vault, item = scope_key(scope)
    keys: list[ScopeKey] = []
    if item:
        keys.append((subscription, resource_group, vault, item))
    if vault:
        keys.append((subscription, resource_group, vault, ""))
    if resource_group:
        keys.append((subscription, resource_group, "", ""))
    keys.append((subscription, "", "", ""))
    return tuple(keys)


def smallest_role(
    action: str, *, data: bool, roles: Iterable[RoleDefinition], all_data_actions: Iterable[str]
) -> RoleDefinition | None:
    """Return the role that allows an action and the least beside it: what to ask for when it was denied."""
    everything = tuple(all_data_actions)

    def breadth(role: RoleDefinition) -> tuple[int, bool, int]:
        asked = permissions(role)
        # A role whose patterns are wide over resource manager counts as wide, however few patterns it needs for that.
        wide = any(pattern in ("*", "*/read") for pattern in role.actions)
        return sum(asked.allow(one, data=True) for one in everything), wide, len(role.actions)

    granting = [role for role in roles if permissions(role).allow(action, data=data)]
    return min(granting, key=breadth, default=None)
