"""Why somebody may or may not do something inside a Managed HSM: which local role, through which groups, or what is
missing. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from kvstack.terms.scope import Scope
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.explanation import Explanation, Grant, everybody
from kvstack.vault.local_access import LocalAssignment
from kvstack.vault.records import Vault
from kvstack.vault.registry import Registry


def local_explanation(
    registry: Registry, home: Vault, principal: str, action: str, scope: Scope, now: datetime
) -> Explanation:
    """Return why a principal may, or may not, do something inside a Managed HSM. scope: of it, or of a key in it."""
    local, groups = registry.local(home.name), registry.memberships.ways(principal)
    principals = (principal, *groups)
    decided = local.decide(principals, action, scope, now)
    return Explanation(
        principal=principal,
        action=action,
        scope=scope,
        allowed=decided.allowed,
        grants=tuple(
            _grant(registry, home, scope, found, groups) for found in local.granting(principals, action, scope, now)
        ),
        smallest=None if decided.allowed else local.smallest_role(action),
    )


def who_can_locally(
    registry: Registry, home: Vault, action: str, scope: Scope, now: datetime
) -> Iterator[tuple[str, Grant]]:
    """Yield every principal that may do something inside a Managed HSM, with the local assignment that decides."""
    local = registry.local(home.name)
    for principal in everybody(registry, local.assignments.values()):
        groups = registry.memberships.ways(principal)
        for found in local.granting((principal, *groups), action, scope, now):
            yield principal, _grant(registry, home, scope, found, groups)
            break


def local_grants_of(registry: Registry, home: Vault, scope: Scope, principal: str) -> Iterator[Grant]:
    """Yield every local assignment that reaches a principal in a Managed HSM. scope: the Managed HSM's."""
    groups = registry.memberships.ways(principal)
    for assignment in registry.local(home.name).assignments.values():
        if assignment.principal_id == principal or assignment.principal_id in groups:
            yield _grant(registry, home, scope, assignment, groups)


def _grant(
    registry: Registry, home: Vault, scope: Scope, given: LocalAssignment, groups: Mapping[str, tuple[str, ...]]
) -> Grant:
    """Return a local assignment in the shape of resource manager's."""
    place = Scope(scope.subscription, scope.resource_group, home.name, given.scope.removeprefix("/"), managed_hsm=True)
    assignment = RoleAssignment(
        id=given.id,
        scope=place,
        role_id=given.role_id,
        principal_id=given.principal_id,
        principal_type=given.principal_type,
        created=given.created,
        created_by=given.created_by,
    )
    role = registry.local(home.name).roles().get(given.role_id)
    return Grant(assignment, role, groups.get(given.principal_id, ()), given.scope)
