"""How a thing stands: there or not, deleted or alive, and whose it is."""

import enum

from kvstack.backends.protocol import Actual, Snapshot
from kvstack.schema.differences import differences
from kvstack.schema.resource import Resource
from kvstack.state.state import Record, State
from kvstack.terms.address import Address


class Standing(enum.Enum):
    """Where one name stands in its vault."""

    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "somebody else's"
    DELETED = "soft-deleted, ours"
    DELETED_FOREIGN = "soft-deleted, somebody else's"
    UNREAD = "unread"


def standing(
    actual: Actual[Resource] | None, record: Record | None, stack: str, *, made_before: bool = False
) -> Standing:
    """Return how a thing stands. record: what the state has under its identity; stack: what stands in our owner tags;
    made_before: a run that ended early was about to make just this.

    A thing is ours by the state or by its tags: lost tags do not change its owner, and a thing made just before a
    crash is known.
    """
    if actual is None:
        return Standing.ABSENT
    tagged = actual.owner is not None and actual.owner.stack == stack
    ours = tagged or actual.named_by_us or made_before or record is not None
    # What is alive in a deleted vault comes back with it: it counts as alive.
    deleted = actual.deletion is not None and not actual.deletion.with_vault
    match (ours, deleted):
        case (True, False):
            return Standing.OURS
        case (True, True):
            return Standing.DELETED
        case (False, False):
            return Standing.FOREIGN
        case _:
            return Standing.DELETED_FOREIGN


def made_before(state: State, snapshot: Snapshot) -> dict[str, Address]:
    """Return what a run that ended early has made, where nothing but what it was about to do says so: by identity, the
    address. Whatever differs from that is somebody else's."""
    found = {}
    for address, intent in state.intents.items():
        identity = intent.resource.identity(intent.vault) if intent.resource.ours_by_state else ""
        actual = snapshot.things.get(identity)
        if actual is not None and not differences(intent.resource, actual.resource):
            found[identity] = address
    return found
