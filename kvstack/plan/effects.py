"""Who gains and loses what: effective access before a plan held against effective access after it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from kvstack.backends.protocol import Snapshot
from kvstack.plan.access import (
    NO_EFFECTS,
    AccessChange,
    AccessEffects,
    Hold,
    NobodyAnyMore,
    PrincipalAccess,
    Through,
    Verb,
)
from kvstack.plan.access_world import AccessWorld, Given, home_of, level_of, rights_of
from kvstack.plan.afterwards import afterwards, alive
from kvstack.plan.change import Change
from kvstack.plan.people import named_as_things_name_them
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.role_definition import role_identity
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Resource
from kvstack.terms.action import Action
from kvstack.terms.principal import Principal
from kvstack.terms.right import phrase

# Resource types that decide who may do what; with them vaults and managed identities, which come and go with all access
# to them, or of theirs.
_DECIDING = frozenset(
    {
        "vault",
        "role_assignment",
        "role_definition",
        "deny_assignment",
        "access_policy",
        "managed_hsm",
        "hsm_role_assignment",
        "hsm_role_definition",
        "identity",
    }
)
_UNREAD = ("assignments", "eligible", "denials", "roles")  # with these, what access comes to is not known whole
_PURGES = ("secrets/purge", "keys/purge", "certificates/purge")
_ORDER: dict[Verb, int] = {"gains": 0, "keeps": 1, "loses": 2}


class _Difference(msgspec.Struct, frozen=True):
    """What became of one right of one principal at one place. before: how it was had, where it is kept."""

    verb: Verb
    given: Given
    before: Hold | None = None


def effects(
    changes: Iterable[Change],
    snapshot: Snapshot,
    *,
    known: Mapping[str, Principal],
    declared: Mapping[str, Principal],
    group: str,
    now: datetime,
) -> AccessEffects:
    """Return who gains and loses what when these changes are made.

    known: the principals the backend knows, by id; declared: those that will be made known, by name; group: the
    resource group of vaults that name none.
    """
    deciding = [change for change in changes if change.kind in _DECIDING and change.action is not Action.REFUSE]
    people = {**known, **{one.id: one for one in declared.values()}}
    if not deciding and not _regrouped(known, people):
        return NO_EFFECTS
    things = alive(snapshot)
    later = afterwards(things, deciding)
    found = compared(
        things,
        later,
        known=named_as_things_name_them(known.values(), snapshot.principals, things),
        people=named_as_things_name_them(people.values(), snapshot.principals, later),
        group=group,
        now=now,
    )
    unread = next((entry.reason for entry in snapshot.unread if _decides_access(entry.identity)), "")
    return msgspec.structs.replace(found, unread=unread)


def compared(
    things: Mapping[str, Resource],
    later: Mapping[str, Resource],
    *,
    known: Mapping[str, Principal],
    people: Mapping[str, Principal],
    group: str,
    now: datetime,
) -> AccessEffects:
    """Return what access differs between two states of the vaults. things, later: everything alive, by identity; known,
    people: the principals then and then, by id; group: the resource group of vaults that name none."""
    before = AccessWorld(things, known, group=group, now=now)
    after = AccessWorld(later, people, group=group, now=now)
    comparison = _Comparison(before, after)
    comparison.look_at(things, later, _regrouped(known, people))
    return comparison.effects(_protected(things, later))


class _Comparison:
    """Two worlds, and where they may differ for whom."""

    def __init__(self, before: AccessWorld, after: AccessWorld) -> None:
        self.before = before
        self.after = after
        self.places: dict[str, set[str]] = {}  # by principal

    def look_at(self, things: Mapping[str, Resource], later: Mapping[str, Resource], joined: frozenset[str]) -> None:
        """Note where whose access may differ. joined: groups that other people are in."""
        changed = {identity for identity in {**things, **later} if things.get(identity) != later.get(identity)}
        homes = {
            _place_of(identity, later.get(identity) or things[identity])
            for identity in changed
            if (identity in self.before.homes) != (identity in self.after.homes)
            or _access_model(things.get(identity)) != _access_model(later.get(identity))
        }
        redefined = {f"managed_hsm/{identity.split('/')[1]}" for identity in changed if "/roles/" in identity}
        changed_denials = {
            thing.scope.lower()
            for identity in changed
            for thing in (things.get(identity), later.get(identity))
            if isinstance(thing, DenyAssignment)
        }
        for world in (self.before, self.after):
            for given in world.given.values():
                home = home_of(given.scope)
                differs = given.id in changed or role_identity(given.role) in changed
                if differs or given.principal in joined or home in homes or home in redefined:
                    self._note(given, given.scope)
                for other in homes if not home else ():
                    if world.covers(given.scope, other):
                        self._note(given, other)
                for denied in changed_denials:
                    if world.covers(given.scope, denied):
                        self._note(given, denied)
                    elif world.covers(denied, given.scope):
                        self._note(given, given.scope)

    def _note(self, given: Given, place: str) -> None:
        for either in (self.before, self.after):
            for principal in either.members.within(given.principal):
                self.places.setdefault(principal, set()).add(place)

    def effects(self, protected: frozenset[str]) -> AccessEffects:
        """Return what differs."""
        found: dict[str, list[AccessChange]] = {}
        lost: set[tuple[str, str]] = set()
        for principal, places in self.places.items():
            known = self.after.people.get(principal)
            if known is not None and known.members:
                continue  # it acts through its members, who are compared
            changes = list(self._of(principal, places))
            if changes:
                found[principal] = changes
                lost |= {
                    (change.scope, right) for change in changes if change.verb == "loses" for right in change.rights
                }
        principals = sorted(self._gathered(found), key=lambda one: (one.name.lower(), one.id))
        return AccessEffects(
            principals=tuple(principals),
            nobody=(*self._nobody(lost), *self._unpurgeable(protected)),
            names={
                change.through.group: self._name(change.through.group)
                for one in principals
                for change in one.changes
                if change.through.group
            },
        )

    def _of(self, principal: str, places: set[str]) -> Iterator[AccessChange]:
        """Yield what differs for one principal, the widest places first; what a wider place says is not said again."""
        told: dict[tuple[Verb, str], list[str]] = {}
        for place in sorted(places, key=lambda place: (_breadth(place), place)):
            had = self.before.held(principal, place) if self.before.exists(place, self.after) else {}
            has = self.after.held(principal, place) if self.after.exists(place, self.before) else {}
            differences = {
                right.name: difference
                for right in rights_of(place)
                if (difference := _difference(had.get(right.name, ()), has.get(right.name, ()))) is not None
            }
            new = {
                name: difference
                for name, difference in differences.items()
                if not any(self._covers(other, place) for other in told.get((difference.verb, name), ()))
            }
            for difference in dict.fromkeys(new.values()):
                names = tuple(name for name in differences if _is_said(name, difference, differences, had, has))
                still = self._still_at(principal, place, names) if difference.verb == "loses" else ()
                yield _told(place, names, difference, principal, still)
            for name, difference in new.items():
                told.setdefault((difference.verb, name), []).append(place)

    def _still_at(self, principal: str, place: str, rights: tuple[str, ...]) -> tuple[str, ...]:
        """Return the places below one at which somebody still has some of what is lost there."""
        acting = {principal, *self.after.members.ways(principal)}
        below = {
            given.scope
            for given in self.after.about(place)
            if given.principal in acting and given.scope != place and self.after.covers(place, given.scope)
        }
        return tuple(sorted(one for one in below if not self.after.held(principal, one).keys().isdisjoint(rights)))

    def _covers(self, wide: str, narrow: str) -> bool:
        return self.after.covers(wide, narrow) or self.before.covers(wide, narrow)

    def _gathered(self, found: Mapping[str, list[AccessChange]]) -> Iterator[PrincipalAccess]:
        """Yield what changes by principal; what all members of a group have through it is told of the group."""
        shared: dict[tuple[str, AccessChange], set[str]] = {}
        for principal, changes in found.items():
            for change in changes:
                if change.through.group:
                    shared.setdefault((change.through.group, change), set()).add(principal)
        whole: dict[str, list[AccessChange]] = {}
        for (group, change), who in shared.items():
            world, other = (self.before, self.after) if change.verb == "loses" else (self.after, self.before)
            members = world.members.within(group)
            # Where who is in it changes, it is those who join or leave that gain or lose.
            if who == members and (group not in other.people or other.members.within(group) == members):
                whole.setdefault(group, []).append(change)
        for group, changes in whole.items():
            members = self.after.members.within(group) or self.before.members.within(group)
            yield self._of_principal(group, changes, tuple(sorted(map(self._name, members))))
        for principal, changes in found.items():
            own = [change for change in changes if change not in whole.get(change.through.group, ())]
            if own:
                yield self._of_principal(principal, own, ())

    def _of_principal(self, principal: str, changes: list[AccessChange], members: tuple[str, ...]) -> PrincipalAccess:
        known = self.after.people.get(principal) or self.before.people.get(principal)
        return PrincipalAccess(
            id=principal,
            name=self._name(principal),
            type=known.type if known is not None else "",
            members=members,
            changes=tuple(
                sorted(changes, key=lambda change: (_ORDER[change.verb], _breadth(change.scope), change.scope))
            ),
        )

    def _name(self, principal: str) -> str:
        known = self.after.people.get(principal) or self.before.people.get(principal)
        return (known.name if known is not None else "") or principal

    def _nobody(self, lost: set[tuple[str, str]]) -> Iterator[NobodyAnyMore]:
        """Yield the rights that were lost, and that nobody has any more at or below the place, which is still there."""
        gone: dict[str, list[str]] = {}
        for place, right in sorted(lost):
            if self.after.exists(place, self.before) and not self._anybody(self.after, place, right):
                gone.setdefault(place, []).append(right)
        for place, rights in gone.items():
            yield NobodyAnyMore(tuple(rights), phrase(tuple(rights), *level_of(place)), place)

    def _anybody(self, world: AccessWorld, place: str, right: str) -> bool:
        """Tell whether anybody has a right at a place, or at one below it."""
        return any(
            right in world.held(principal, given.scope if world.covers(place, given.scope) else place)
            for given in world.about(place)
            for principal in world.members.within(given.principal)
        )

    def _unpurgeable(self, protected: frozenset[str]) -> Iterator[NobodyAnyMore]:
        """Yield what purge protection takes from everybody who could purge until now."""
        for place in sorted(protected):
            rights = [right for right in _PURGES if self._anybody(self.before, place, right)]
            if rights:
                yield NobodyAnyMore(tuple(rights), phrase(tuple(rights), *level_of(place)), place, "purge protection")


def _difference(had: tuple[Given, ...], has: tuple[Given, ...]) -> _Difference | None:
    """Return what became of a right. had, has: what it rested on, and rests on, the best first; nothing for none."""
    if not had and not has:
        return None
    if not had:
        return _Difference("gains", has[0])
    if not has:
        return _Difference("loses", had[0])
    return _Difference("keeps", has[0], had[0].hold) if had[0].hold != has[0].hold else None


def _is_said(
    name: str,
    difference: _Difference,
    differences: Mapping[str, _Difference],
    had: Mapping[str, tuple[Given, ...]],
    has: Mapping[str, tuple[Given, ...]],
) -> bool:
    """Tell whether a right is named in the line about a difference: one that differs so, or that the same assignment
    gives beside, though another gives it as well."""
    if differences[name] == difference:
        return True
    rests_on = had if difference.verb == "loses" else has
    return differences[name].verb == difference.verb and difference.given in rests_on[name]


def _told(
    place: str, names: tuple[str, ...], difference: _Difference, principal: str, still_at: tuple[str, ...]
) -> AccessChange:
    given = difference.given
    return AccessChange(
        verb=difference.verb,
        rights=names,
        words=phrase(names, *level_of(place)),
        scope=place,
        through=Through(given.role, given.scope, given.principal if given.principal != principal else ""),
        hold=given.hold,
        before=difference.before,
        still_at=still_at,
    )


def _regrouped(known: Mapping[str, Principal], people: Mapping[str, Principal]) -> frozenset[str]:
    """Return the groups that other people are in afterwards, and the groups those are in."""
    changed = {
        one.id
        for one in people.values()
        if one.type == "group" and one.members != (known[one.id].members if one.id in known else frozenset())
    }
    while True:
        above = {one.id for one in people.values() if one.members & changed} - changed
        if not above:
            return frozenset(changed)
        changed |= above


def _protected(things: Mapping[str, Resource], later: Mapping[str, Resource]) -> frozenset[str]:
    """Return the places whose purge protection is switched on."""
    return frozenset(
        _place_of(identity, now)
        for identity, now in later.items()
        if isinstance(now, Vault)
        and now.purge_protection
        and isinstance(was := things.get(identity), Vault)
        and not was.purge_protection
    )


def _decides_access(unread: str) -> bool:
    return unread.split("/", maxsplit=1)[0] in _UNREAD or unread.endswith("/policies/")


def _access_model(home: Resource | None) -> str:
    return home.access_model if isinstance(home, Vault) else ""


def _place_of(identity: str, home: Resource) -> str:
    """Return a vault or Managed HSM as the place that access is had at."""
    return f"{home.kind}/{identity.split('/')[1]}"


def _breadth(place: str) -> int:
    """Return how wide a place is: the widest has the least."""
    match place.split("/"):
        case ["subscription"]:
            return 0
        case ["resource_group", _]:
            return 1
        case parts:
            return len(parts)
