"""Why somebody may or may not do something: which assignment, through which groups, or what is missing. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from kvstack.terms.access_policy import Enough
from kvstack.terms.role import RoleDefinition, data_actions
from kvstack.terms.scope import Scope
from kvstack.vault.access import Decision, Request, decision, smallest_role
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.local_access import LocalAssignment
from kvstack.vault.records import Vault
from kvstack.vault.registry import Registry

Why = Literal["not_begun", "ended", "condition", "role_unknown", "access_model"]


class Grant(msgspec.Struct, frozen=True):
    """An assignment that reaches a principal. through: the groups between them, from the principal's own outwards;
    empty where it is the principal's own. role: None where its definition is gone; inside: the scope in a Managed HSM
    (`/`, `/keys` or `/keys/NAME`) of a local role, empty for a role of resource manager."""

    assignment: RoleAssignment
    role: RoleDefinition | None
    through: tuple[str, ...] = ()
    inside: str = ""


class PolicyGrant(msgspec.Struct, frozen=True):
    """An access policy that reaches a principal. vault: its real name; through: as of a grant; counts: whether the
    vault goes by its policies."""

    policy: AccessPolicy
    vault: str
    scope: Scope
    through: tuple[str, ...] = ()
    counts: bool = True


class Missed(msgspec.Struct, frozen=True):
    """A grant that would allow it, and why it does not count; `access_model`: the vault does not go by its like."""

    grant: Grant | PolicyGrant
    why: Why


class Explanation(msgspec.Struct, frozen=True):
    """The answer to one question. grants: all that allow it, the one that decided first; denial: what forbids it all
    the same; missed: what would allow it, but does not count; smallest: the role that allows it and the least beside
    it, where nothing does; enough: the permissions of an access policy that would each do so, where the vault goes by
    them."""

    principal: str
    action: str
    scope: Scope
    allowed: bool
    grants: tuple[Grant | PolicyGrant, ...] = ()
    denial: DenyAssignment | None = None
    missed: tuple[Missed, ...] = ()
    smallest: RoleDefinition | None = None
    enough: Enough = frozenset()


def explanation(
    registry: Registry,
    principal: str,
    action: str,
    scope: Scope,
    *,
    data: bool,
    now: datetime,
    latest: datetime | None = None,
) -> Explanation:
    """Return why a principal may, or may not, do something. latest: the latest moment seen; `now` where None."""
    groups = registry.memberships.ways(principal)
    request = Request((principal, *groups), action, data, scope)
    decided = decision(request, registry.assignments, now, latest)
    by_policies = registry.assignments.policies(scope) is not None if data else False
    found = registry.assignments.granting(request, now, latest)
    by_roles = tuple(_grant(registry, assignment, groups) for assignment in found)
    permitting = tuple(_permitting(registry, request, groups)) if data else ()
    granting, others = (permitting, by_roles) if by_policies else (by_roles, permitting)
    missed = () if granting else tuple(Missed(other, "access_model") for other in others)
    if not granting and not by_policies:
        missed = (*_missed(registry, request, groups, now, latest), *missed)
    return Explanation(
        principal=principal,
        action=action,
        scope=scope,
        allowed=decided.allowed,
        grants=granting,
        denial=decided.denial,
        missed=missed,
        smallest=None if granting or by_policies else _smallest(registry, action, data=data),
        enough=request.enough if by_policies and not granting else frozenset(),
    )


def who_can(
    registry: Registry, request: Request, now: datetime, latest: datetime | None = None
) -> Iterator[tuple[str, Decision, Grant | PolicyGrant]]:
    """Yield every principal that may do something, with the assignment or access policy that decides: each known one,
    group members included, and each somebody gave a role or a policy to though nothing else is known of it. request's
    principals are not looked at. A group is named where its members are not known."""
    policies = (
        policy for vault in registry.vaults.values() for policy in registry.policies(vault).by_principal.values()
    )
    for principal in everybody(registry, (*registry.role_assignments.values(), *policies)):
        groups = registry.memberships.ways(principal)
        asked = msgspec.structs.replace(request, principals=(principal, *groups))
        decided = decision(asked, registry.assignments, now, latest)
        if decided.assignment is not None:
            yield principal, decided, _grant(registry, decided.assignment, groups)
        for grant in _permitting(registry, asked, groups) if decided.policy is not None else ():
            if grant.policy is decided.policy:
                yield principal, decided, grant


def grants_of(registry: Registry, principal: str) -> tuple[Grant, ...]:
    """Return every assignment that reaches a principal, its own first, then by scope and role."""
    groups = registry.memberships.ways(principal)
    reached = {principal, *groups}
    found = [
        _grant(registry, assignment, groups)
        for assignment in registry.role_assignments.values()
        if assignment.principal_id in reached
    ]
    return tuple(
        sorted(
            found,
            key=lambda one: (
                len(one.through),
                one.assignment.scope.folded,
                one.role.name if one.role else one.assignment.role_id,
            ),
        )
    )


def policies_of(registry: Registry, principal: str, subscription: str) -> tuple[PolicyGrant, ...]:
    """Return every access policy that reaches a principal, its own first, then by vault."""
    groups = registry.memberships.ways(principal)
    found = [
        grant
        for vault in registry.vaults.values()
        for grant in _policies(registry, vault, principal, groups, subscription)
    ]
    return tuple(sorted(found, key=lambda one: (len(one.through), one.scope.folded, one.policy.principal_id)))


def everybody(registry: Registry, given: Iterable[RoleAssignment | LocalAssignment | AccessPolicy]) -> Iterator[str]:
    """Yield whoever may have a right: known principals, members of groups, and those given a role or a policy."""
    assigned = {one.principal_id for one in given}
    for principal in sorted(assigned | set(registry.principals)):
        row = registry.principals.get(principal)
        # A group with members acts through them.
        if row is None or row.type != "group" or not row.members:
            yield principal
    members = {member for row in registry.principals.values() for member in row.members}
    yield from sorted(members - assigned - set(registry.principals))


def _grant(registry: Registry, assignment: RoleAssignment, groups: Mapping[str, tuple[str, ...]]) -> Grant:
    return Grant(assignment, registry.roles().get(assignment.role_id), groups.get(assignment.principal_id, ()))


def _permitting(registry: Registry, request: Request, groups: Mapping[str, tuple[str, ...]]) -> Iterator[PolicyGrant]:
    """Yield the policies of the vault asked about that permit it, the principal's own first."""
    vault = registry.vault(request.scope.vault) if request.scope.vault else None
    if vault is not None:
        for grant in _policies(registry, vault, request.principals[0], groups, request.scope.subscription):
            if not request.enough.isdisjoint(grant.policy.permissions):
                yield grant


