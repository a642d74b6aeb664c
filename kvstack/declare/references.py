"""Things that name one another: addresses become real names, and whatever one needs has to fit it."""

from collections.abc import Iterator, Mapping
from functools import partial

import msgspec

from kvstack.declare.graph import Node
from kvstack.declare.variables import Located
from kvstack.schema.resource import Resource
from kvstack.terms.address import Address
from kvstack.terms.kind import kind_words, with_article


def with_real_names(
    nodes: Mapping[Address, Node], identities: Mapping[str, Address], problems: list[Located]
) -> dict[Address, Node]:
    """Return the nodes with real names in the place of addresses by which things name one another; add what is wrong
    with that: nothing may need itself. identities: the address of each."""
    refers = {address: node for address, node in nodes.items() if node.resource.refers_to() is not None}
    named = dict(nodes)
    for address, node in refers.items():
        resource = node.resource.referring(partial(_real_names, nodes, node))
        named[address] = msgspec.structs.replace(node, resource=resource)
    for address in refers:
        problems += _problems(named[address], named, identities)
    return named


def _problems(node: Node, nodes: Mapping[Address, Node], identities: Mapping[str, Address]) -> Iterator[Located]:
    """Yield what is wrong with what a thing needs, where it is declared; where that only stands for something else,
    with that too."""
    circle = _circle((node.identity,), nodes, identities)
    if circle:
        kind = with_article(kind_words(node.resource.kind))
        problem = f"{kind} cannot be needed for itself: {' -> '.join(circle)}"
        yield Located(node.path, problem, "Take one of them out of the circle.")
        return
    for resource in _needed(node, nodes, identities):
        for wrong in node.resource.problems_with(resource):
            yield Located.below(node.path, wrong)


def _circle(
    above: tuple[str, ...], nodes: Mapping[Address, Node], identities: Mapping[str, Address]
) -> tuple[str, ...]:
    """Return the way from a thing through what it needs back to itself; empty where there is none. above: the way so
    far."""
    node = nodes.get(identities.get(above[-1], Address("")))
    for needed in node.resource.needs(node.vault) if node is not None else ():
        if needed == above[0]:
            return (*above, needed)
        if needed not in above and (found := _circle((*above, needed), nodes, identities)):
            return found
    return ()


def _needed(node: Node, nodes: Mapping[Address, Node], identities: Mapping[str, Address]) -> Iterator[Resource]:
    """Yield what a thing needs, where it is declared; and what that stands for."""
    for needed in node.resource.needs(node.vault):
        other = nodes.get(identities.get(needed, Address("")))
        if other is not None:
            yield other.resource
            if other.resource.stands_for_what_it_needs:
                yield from _needed(other, nodes, identities)


def _real_names(nodes: Mapping[Address, Node], node: Node, written: str) -> str:
    """Return the vault and name a thing has, for its address; what is declared nowhere is written by real names.
    Without its vault, as `issuers/NAME`, it is in the same one."""
    if written.count("/") == 1:
        beside = nodes.get(Address(f"{node.vault_address}/{written}"))
        return written if beside is None else f"{beside.resource.collection}/{beside.resource.name}"
    other = nodes.get(Address(written))
    if other is None:
        vault, _, rest = written.partition("/")
        declared = nodes.get(Address(vault))
        return f"{declared.resource.name}/{rest}" if declared is not None else written
    return other.identity.removeprefix("vaults/")
