"""Who is in which groups, groups in groups included, and on which way."""

from collections.abc import Iterable, Mapping
from typing import Protocol


class HasMembers(Protocol):
    """Whoever has an id and, as a group, members."""

    @property
    def id(self) -> str:
        """The object id."""
        ...

    @property
    def members(self) -> frozenset[str]:
        """Object ids of the direct members."""
        ...


class Memberships:
    """The groups of some principals. Loops among them do no harm."""

    def __init__(self, principals: Iterable[HasMembers]) -> None:
        self._above: dict[str, list[str]] = {}
        self._members: dict[str, frozenset[str]] = {}
        for principal in principals:
            if principal.members:
                self._members[principal.id] = principal.members
            for member in principal.members:
                self._above.setdefault(member, []).append(principal.id)
        self._ways: dict[str, Mapping[str, tuple[str, ...]]] = {}
        self._within: dict[str, frozenset[str]] = {}

    def ways(self, principal: str) -> Mapping[str, tuple[str, ...]]:
        """Return every group a principal is in, each with the groups on the shortest way there, itself the last."""
        if principal not in self._above:
            return {}
        known = self._ways.get(principal)
        if known is None:
            known = self._ways[principal] = self._found(principal)
        return known

    def _found(self, principal: str) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        waiting: list[tuple[str, tuple[str, ...]]] = [(principal, ())]
        while waiting:
            nearer: list[tuple[str, tuple[str, ...]]] = []
            for one, way in waiting:
                for group in sorted(self._above.get(one, ())):
                    if group != principal and group not in found:
                        found[group] = (*way, group)
                        nearer.append((group, found[group]))
            waiting = nearer
        return found

    def within(self, principal: str) -> frozenset[str]:
        """Return who acts in a group: its members, and theirs, down to those that have none; of anybody else, himself.

        A group of which no member is known stands for itself.
        """
        known = self._within.get(principal)
        if known is None:
            leaves: set[str] = set()
            seen = {principal}
            waiting = [principal]
            while waiting:
                one = waiting.pop()
                members = self._members.get(one)
                if members is None:
                    leaves.add(one)
                else:
                    waiting.extend(members - seen)
                    seen |= members
            known = self._within[principal] = frozenset(leaves)
        return known