def _policies(
    registry: Registry, vault: Vault, principal: str, groups: Mapping[str, tuple[str, ...]], subscription: str
) -> Iterator[PolicyGrant]:
    """Yield the policies of a vault that reach a principal, his own first."""
    there = registry.policies(vault).by_principal
    here = Scope(subscription, vault.resource_group, vault.name)
    for one in (principal, *groups):
        if one in there:
            counts = vault.access_model == "access_policies"
            yield PolicyGrant(there[one], vault.name, here, groups.get(one, ()), counts)


def _missed(
    registry: Registry,
    request: Request,
    groups: Mapping[str, tuple[str, ...]],
    now: datetime,
    latest: datetime | None,
) -> Iterator[Missed]:
    """Yield the assignments at the scope or above whose role would do, were it not for their time or condition."""
    for assignment in registry.role_assignments.values():
        if assignment.principal_id not in request.principals or not assignment.scope.contains(request.scope):
            continue
        held = registry.assignments.permissions(assignment)
        grant = _grant(registry, assignment, groups)
        if held is None:
            yield Missed(grant, "role_unknown")
        elif held.allow(request.action, data=request.data):
            if assignment.starts is not None and now < assignment.starts:
                yield Missed(grant, "not_begun")
            elif not assignment.holds(now, latest):
                yield Missed(grant, "ended")
            else:
                yield Missed(grant, "condition")


def _smallest(registry: Registry, action: str, *, data: bool) -> RoleDefinition | None:
    return smallest_role(action, data=data, roles=registry.roles().values(), all_data_actions=data_actions())
