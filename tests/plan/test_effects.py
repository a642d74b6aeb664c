"""Who gains and loses what: what a plan says of it, and that it is what everybody's rights come to."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.plan.access import AccessChange, AccessEffects, Hold
from kvstack.plan.effects import compared, effects
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Resource
from kvstack.terms.principal import Principal
from kvstack.terms.right import Right, rights_at
from kvstack.terms.role import built_in_roles
from tests.plan.world import API, NOW, PEOPLE, World

BOB = API[:-1] + "2"
CONDITION = ", condition: \"@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'pay'\""
END = NOW + timedelta(days=30)


def told(world: World, known: Mapping[str, Principal] | None = None, now: datetime = NOW) -> AccessEffects:
    """Return what a plan says of access. known: principals the backend knew before; by default those declared."""
    declared = world.desired.principals
    before = {one.id: one for one in declared.values()} if known is None else known
    changes = world.plan(now=now).changes
    return effects(changes, world.snapshot(), known=before, declared=declared, group="local", now=now)


def lines(found: AccessEffects) -> list[str]:
    """Return what is told, a line a change."""
    return [
        f"{one.name} {change.verb} {change.words} @ {change.scope}"
        for one in found.principals
        for change in one.changes
    ] + [f"nobody {one.words} @ {one.scope}" for one in found.nobody]


def test_who_is_given_a_role_gains_its_rights_where_it_is_given() -> None:
    world = World.applied(PEOPLE + "vaults: {pay: {}}")
    world.declare(PEOPLE + "vaults: {pay: {access: [{principal: api, role: Key Vault Secrets User}]}}")

    found = told(world)

    assert lines(found) == ["api gains read, list secrets @ vault/pay"]
    (change,) = found.principals[0].changes
    assert change.rights == ("secrets/get", "secrets/list")
    assert (change.through.role, change.through.scope, change.through.group) == (
        "Key Vault Secrets User",
        "vault/pay",
        "",
    )
    assert change.hold == Hold()


def test_who_is_given_no_role_any_more_loses_its_rights_and_then_nobody_has_them() -> None:
    access = "access: [{principal: api, role: Key Vault Secrets User}]"
    world = World.applied(PEOPLE + f"vaults: {{pay: {{{access}}}}}").declare(PEOPLE + "vaults: {pay: {}}")

    assert lines(told(world)) == [
        "api loses read, list secrets @ vault/pay",
        "nobody read, list secrets @ vault/pay",
    ]


def test_nobody_is_told_to_have_lost_what_somebody_else_still_has() -> None:
    both = "access: [{principal: api, role: Key Vault Secrets User}, {principal: bob, role: Key Vault Administrator}]"
    one = "access: [{principal: bob, role: Key Vault Administrator}]"
    world = World.applied(PEOPLE + f"vaults: {{pay: {{{both}}}}}").declare(PEOPLE + f"vaults: {{pay: {{{one}}}}}")

    assert lines(told(world)) == ["api loses read, list secrets @ vault/pay"]


def test_what_a_wider_role_gives_already_is_no_gain() -> None:
    wide = "access: [{principal: api, role: Key Vault Secrets Officer, scope: subscription}]\n"
    narrow = "access: [{principal: api, role: Key Vault Secrets User}]"
    world = World.applied(PEOPLE + wide + "vaults: {pay: {}}")
    world.declare(PEOPLE + wide + f"vaults: {{pay: {{{narrow}}}}}")

    assert lines(told(world)) == []


def test_a_vault_made_is_reached_by_who_has_a_role_above_it() -> None:
    wide = "access: [{principal: api, role: Key Vault Secrets Officer, scope: subscription}]\n"
    world = World.applied(PEOPLE + wide).declare(PEOPLE + wide + "vaults: {pay: {}}")

    found = told(world)

    assert lines(found) == ["api gains everything with secrets @ vault/pay"]
    assert found.principals[0].changes[0].through.scope == "subscription"


def test_with_a_vault_all_access_to_it_goes_and_that_is_no_right_nobody_has_any_more() -> None:
    access = "access: [{principal: api, role: Key Vault Secrets User, scope: secrets/s}]"
    secret = "secrets: {s: {value_from: {generate: {length: 20}}}}"
    world = World.applied(PEOPLE + f"vaults: {{pay: {{{secret}, {access}}}}}").declare(PEOPLE)

    assert lines(told(world)) == ["api loses read, list secrets @ vault/pay/secrets/s"]


@pytest.mark.parametrize(
    ("before", "after", "hold", "was"),
    [
        ("", ", until: 2026-07-01T00:00:00Z", Hold(until=END), Hold()),
        (", until: 2026-07-01T00:00:00Z", "", Hold(), Hold(until=END)),
        (
            "",
            ", condition: \"@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'pay'\"",
            Hold(conditional=True),
            Hold(),
        ),
    ],
)
def test_a_right_held_otherwise_than_before_is_told_with_both(before: str, after: str, hold: Hold, was: Hold) -> None:
    def stack(how: str) -> str:
        return PEOPLE + f"vaults: {{pay: {{access: [{{principal: api, role: Key Vault Secrets User{how}}}]}}}}"

    world = World.applied(stack(before)).declare(stack(after))

    found = told(world)

    assert lines(found) == ["api keeps read, list secrets @ vault/pay"]
    (change,) = found.principals[0].changes
    assert (change.hold, change.before) == (hold, was)


def test_an_assignment_that_has_ended_gives_nothing_to_lose() -> None:
    access = "access: [{principal: api, role: Key Vault Secrets User, until: 2026-07-01T00:00:00Z}]"
    world = World.applied(PEOPLE + f"vaults: {{pay: {{{access}}}}}").declare(PEOPLE + "vaults: {pay: {}}")

    assert lines(told(world, now=END)) == []
    assert lines(told(world, now=END - timedelta(seconds=1)))[0] == "api loses read, list secrets @ vault/pay"


def test_what_all_of_a_group_have_through_it_is_told_once_with_their_names() -> None:
    people = (
        f"principals: {{api: {{type: service_principal, id: {API}}}, bob: {{type: user, id: {BOB}}}, "
        f"team: {{type: group, id: {API[:-1]}3, members: [api, bob]}}}}\n"
    )
    world = World.applied(people + "vaults: {pay: {}}")
    world.declare(people + "vaults: {pay: {access: [{principal: team, role: Key Vault Secrets User}]}}")

    found = told(world)

    assert lines(found) == ["team gains read, list secrets @ vault/pay"]
    assert found.principals[0].members == ("api", "bob")


def test_of_a_group_whose_members_do_not_all_gain_those_who_do_are_told() -> None:
    people = (
        f"principals: {{api: {{type: service_principal, id: {API}}}, bob: {{type: user, id: {BOB}}}, "
        f"team: {{type: group, id: {API[:-1]}3, members: [api, bob]}}}}\n"
    )
    own = "{principal: bob, role: Key Vault Secrets User}"
    world = World.applied(people + f"vaults: {{pay: {{access: [{own}]}}}}")
    world.declare(people + f"vaults: {{pay: {{access: [{own}, {{principal: team, role: Key Vault Secrets User}}]}}}}")

    assert lines(told(world)) == ["api gains read, list secrets @ vault/pay"]


def test_who_keeps_at_one_place_what_is_lost_in_all_is_told_both() -> None:
    wide = "access: [{principal: api, role: Key Vault Secrets User, scope: subscription}]\n"
    narrow = "vaults: {pay: {access: [{principal: api, role: Key Vault Secrets User}]}}"
    world = World.applied(PEOPLE + wide + narrow).declare(PEOPLE + narrow)

    (change,) = told(world).principals[0].changes

    assert (change.verb, change.scope, change.still_at) == ("loses", "subscription", ("vault/pay",))


def test_what_a_plan_refuses_changes_no_access() -> None:
    wide = "access: [{principal: bob, role: Key Vault Administrator, scope: subscription}]\n"
    world = World.applied(PEOPLE + wide + "vaults: {pay: {lock: delete}}").declare(PEOPLE + wide)

    assert world.actions() == {"pay": "refuse"}
    assert lines(told(world)) == []


def test_a_vault_that_cannot_be_made_is_reached_by_nobody() -> None:
    wide = "access: [{principal: bob, role: Key Vault Administrator, scope: subscription}]\n"
    world = World.applied(PEOPLE + wide + "vaults: {pay: {}}").foreign("pay").deleted("pay")

    assert world.actions() == {"pay": "refuse"}
    assert lines(told(world)) == []


def test_who_joins_a_group_gains_what_it_has_and_who_leaves_it_loses_that() -> None:
    def stack(members: str) -> str:
        return (
            f"principals: {{api: {{type: service_principal, id: {API}}}, bob: {{type: user, id: {BOB}}}, "
            f"team: {{type: group, id: {API[:-1]}3, members: [{members}]}}}}\n"
            "vaults: {pay: {access: [{principal: team, role: Key Vault Secrets User}]}}"
        )

    world = World.applied(stack("api"))
    known = {one.id: one for one in world.desired.principals.values()}

    found = told(world.declare(stack("bob")), known)

    assert lines(found) == ["api loses read, list secrets @ vault/pay", "bob gains read, list secrets @ vault/pay"]
    assert {change.through.group for one in found.principals for change in one.changes} == {API[:-1] + "3"}
    assert found.names == {API[:-1] + "3": "team"}


def test_purge_protection_takes_purging_from_everybody() -> None:
    access = "access: [{principal: api, role: Key Vault Secrets Officer}]"
    world = World.applied(PEOPLE + f"vaults: {{pay: {{{access}}}}}")
    world.declare(PEOPLE + f"vaults: {{pay: {{purge_protection: true, {access}}}}}")

    found = told(world)

    assert lines(found) == ["nobody purge secrets @ vault/pay"]
    assert found.nobody[0].because == "purge protection"


def test_where_it_is_on_already_nobody_is_told_of_purge_protection() -> None:
    bob = "{principal: bob, role: Key Vault Secrets Officer}"
    world = World.applied(PEOPLE + f"vaults: {{pay: {{purge_protection: true, access: [{bob}]}}}}")
    access = f"access: [{bob}, {{principal: api, role: Key Vault Secrets User}}]"
    world.declare(PEOPLE + f"vaults: {{pay: {{purge_protection: true, tags: {{a: b}}, {access}}}}}")

    assert lines(told(world)) == ["api gains read, list secrets @ vault/pay"]


def test_an_empty_plan_says_nothing_of_access() -> None:
    world = World.applied(PEOPLE + "vaults: {pay: {access: [{principal: api, role: Key Vault Secrets User}]}}")

    assert not told(world)


def test_roles_inside_a_managed_hsm_are_told_as_they_hold_there() -> None:
    world = World.applied(PEOPLE + "managed_hsms: {hsm: {}}")
    roles = "access: [{principal: api, role: Managed HSM Crypto User, scope: /keys/k}]"
    world.declare(PEOPLE + f"managed_hsms: {{hsm: {{{roles}}}}}")

    (line,) = lines(told(world))

    assert line.startswith("api gains ")
    assert "sign" in line
    assert line.endswith(" @ managed_hsm/hsm/keys/k")


# Held against a second opinion: every right of everybody at every place, decided by loops of a few lines.

_PLACES = ("subscription", "resource_group/g", "vault/a", "vault/b", "vault/a/secrets/s", "vault/a/keys/k")
_PEOPLE = tuple(f"{n:08d}-0000-0000-0000-000000000000" for n in range(3))
_GROUPS = tuple(f"{n:08d}-0000-0000-0000-00000000000f" for n in range(2))
_ROLES = (
    "Key Vault Administrator",
    "Key Vault Reader",
    "Key Vault Secrets User",
    "Owner",
    "Reader",
    "Key Vault Crypto User",
)
_VAULTS = {"a": "g", "b": "other"}


class _State(msgspec.Struct, frozen=True):
    """Vaults that are there, who was given what where, and who is in which group."""

    vaults: frozenset[str]
    assignments: dict[tuple[str, str, str], bool]  # principal, role, place; whether it has ended
    members: tuple[frozenset[str], ...]

    def things(self) -> dict[str, Resource]:
        vaults = {f"vaults/{name}": Vault(name=name, resource_group=_VAULTS[name]) for name in self.vaults}
        given = [
            RoleAssignment(principal=who, role=role, scope=place, principal_type="user", until=NOW if ended else None)
            for (who, role, place), ended in self.assignments.items()
        ]
        return {**vaults, **{one.identity(""): one for one in given}}

    def people(self) -> dict[str, Principal]:
        groups = [
            Principal(group, "group", group, members) for group, members in zip(_GROUPS, self.members, strict=True)
        ]
        return {one.id: one for one in (*groups, *(Principal(who, "user", who) for who in _PEOPLE))}

    def acting_as(self, who: str) -> set[str]:
        found = {who}
        while True:
            more = {group for group, members in zip(_GROUPS, self.members, strict=True) if members & found} - found
            if not more:
                return found
            found |= more

    def is_there(self, place: str) -> bool:
        return not place.startswith("vault/") or place.split("/")[1] in self.vaults

    def has(self, who: str, right: Right, place: str) -> bool:
        if not self.is_there(place):
            return False
        return any(
            given in self.acting_as(who) and not ended and wide in _above(place) and _allows(role, right)
            for (given, role, wide), ended in self.assignments.items()
            if self.is_there(wide)
        )


def _above(place: str) -> Iterator[str]:
    parts = place.split("/")
    if len(parts) == 4:
        yield place
    if parts[0] == "vault":
        yield "/".join(parts[:2])
        yield f"resource_group/{_VAULTS[parts[1]]}"
    if parts[0] == "resource_group":
        yield place
    yield "subscription"


def _allows(role: str, right: Right) -> bool:
    definition = built_in_roles()[role.lower()]

    def like(patterns: tuple[str, ...]) -> bool:
        for pattern in patterns:
            first, *rest = pattern.lower().split("*")
            text = right.action.lower()
            if not text.startswith(first):
                continue
            at, ok = len(first), True
            for part in rest[:-1]:
                at = text.find(part, at)
                ok = ok and at >= 0
                at += len(part)
            if ok and ((not rest and text == first) or (rest and text[at:].endswith(rest[-1]))):
                return True
        return False

    allowed, taken = (
        (definition.data_actions, definition.not_data_actions)
        if right.data
        else (definition.actions, definition.not_actions)
    )
    return like(allowed) and not like(taken)


def _states() -> st.SearchStrategy[_State]:
    anybody = st.sampled_from((*_PEOPLE, *_GROUPS))
    given = st.tuples(anybody, st.sampled_from(_ROLES), st.sampled_from(_PLACES))
    return st.builds(
        _State,
        st.frozensets(st.sampled_from(sorted(_VAULTS))),
        st.dictionaries(given, st.booleans(), max_size=6),
        st.tuples(*(st.frozensets(anybody, min_size=1, max_size=3) for _ in _GROUPS)),
    )


def _covers(wide: str, narrow: str) -> bool:
    return wide in _above(narrow)


def _rights(place: str) -> tuple[Right, ...]:
    parts = place.split("/")
    return rights_at("item", parts[2]) if len(parts) == 4 else rights_at(parts[0])


@given(_states(), _states())
def test_what_is_told_is_what_the_rights_of_everybody_come_to_before_and_after(before: _State, after: _State) -> None:
    found = compared(
        before.things(), after.things(), known=before.people(), people=after.people(), group="other", now=NOW
    )
    ids = {one.id: _changes_of(found, one.id, before, after) for one in after.people().values()}
    for who in _PEOPLE:
        for place in _PLACES:
            for right in _rights(place):
                had, has = before.has(who, right, place), after.has(who, right, place)
                gains = [change for change in ids[who] if _says(change, "gains", right, place)]
                losses = [change for change in ids[who] if _says(change, "loses", right, place)]
                where = (who, right.name, place)
                assert gains or had or not has, where
                assert losses or has or not had, where
                assert not gains or has or not after.is_there(place), where
                assert not losses or had or not before.is_there(place), where
                if losses and has:
                    assert any(_covers(kept, place) for change in losses for kept in change.still_at), where


def _changes_of(found: AccessEffects, who: str, before: _State, after: _State) -> list[AccessChange]:
    changes: list[AccessChange] = []
    for one in found.principals:
        for change in one.changes:
            state = before if change.verb == "loses" else after
            if one.id == who or (one.members and one.id in state.acting_as(who)):
                changes.append(change)
    return changes


def _says(change: AccessChange, verb: str, right: Right, place: str) -> bool:
    return change.verb == verb and right.name in change.rights and _covers(change.scope, place)
