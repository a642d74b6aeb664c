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
    above = [node.identity]
    others: list[Resource] = []
    looked_through = True
    needed = node.resource.needs(node.vault)
    while needed is not None and needed not in above:
        above.append(needed)
        other = nodes.get(identities.get(needed, Address("")))
        if other is None:
            break
        if looked_through:
            others.append(other.resource)
        looked_through = looked_through and other.resource.stands_for_what_it_needs
        needed = other.resource.needs(other.vault)
    if needed == node.identity:
        kind = with_article(kind_words(node.resource.kind))
        problem = f"{kind} cannot be needed for itself: {' -> '.join((*above, needed))}"
        yield Located(node.path, problem, "Take one of them out of the circle.")
        return
    for resource in others:
        for wrong in node.resource.problems_with(resource):
            yield Located.below(node.path, wrong)


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
