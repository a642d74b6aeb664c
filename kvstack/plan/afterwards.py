"""What there will be once a plan is applied: everything alive, by identity."""

from collections.abc import Iterable, Mapping

from kvstack.backends.protocol import Snapshot
from kvstack.plan.change import Change
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.identity import Identity
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.schema.resource import Resource, with_ignored
from kvstack.terms.action import Action
from kvstack.terms.address import Address, is_within


def alive(snapshot: Snapshot) -> dict[str, Resource]:
    """Return what is there now."""
    return {identity: actual.resource for identity, actual in snapshot.things.items() if actual.deletion is None}


def afterwards(now: Mapping[str, Resource], changes: Iterable[Change]) -> dict[str, Resource]:
    """Return what there will be. now: what there is; what a plan refuses or forgets stays as it is."""
    things = dict(now)
    made: dict[str, Resource] = {}
    for change in changes:
        match change.action:
            case Action.REFUSE | Action.FORGET | Action.NO_OP:
                continue
            case Action.DELETE | Action.PURGE:
                _remove(things, _identity(change))
            case Action.REPLACE:
                _remove(things, _identity(change))
                if change.node is not None:
                    made[change.node.identity] = change.node.resource
            case _:
                if change.node is not None:
                    there = change.actual.resource if change.actual is not None else None
                    declared = change.node.resource
                    made[change.node.identity] = with_ignored(declared, there) if there is not None else declared
    return {**things, **made}


def _identity(change: Change) -> str:
    """Return the identity of what a change takes away."""
    if change.record is not None:
        return change.record.identity
    if change.actual is not None:
        return change.actual.resource.identity(change.actual.vault)
    return change.node.identity if change.node is not None else ""


def _remove(things: dict[str, Resource], identity: str) -> None:
    """Take a thing out; with a vault everything in it, and all access to it; with an identity all it was given."""
    gone = things.pop(identity, None)
    if isinstance(gone, Identity):
        for other in [other for other, thing in things.items() if identity in thing.ends_with()]:
            del things[other]
    if gone is None or gone.parent is not None or not identity.startswith("vaults/"):
        return
    home = f"vault/{identity.removeprefix('vaults/')}"
    for other, thing in list(things.items()):
        if other.startswith(f"{identity}/") or (
            isinstance(thing, RoleAssignment | DenyAssignment)
            and is_within(Address(thing.scope.lower()), Address(home))
        ):
            del things[other]
