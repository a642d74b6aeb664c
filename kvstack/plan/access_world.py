"""Who may do what among given things: access as it is declared or read, put before the one evaluator."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from kvstack.plan.access import Hold
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.catalog import CONTAINERS
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Resource
from kvstack.terms.local_role import local_roles
from kvstack.terms.local_role import named as local_role_named
from kvstack.terms.membership import Memberships
from kvstack.terms.name import folded
from kvstack.terms.principal import EVERYONE, Principal
from kvstack.terms.right import Right, rights_at
from kvstack.terms.role import RoleDefinition as Role
from kvstack.terms.role import built_in_roles_by_id
from kvstack.terms.role import role as built_in_role
from kvstack.terms.scope import Scope
from kvstack.vault.access import Assignments
from kvstack.vault.access_policy import AccessPolicy as Policy
from kvstack.vault.access_policy import VaultPolicies
from kvstack.vault.assignment import RoleAssignment as Assignment
from kvstack.vault.denial import DenyAssignment as Denial
from kvstack.vault.local_access import LocalAccess, LocalAssignment, LocalRole
from kvstack.vault.reach import permitted, reach

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_TOP = "subscription"


class Given(msgspec.Struct, frozen=True):
    """One way somebody was given rights. id: the identity of what gives them; principal: the id of who was; role: its
    name; scope: where, as a stack writes it in full, in lower case."""

    id: str
    principal: str
    role: str
    scope: str
    hold: Hold


class AccessWorld:
    """What access comes to among some things. things: everything alive, by identity; people: by id; group: the resource
    group of vaults that name none."""

    def __init__(
        self, things: Mapping[str, Resource], people: Mapping[str, Principal], *, group: str, now: datetime
    ) -> None:
        self.people = people
        self.members = Memberships(people.values())
        self.vaults = {one.name.lower(): one for one in things.values() if isinstance(one, Vault)}
        self.homes = {identity for identity, one in things.items() if type(one) in CONTAINERS.values()}
        self.given: dict[str, Given] = {}
        self._at_home: dict[str, list[Given]] = {}  # by vault or Managed HSM, under "" what is wider
        self._group = group
        self._now = now
        self._scopes: dict[str, Scope] = {}
        self._roles = {
            folded(one.name): one.definition(identity)
            for identity, one in things.items()
            if isinstance(one, RoleDefinition)
        }
        own = {role.id: role for role in self._roles.values()}
        self._evaluator = Assignments((), {**built_in_roles_by_id(), **own})
        self._local = _local_access(things)
        for identity, thing in things.items():
            match thing:
                case RoleAssignment():
                    self._give(identity, thing)
                case DenyAssignment():
                    self._deny(identity, thing)
                case HsmRoleAssignment():
                    place = f"managed_hsm/{_home(identity)}{thing.scope.rstrip('/')}".lower()
                    self._note(Given(identity, thing.principal, thing.role, place, Hold()))
                case AccessPolicy():
                    place = f"vault/{_home(identity)}"
                    self._note(Given(identity, thing.principal, "access policy", place, Hold()))
                case _:
                    pass
        for name, policies in _policies(things).items():
            if name in self.vaults and self.vaults[name].access_model == "access_policies":
                self._evaluator.go_by(name, policies)

    def exists(self, place: str, elsewhere: "AccessWorld") -> bool:
        """Tell whether a place is there. elsewhere: the world before, or after: a vault that neither knows is somebody
        else's, and is taken to be there."""
        home = home_of(place)
        identity = f"vaults/{home.partition('/')[2]}"
        return not home or identity in self.homes or identity not in elsewhere.homes

    def held(self, principal: str, place: str) -> dict[str, tuple[Given, ...]]:
        """Return the rights somebody has at a place, by name, each with everything it rests on, the best hold first."""
        principals = (principal, *self.members.ways(principal))
        found: dict[str, tuple[Given, ...]] = {}
        for given, rights in self._reaching(principals, place):
            for right in rights:
                found[right.name] = (*found.get(right.name, ()), given)
        for name, rests_on in found.items():
            if len(rests_on) > 1:
                found[name] = tuple(sorted(rests_on, key=lambda given: given.hold.weakness))
        return found

    def _reaching(self, principals: tuple[str, ...], place: str) -> Iterator[tuple[Given, tuple[Right, ...]]]:
        if place.startswith("managed_hsm/"):
            _, home, *inside = place.split("/", 2)
            local = self._local.get(home)
            if local is not None:
                scope = f"/{inside[0] if inside else ''}"
                for identity, rights in local.reach(principals, scope, self._now):
                    yield self.given[identity], rights
            return
        for assignment, rights in reach(self._evaluator, principals, self._scope(place), self._now):
            yield self.given[assignment.id], rights
        for policy, rights in permitted(self._evaluator, principals, self._scope(place)):
            yield self.given[policy.vault_id], rights

    def _give(self, identity: str, thing: RoleAssignment) -> None:
        role = self.role(thing.role)
        if role is None:
            return
        terms = thing.eligible
        starts = thing.starts if terms is None else terms.starts
        hold = Hold(
            starts=starts if starts is not None and starts > self._now else None,
            until=thing.end,
            on_request=terms is not None,
            conditional=bool(thing.condition),
        )
        place = thing.scope.lower()
        self._note(Given(identity, thing.principal, role.name, place, hold))
        # What begins later, has to be taken up first, or holds under a condition, is told as such; the evaluator is
        # asked as if it did now.
        self._evaluator.add(
            Assignment(
                id=identity,
                scope=self._scope(place),
                role_id=role.id,
                principal_id=thing.principal,
                principal_type=thing.principal_type or "user",
                expires=thing.end,
                created=_LONG_AGO,
            )
        )

    def _deny(self, identity: str, thing: DenyAssignment) -> None:
        denial = Denial(
            id=identity,
            name=thing.name,
            scope=self._scope(thing.scope.lower()),
            principals=frozenset({EVERYONE}) if thing.principals is None else thing.principals,
            excluded=thing.excluded,
            actions=tuple(sorted(thing.actions)),
            not_actions=tuple(sorted(thing.not_actions)),
            data_actions=tuple(sorted(thing.data_actions)),
            not_data_actions=tuple(sorted(thing.not_data_actions)),
            below=thing.below,
            created=_LONG_AGO,
        )
        self._evaluator.deny(denial)

    def _note(self, given: Given) -> None:
        self.given[given.id] = given
        self._at_home.setdefault(home_of(given.scope), []).append(given)

    def about(self, place: str) -> Iterator[Given]:
        """Yield what was given at a place, above it, or below it."""
        home = home_of(place)
        if not home:
            yield from (
                one for one in self.given.values() if self.covers(one.scope, place) or self.covers(place, one.scope)
            )
            return
        yield from (one for one in self._at_home.get("", ()) if self.covers(one.scope, place))
        for one in self._at_home.get(home, ()):
            if self.covers(one.scope, place) or self.covers(place, one.scope):
                yield one

    def role(self, name: str) -> Role | None:
        """Return a role by its name, None for one that is not known here."""
        own = self._roles.get(folded(name))
        if own is not None:
            return own
        try:
            return built_in_role(name)
        except ValueError:
            return None

    def _scope(self, place: str) -> Scope:
        known = self._scopes.get(place)
        if known is None:
            known = self._scopes[place] = self._made_scope(place)
        return known

    def _made_scope(self, place: str) -> Scope:
        match place.split("/", 2):
            case ["resource_group", group]:
                return Scope(_TOP, group)
            case ["vault", name, *item]:
                vault = self.vaults.get(name)
                group = vault.resource_group or self._group if vault is not None else ""
                return Scope(_TOP, group.lower(), name, item[0] if item else "")
            case _:
                return Scope(_TOP)

    def covers(self, wide: str, narrow: str) -> bool:
        """Tell whether what holds at one place holds at the other, too: at it, or below it."""
        if narrow == wide or narrow.startswith(f"{wide}/"):
            return True
        if wide.startswith(("vault/", "managed_hsm/")) or narrow.startswith("managed_hsm/"):
            return False
        return self._scope(wide).contains(self._scope(narrow))


