"""Records under the addresses their things have now: what `moved` says, applied to the state."""

from collections.abc import Mapping

import msgspec

from kvstack.declare.graph import Move, Node
from kvstack.state.state import Record
from kvstack.terms.address import Address, is_within
from kvstack.terms.diagnostic import Diagnostic


class Moved(msgspec.Struct, frozen=True):
    """records: by their addresses now; sources: the address each moved thing had; diagnostics: moves that could not be;
    held: addresses whose declared name was another address's at the last apply, and is no longer free to take."""

    records: Mapping[Address, Record]
    sources: Mapping[Address, Address] = {}
    diagnostics: tuple[Diagnostic, ...] = ()
    held: Mapping[Address, Address] = {}


def found_again(moved: Moved, nodes: Mapping[Address, Node]) -> Moved:
    """Return the records, those of things that are declared under another address now moved there.

    One name in a vault is one thing. What carries it was not deleted and another made: its address changed, and nobody
    wrote it into `moved`.
    """
    by_identity = {record.identity: address for address, record in moved.records.items()}
    goes = {
        address: before
        for address, node in nodes.items()
        if (before := by_identity.get(node.identity, address)) != address
    }
    if not goes:
        return moved
    records, sources = dict(moved.records), dict(moved.sources)
    held: dict[Address, Address] = {}
    for address, before in goes.items():
        if before in nodes or address in moved.records:
            held[address] = before
        else:
            records[address] = records.pop(before)
            sources[address] = sources.pop(before, before)
    return Moved(records, sources, moved.diagnostics, held)


def moved_records(moves: tuple[Move, ...], records: Mapping[Address, Record]) -> Moved:
    """Return the records once every move is made, one after another; a vault takes what is in it along."""
    if not moves:
        return Moved(records)
    current = dict(records)
    sources: dict[Address, Address] = {}
    diagnostics = []
    for move in moves:
        for address in [address for address in current if is_within(address, move.source)]:
            target = Address(move.target + address[len(move.source) :])
            if target in current:
                diagnostics.append(
                    Diagnostic(
                        summary=f"`{address}` cannot move to `{target}`: a thing is recorded there already",
                        detail="Take the line out of `moved`, or move or remove the other one first.",
                        address=target,
                    )
                )
                continue
            current[target] = current.pop(address)
            sources[target] = sources.pop(address, address)
    return Moved(current, sources, tuple(diagnostics))
