"""Who the declared principals are, as far as the backend does not know it yet."""

from collections.abc import Iterator, Mapping

from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.principal import Principal


def unknown(declared: Mapping[str, Principal], known: Mapping[str, Principal]) -> tuple[Principal, ...]:
    """Return the declared principals that the backend does not know, or knows otherwise."""
    return tuple(principal for principal in declared.values() if known.get(principal.id) != principal)


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
