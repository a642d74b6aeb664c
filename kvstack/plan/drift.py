"""What moved since the last apply: prior against actual."""

from collections.abc import Iterator, Mapping

from kvstack.backends.protocol import Actual, Snapshot
from kvstack.declare.graph import Node
from kvstack.plan import attributes, value
from kvstack.plan.change import AttributeChange, Drifted
from kvstack.schema.differences import Difference, differences
from kvstack.schema.resource import Resource, compared
from kvstack.state.state import Record, State
from kvstack.terms.address import Address

_OF_A_VERSION = frozenset({"expires", "not_before"})


def drift(state: State, snapshot: Snapshot, nodes: Mapping[Address, Node]) -> tuple[Drifted, ...]:
    """Return everything that is not as it was applied. nodes: what is declared now, for what it says to ignore."""
    recorded = {record.identity for record in state.records.values() if record.resource.parent is None}
    found = []
    for record in state.records.values():
        actual = snapshot.things.get(record.identity)
        if actual is None:
            if snapshot.unread_because(record.identity) is None:
                found.append(Drifted(address=record.address, kind=record.kind, what="gone"))
        elif actual.deletion is not None and actual.deletion.with_vault and _vault_of(record) in recorded:
            continue  # its vault is deleted, which is told of the vault
        elif actual.deletion is not None:
            found.append(Drifted(address=record.address, kind=record.kind, what="deleted"))
        elif (drifted := _changed(record, actual, nodes.get(record.address), state.owner)) is not None:
            found.append(drifted)
    return tuple(found)


def _vault_of(record: Record) -> str:
    return "/".join(record.identity.split("/", 2)[:2])


def _changed(record: Record, actual: Actual[Resource], node: Node | None, owner: str) -> Drifted | None:
    reader = compared(type(record.resource))
    theirs = actual.owner.stack if actual.owner is not None else None
    lost_tags = theirs != owner and hasattr(record.resource, "tags")
    moved_value = value.has_drifted(record, actual)
    if not lost_tags and not moved_value and reader(record.resource) == reader(actual.resource):
        return None
    ignored = frozenset(node.resource.lifecycle.ignore_changes) if node is not None else frozenset()
    changed: list[AttributeChange] = list(attributes.changes(tuple(_seen(record, actual, ignored))))
    if moved_value and not {"all", "value", "value_from"} & ignored:
        changed.append(value.attribute_change(None, record.fingerprint, actual.fingerprint))
    if lost_tags and not {"all", "tags"} & ignored:
        changed.append(AttributeChange("kvstack-tags", owner, theirs or "lost"))
    if not changed:
        return None
    return Drifted(address=record.address, kind=record.kind, what="changed", attributes=tuple(changed))


def _seen(record: Record, actual: Actual[Resource], ignored: frozenset[str]) -> Iterator[Difference]:
    # A new version of a key with the declared attributes is nobody's drift: a version's own dates are the new one's.
    of_new_version = record.resource.versions_by_vault and record.version != actual.version
    for difference in differences(record.resource, actual.resource):
        written = difference.attribute.written
        if written in ignored or "all" in ignored or (of_new_version and written in _OF_A_VERSION):
            continue
        yield difference
