"""All that somebody may do at a place, at once: the evaluator, asked by those who compare and not by a caller."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from kvstack.terms.access_policy import enough
from kvstack.terms.right import RIGHTS, Right, rights_at
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.access import Assignments, Request
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.permissions import Permissions, permissions


def reach(
    assignments: Assignments, principals: tuple[str, ...], scope: Scope, now: datetime
) -> Iterator[tuple[RoleAssignment, tuple[Right, ...]]]:
    """Yield every assignment that gives somebody rights at a scope, with these rights, the nearest scope first.

    principals: the ids somebody acts under. Conditions are decided for what the scope names: at a vault none of those
    that look at a secret's name holds. In a vault under access policies roles give no right to data.
    """
    data_counts = assignments.policies(scope) is None
    collection = scope.item.partition("/")[0].lower()
    denied: dict[str, bool] = {}
    for assignment, role in assignments.in_force(principals, scope, now):
        rights = _allowed(role, scope.level, collection)
        if not data_counts:
            rights = tuple(right for right in rights if not right.data)
        if assignments.any_denials:
            for right in rights:
                if right.name not in denied:
                    asked = Request(principals, right.action, right.data, scope)
                    denied[right.name] = assignments.denying(asked) is not None
            rights = tuple(right for right in rights if not denied[right.name])
        if assignment.condition:
            rights = tuple(right for right in rights if assignment.covers(right.action, scope))
        if rights:
            yield assignment, rights


def permitted(
    assignments: Assignments, principals: tuple[str, ...], scope: Scope
) -> Iterator[tuple[AccessPolicy, tuple[Right, ...]]]:
    """Yield every access policy that gives somebody rights at a scope, with these rights; none in a vault that goes by
    roles. principals: the ids somebody acts under."""
    policies = assignments.policies(scope)
    if policies is None:
        return
    asked = rights_at(scope.level, scope.item.partition("/")[0].lower())
    for principal in principals:
        policy = policies.by_principal.get(principal)
        if policy is not None:
            rights = (
                right for right in asked if right.data and not enough(right.action).isdisjoint(policy.permissions)
            )
            yield policy, tuple(rights)


@lru_cache(maxsize=4096)
def _allowed(role: Permissions, level: str, collection: str) -> tuple[Right, ...]:
    return tuple(right for right in rights_at(level, collection) if role.allow(right.action, data=right.data))


@lru_cache(maxsize=1024)
def rights_of_role(role: RoleDefinition) -> frozenset[str]:
    """Return the names of the rights a role gives, where it is given at the widest scope."""
    allowed = permissions(role)
    return frozenset(right.name for right in RIGHTS if allowed.allow(right.action, data=right.data))
