"""What is looked at: everything a stack declares, and what access in it comes to."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import TypeVar

import msgspec

from kvstack.declare.graph import Desired, Node
from kvstack.plan.access_world import AccessWorld
from kvstack.schema.resource import Resource
from kvstack.terms.address import Address

R = TypeVar("R", bound=Resource)


class Found(msgspec.Struct, frozen=True):
    """Something that breaks a rule. address: of what does; summary: how."""

    address: Address
    summary: str


class Stack:
    """One declaration, looked at at one moment."""

    def __init__(self, desired: Desired, now: datetime) -> None:
        self.desired = desired
        self.now = now

    @property
    def production(self) -> bool:
        """Whether its environment is marked so."""
        return self.desired.production

    def each(self, resource: type[R]) -> Iterator[tuple[Address, R]]:
        """Yield every declared thing of a type, with its address."""
        for address, node in self.desired.nodes.items():
            if type(node.resource) is resource:
                yield address, node.resource

    @property
    def nodes(self) -> Mapping[Address, Node]:
        """Everything declared."""
        return self.desired.nodes

    @cached_property
    def access(self) -> AccessWorld:
        """What the access it declares comes to; what others were given is not known here."""
        things = {node.identity: node.resource for node in self.desired.nodes.values()}
        people = {one.id: one for one in self.desired.principals.values()}
        return AccessWorld(things, people, group="", now=self.now)

    @cached_property
    def addresses(self) -> Mapping[str, Address]:
        """The address of each declared thing, by identity."""
        return {node.identity: address for address, node in self.desired.nodes.items()}

    def principal(self, id: str) -> str:  # noqa: A002  # a principal's own word
        """Return what a principal is called."""
        known = self.access.people.get(id)
        return (known.name if known is not None else "") or id
