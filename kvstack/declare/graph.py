"""What is declared, resolved: every thing under its address, with its real name and its vault's."""

from collections.abc import Mapping

import msgspec

from kvstack.declare.rules import Rule, Silence
from kvstack.schema.resource import Resource
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.principal import Principal

Path = tuple[str | int, ...]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One declared thing. identity: Resource.identity; vault: real name of the vault it is in ("" for wider things);
    vault_address: of that vault, None where the stack does not declare it; path: where it stands in the declaration."""

    address: Address
    resource: Resource
    identity: str
    vault: str
    vault_address: Address | None
    path: Path


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `moved`: a thing's old address and its new one."""

    source: Address = msgspec.field(name="from")
    target: Address = msgspec.field(name="to")


class Removal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `removed`: a thing no longer declared, and what becomes of it."""

    address: Address
    destroy: bool = True
    purge: bool = False


class Import(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `import`: a thing that is there already and shall be this stack's."""

    address: Address


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """The whole declaration. production: whether its environment is marked so; rules: of the stack's own; silences:
    warnings that are not told."""

    stack: str
    environment: str | None
    nodes: Mapping[Address, Node]
    moves: tuple[Move, ...] = ()
    removals: Mapping[Address, Removal] = {}
    imports: frozenset[Address] = frozenset()
    principals: Mapping[str, Principal] = {}
    production: bool = False
    rules: tuple[Rule, ...] = ()
    silences: tuple[Silence, ...] = ()

    def placed(self, resource_group: str) -> "Desired":
        """Return the graph in the backend's own resource group, wherever none is named. Raises KvstackError where two
        things turn out to be one."""
        return self._with(
            {
                address: resource
                for address, node in self.nodes.items()
                if (resource := node.resource.placed(resource_group)) is not node.resource
            }
        )

    def told_by(self, principals: Mapping[str, str]) -> "Desired":
        """Return the graph with principals as the backend tells them, by id. Raises KvstackError as `placed` does."""
        if not principals:
            return self
        return self._with(
            {
                address: resource
                for address, node in self.nodes.items()
                if (resource := node.resource.told_by(principals)) is not node.resource
            }
        )

    def _with(self, changed: Mapping[Address, Resource]) -> "Desired":
        if not changed:
            return self
        nodes = dict(self.nodes)
        for address, resource in changed.items():
            node = nodes[address]
            identity = resource.identity(node.vault)
            nodes[address] = msgspec.structs.replace(node, resource=resource, identity=identity)
        taken: dict[str, Address] = {}
        for address, node in nodes.items():
            other = taken.setdefault(node.identity, address)
            if other != address:
                raise KvstackError(
                    f"`{other}` and `{address}` are one and the same thing", "Take one of them out.", address=address
                )
        return msgspec.structs.replace(self, nodes=nodes)

    @property
    def owner(self) -> str:
        """What stands in the owner's tag of everything this stack makes: the stack, with its environment."""
        return self.stack if self.environment is None else f"{self.stack}/{self.environment}"
