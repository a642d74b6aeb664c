"""A lost or damaged state made anew: what is in the vaults says whose it is."""

import os
import uuid
from collections.abc import Mapping

import msgspec

from kvstack.apply.step import recorded
from kvstack.apply.workspace import Workspace
from kvstack.backends.protocol import Actual
from kvstack.declare.graph import Node
from kvstack.plan.change import Change
from kvstack.schema.differences import to_change
from kvstack.schema.resource import Resource
from kvstack.state.state import Record, State
from kvstack.terms.action import Action
from kvstack.terms.address import Address


def rebuilt(opened: Workspace) -> State:
    """Return the state as it would be had everything with this stack's tags been applied by it. Reads, and changes
    nothing.

    Looks into the vaults that are declared. Role assignments have no tags: those that are declared and carry the name
    kvstack gives them are taken. What nothing marks is, where it is declared just so in a vault of this stack's.
    """
    empty = State(
        stack=opened.desired.stack,
        environment=opened.desired.environment,
        lineage=str(uuid.UUID(bytes=os.urandom(16), version=4)),
        backend=opened.backend.id,
    )
    things = opened.snapshot(empty).things
    by_identity = {node.identity: node for node in opened.desired.nodes.values()}
    records: dict[Address, Record] = {}
    for identity, actual in things.items():
        node = by_identity.get(identity)
        if actual.owner is not None and actual.owner.stack == opened.desired.owner:
            address = Address(actual.owner.address)
        elif node is not None and (actual.named_by_us or _is_as_declared(opened, node, actual, things)):
            address = node.address
        else:
            continue
        if actual.deletion is not None:
            continue
        declared = node if node is not None and node.address == address else None
        change = Change(address=address, kind=actual.kind, action=Action.NO_OP, node=declared, actual=actual)
        put = recorded(change, actual)
        # A value that nothing declares any more is nobody's to compare.
        records[address] = msgspec.structs.replace(put.record, identity=identity)
    return msgspec.structs.replace(empty, records=records)


def _is_as_declared(
    opened: Workspace, node: Node, actual: Actual[Resource], things: Mapping[str, Actual[Resource]]
) -> bool:
    home = things.get(f"vaults/{actual.vault.lower()}")
    ours = home is not None and home.owner is not None and home.owner.stack == opened.desired.owner
    return ours and node.resource.ours_by_state and not to_change(actual.resource, node.resource)
