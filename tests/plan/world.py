"""A stack planned against vaults made by hand: what is declared comes from YAML, what is there is written down."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from kvstack.backends.protocol import Actual, Deletion, Snapshot, Unread
from kvstack.declare.declaration import declaration
from kvstack.declare.graph import Desired, Node
from kvstack.plan.change import Change, Plan
from kvstack.plan.plan import plan
from kvstack.resources.secret import Secret
from kvstack.schema.resource import Resource
from kvstack.state.state import Intend, Record, State
from kvstack.terms.address import Address
from kvstack.terms.tags import Owner

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PURGE_AT = NOW + timedelta(days=30)
API = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
PEOPLE = f"principals: {{api: {{type: service_principal, id: {API}}}, bob: {{type: user, id: {API[:-1]}2}}}}\n"


def desired(text: str) -> Desired:
    """Return the graph of a declaration; `stack: s` stands before it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kvstack.yaml").write_text("stack: s\n" + text)
        return declaration(Path(folder)).desired


class World:
    """What is declared, recorded, and there. things, records: change them as you like."""

    def __init__(self, text: str) -> None:
        self.desired = desired(text)
        self.things: dict[str, Actual[Resource]] = {}
        self.records: dict[Address, Record] = {}
        self.intents: dict[Address, Intend] = {}
        self.unread: list[Unread] = []
        self.principals: dict[str, str] = {}

    @classmethod
    def applied(cls, text: str) -> "World":
        """Return the world in which exactly this was applied."""
        world = cls(text)
        for address, node in world.desired.nodes.items():
            world.things[node.identity] = as_declared(node, world.desired.owner)
            world.records[address] = as_recorded(node)
        return world

    def declare(self, text: str) -> "World":
        """Declare something else."""
        self.desired = desired(text)
        return self

    def node(self, address: str) -> Node:
        return self.desired.nodes[Address(address)]

    def identity(self, address: str) -> str:
        """Return the identity of a thing, declared or recorded."""
        found = self.desired.nodes.get(Address(address)) or self.records[Address(address)]
        return found.identity

    def actual(self, address: str) -> Actual[Resource]:
        return self.things[self.identity(address)]

    def change(self, address: str, **attributes: Any) -> "World":
        """Change attributes behind the stack's back."""
        actual = self.actual(address)
        resource = msgspec.structs.replace(actual.resource, **attributes)
        return self.see(address, resource=resource)

    def see(self, address: str, **fields: Any) -> "World":
        """Change how a thing is read: its owner, version, fingerprint, ..."""
        self.things[self.identity(address)] = msgspec.structs.replace(self.actual(address), **fields)
        return self

    def gone(self, address: str) -> "World":
        del self.things[self.identity(address)]
        return self

    def deleted(self, address: str, *, purgeable: bool = True) -> "World":
        """Soft-delete a thing; a vault with everything in it, its access gone for good."""
        identity = self.identity(address)
        deletion = Deletion(at=NOW, purge_at=PURGE_AT, purgeable=purgeable)
        self.see(address, deletion=deletion)
        for key, actual in list(self.things.items()):
            if key.startswith(identity + "/") and actual.deletion is None:
                self.things[key] = msgspec.structs.replace(
                    actual, deletion=msgspec.structs.replace(deletion, with_vault=True)
                )
            elif key.partition("/")[2].startswith(f"vault/{identity[7:]}/"):
                del self.things[key]
        return self

    def forgotten(self, address: str) -> "World":
        """Take the record out of the state."""
        del self.records[Address(address)]
        return self

    def foreign(self, address: str, stack: str | None = None) -> "World":
        """Make a thing somebody else's: of another stack, or nobody's."""
        self.records.pop(Address(address), None)
        owner = None if stack is None else Owner(stack, address)
        return self.see(address, owner=owner, named_by_us=False)

    def state(self) -> State:
        return State(stack="s", environment=None, lineage="l", serial=1, records=self.records, intents=self.intents)

    def snapshot(self) -> Snapshot:
        return Snapshot(dict(self.things), tuple(self.unread), principals=self.principals)

    def plan(self, **options: Any) -> Plan:
        return plan(self.desired, self.state(), self.snapshot(), now=options.pop("now", NOW), **options)

    def changes(self, **options: Any) -> dict[str, Change]:
        return {change.address: change for change in self.plan(**options).changes}

    def actions(self, **options: Any) -> dict[str, str]:
        """Return what happens, by address."""
        return actions(self.plan(**options))


def actions(made: Plan) -> dict[str, str]:
    return {change.address: change.action.value for change in made.changes}


def as_declared(node: Node, owner: str) -> Actual[Resource]:
    """Return a thing as it is once it was applied."""
    resource = msgspec.structs.replace(node.resource, lifecycle=type(node.resource.lifecycle)())
    if isinstance(resource, Secret):
        resource = msgspec.structs.replace(resource, value_from=None)
    versioned = resource.kind in ("key", "secret")
    return Actual(
        kind=resource.kind,
        id=f"/{node.identity}",
        vault=node.vault if resource.kind != "vault" else "",
        resource=resource,
        owner=Owner(owner, node.address) if hasattr(resource, "tags") else None,
        version="v1" if versioned else None,
        fingerprint="print-1" if isinstance(resource, Secret) else None,
        named_by_us=not hasattr(resource, "tags") and not resource.ours_by_state,
    )


def as_recorded(node: Node) -> Record:
    """Return the state's record of a thing once it was applied."""
    actual = as_declared(node, "s")
    managed = isinstance(node.resource, Secret) and node.resource.value_from is not None
    return Record(
        address=node.address,
        kind=actual.kind,
        identity=node.identity,
        id=actual.id,
        vault=actual.vault,
        resource=node.resource,
        version=actual.version,
        fingerprint=actual.fingerprint if managed else None,
    )