def level_of(place: str) -> tuple[str, str]:
    """Return the level of a place, which is a scope as a stack writes it in full, and the collection of a thing."""
    match place.split("/"):
        case ["vault", _, collection, _]:
            return "item", collection
        case [level, *_]:
            return level, ""
        case _:
            return "", ""


def rights_of(place: str) -> tuple[Right, ...]:
    """Return the rights that can be had at a place."""
    return rights_at(*level_of(place))


def home_of(place: str) -> str:
    """Return the place of the vault or Managed HSM that a place is, or is in; empty for a wider one."""
    parts = place.split("/", 2)
    return "/".join(parts[:2]) if parts[0] in ("vault", "managed_hsm") else ""


def _local_access(things: Mapping[str, Resource]) -> dict[str, LocalAccess]:
    """Return who may do what inside each Managed HSM, by its folded name."""
    roles: dict[str, dict[str, Role]] = {}
    for identity, thing in things.items():
        if isinstance(thing, HsmRoleDefinition):
            roles.setdefault(_home(identity), {})[identity] = thing.definition(identity)
    assigned: dict[str, list[LocalAssignment]] = {}
    for identity, thing in things.items():
        if isinstance(thing, HsmRoleAssignment):
            home = _home(identity)
            known = {**local_roles(), **roles.get(home, {})}
            assigned.setdefault(home, []).append(
                LocalAssignment(
                    vault_id=home,
                    id=identity,
                    scope=thing.scope,
                    role_id=local_role_named(thing.role, known).id,
                    principal_id=thing.principal,
                    principal_type=thing.principal_type or "user",
                    created=_LONG_AGO,
                )
            )
    return {home: LocalAccess(given, _local_roles(home, roles.get(home, {}))) for home, given in assigned.items()}


def _local_roles(home: str, defined: Mapping[str, Role]) -> Iterator[LocalRole]:
    for identity, definition in defined.items():
        yield LocalRole(vault_id=home, id=identity, definition=definition, created=_LONG_AGO, updated=_LONG_AGO)


def _policies(things: Mapping[str, Resource]) -> dict[str, VaultPolicies]:
    """Return the access policies of each vault, by folded name; each bears its identity in place of a vault's id."""
    found: dict[str, list[Policy]] = {
        _home(identity): [] for identity, thing in things.items() if isinstance(thing, Vault)
    }
    for identity, thing in things.items():
        if isinstance(thing, AccessPolicy):
            given = thing.resolved()
            found.setdefault(_home(identity), []).append(
                Policy(
                    vault_id=identity,
                    principal_id=given.principal,
                    keys=frozenset(given.keys),
                    secrets=frozenset(given.secrets),
                    certificates=frozenset(given.certificates),
                    created=_LONG_AGO,
                    updated=_LONG_AGO,
                )
            )
    return {home: VaultPolicies(policies) for home, policies in found.items()}


def _home(identity: str) -> str:
    """Return the folded name of the vault or Managed HSM that something is in."""
    return identity.split("/")[1]
