"""All that somebody may do at a place, at once: the evaluator, asked by those who compare and not by a caller."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from kvstack.terms.right import Right
from kvstack.terms.scope import Scope
from kvstack.vault.access import Assignments, Request
from kvstack.vault.assignment import RoleAssignment


def reach(
    assignments: Assignments, principals: tuple[str, ...], scope: Scope, rights: Iterable[Right], now: datetime
) -> Iterator[tuple[Right, RoleAssignment]]:
    """Yield each of these rights that somebody has at a scope, with every assignment it rests on, nearest scope first.

    principals: the ids somebody acts under. Conditions are decided for what the scope names: at a vault none of those
    that look at a secret's name holds.
    """
    held = tuple(assignments.in_force(principals, scope, now))
    if not held:
        return
    for right in rights:
        found = [one for one, allowed in held if allowed.allow(right.action, data=right.data)]
        if not found or assignments.denying(Request(principals, right.action, right.data, scope)) is not None:
            continue
        for one in found:
            if one.covers(right.action, scope):
                yield right, one
