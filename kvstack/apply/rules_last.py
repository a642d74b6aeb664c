"""Approval rules come last: everything an apply does in a vault is held up by the rule there when it began, and by none
that it brings itself."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from kvstack.backends.protocol import Actual
from kvstack.plan.change import Change
from kvstack.render.events import Finished, Outcome
from kvstack.resources.vault import Vault
from kvstack.terms.action import Action
from kvstack.terms.address import Address

LAST = "approval"
# What a vault's address ends with in the second step of its change. No address has a space.
_SECOND = "/approval rule"


def rules_last(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return the changes of a plan with those of approval rules after everything else that a rule may be about: where a
    change does more, in a second step."""
    found = tuple(changes)
    rules = {change.address: _after(change, found) for change in found if _brings_rule(change)}
    if not rules:
        return found
    alone = {change.address for change in found if change.address in rules and _is_alone(change)}
    return tuple(step for change in found for step in _steps(change, rules, alone))


def is_second_step(address: Address) -> bool:
    """Tell whether an address is that of a vault's second step, which no plan shows by itself."""
    return address.endswith(_SECOND)


def without_second_steps(outcome: Outcome) -> Outcome:
    """Return what an apply came to in the steps its plan has; a second one counts by itself where it was not done."""
    results = tuple(
        result for result in outcome.results if not isinstance(result, Finished) or not is_second_step(result.address)
    )
    return msgspec.structs.replace(outcome, results=results)


def _steps(change: Change, rules: Mapping[Address, tuple[Address, ...]], alone: set[Address]) -> Iterator[Change]:
    # Nothing waits for a rule that is all that changes of its vault: the rule waits for it.
    waits = tuple(address for address in change.depends_on if address not in alone)
    node = change.node
    if change.address not in rules or node is None:
        yield msgspec.structs.replace(change, depends_on=waits)
    elif change.address in alone:
        yield msgspec.structs.replace(change, depends_on=(*waits, *rules[change.address]))
    else:
        before = None if change.actual is None or _makes(change) else getattr(change.actual.resource, "approval", None)
        yield msgspec.structs.replace(
            change,
            node=msgspec.structs.replace(node, resource=msgspec.structs.replace(node.resource, approval=before)),
            changed=change.changed - {LAST},
            depends_on=waits,
        )
        yield Change(
            address=Address(f"{change.address}{_SECOND}"),
            kind=change.kind,
            action=Action.UPDATE,
            depends_on=(change.address, *rules[change.address]),
            node=node,
            actual=Actual(kind=change.kind, id="", vault="", resource=node.resource),
            record=change.record,
            changed=frozenset({LAST}),
        )


def _brings_rule(change: Change) -> bool:
    """Tell whether a change makes, changes or takes away an approval rule."""
    if change.node is None or not isinstance(change.node.resource, Vault):
        return False
    return change.node.resource.approval is not None if _makes(change) else LAST in change.changed


def _is_alone(change: Change) -> bool:
    return change.action is Action.UPDATE and change.changed == {LAST}


def _makes(change: Change) -> bool:
    return change.action in (Action.CREATE, Action.REPLACE)


def _after(rule: Change, changes: tuple[Change, ...]) -> tuple[Address, ...]:
    """Return the addresses of what a rule waits for: all in its vault, and access from above it."""
    return tuple(
        change.address
        for change in changes
        if change.address != rule.address
        and (change.vault_address == rule.address or rule.address in change.depends_on or _is_wide(change))
    )


def _is_wide(change: Change) -> bool:
    sides = [change.node, change.actual]
    granted = [side.resource.grants(side.vault) for side in sides if side is not None]
    return any(one is not None and not one[0].startswith("vault/") for one in granted)
