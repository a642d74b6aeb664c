"""Who the declared principals are, as far as the backend does not know it yet."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from kvstack.resources.identity import Identity
from kvstack.schema.resource import Resource
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.principal import Principal


def unknown(declared: Mapping[str, Principal], known: Mapping[str, Principal]) -> tuple[Principal, ...]:
    """Return the declared principals that the backend does not know, or knows otherwise."""
    return tuple(principal for principal in declared.values() if known.get(principal.id) != principal)


def named_as_things_name_them(
    principals: Iterable[Principal], names: Mapping[str, str], things: Mapping[str, Resource]
) -> dict[str, Principal]:
    """Return principals by id, and the managed identities among some things with them. names: by id, how things name
    those they do not name by that. Who is named so and is not among the things is no more, and in no group."""
    identities = {
        thing.principal: Principal(thing.principal, "managed_identity", thing.name)
        for thing in things.values()
        if isinstance(thing, Identity)
    }
    found = dict(identities)
    for principal in principals:
        name = names.get(principal.id, principal.id)
        if name == principal.id or name in identities:
            members = {names.get(one, one) for one in principal.members}
            there = frozenset(one for one in members if one not in names.values() or one in identities)
            found[name] = msgspec.structs.replace(principal, id=name, members=there)
    return found


def membership(changed: tuple[Principal, ...], known: Mapping[str, Principal]) -> Iterator[Diagnostic]:
    """Yield who joins and who leaves a group: the group's roles are theirs, or no longer theirs."""
    names = {principal.id: principal.name for principal in (*known.values(), *changed)}
    for principal in changed:
        before = known[principal.id].members if principal.id in known else frozenset()
        for verb, members in (("joins", principal.members - before), ("leaves", before - principal.members)):
            for member in sorted(members, key=lambda member: names.get(member, member)):
                who = names.get(member) or member
                yield Diagnostic(
                    severity="warning",
                    summary=f"{who} {verb} the group {principal.name}",
                    detail=f"The group's roles are {'theirs from then on' if verb == 'joins' else 'theirs no longer'}.",
                    address=f"principals/{principal.name}",
                )
