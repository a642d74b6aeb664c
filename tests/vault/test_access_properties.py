"""The evaluator against a second one that is slow and plain: they agree in random worlds, and explanations do."""

import random
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.terms.right import rights_at
from kvstack.terms.role import RoleDefinition
from kvstack.vault.access import Assignments, Request, decision
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.explanation import Grant, explanation, who_can
from kvstack.vault.reach import reach
from tests.vault import plain_access
from tests.vault.access_worlds import NOW, PRINCIPALS, questions, registry_of, set_back, worlds
from tests.vault.plain_access import World

_LEVELS = ("subscription", "resource_group", "vault", "item")
Thing = RoleAssignment | DenyAssignment | RoleDefinition


def require_the_same(
    world: World, index: Assignments, principals: tuple[str, ...], request: Request, latest: datetime
) -> None:
    """Ask both."""
    asked = msgspec.structs.replace(request, principals=principals)
    answer = decision(asked, index, NOW, latest)
    how: Any = {"action": request.action, "scope": request.scope, "data": request.data}
    allowing = plain_access.granting(world, set(principals), now=NOW, latest=latest, **how)
    forbidding = plain_access.forbidding(world, set(principals), **how)
    assert answer.allowed == (bool(allowing) and not forbidding)
    assert answer.assignment is None if not answer.allowed else answer.assignment in allowing
    assert (answer.denial in forbidding) if forbidding else answer.denial is None
    assert {one.id for one in index.granting(asked, NOW, latest)} == {one.id for one in allowing}
    if answer.assignment is not None:
        # The nearest one decides.
        assert answer.assignment.scope.level == max((one.scope.level for one in allowing), key=_LEVELS.index)


orders = st.randoms(use_true_random=False)


@given(worlds(), orders, set_back)
def test_the_evaluator_agrees_with_a_plain_one(world: World, order: random.Random, latest: datetime) -> None:
    registry = registry_of(world)
    for caller, request in questions(world, order, 60):
        principals = registry.principals_of(caller)
        assert set(principals) == plain_access.acting(world, caller.id, caller.groups)
        require_the_same(world, registry.assignments, principals, request, latest)


@settings(max_examples=50)
@given(worlds(), orders)
def test_it_agrees_after_things_were_taken_away_and_put_back_too(world: World, order: random.Random) -> None:
    index = Assignments((), {})
    # The same questions each time: what was remembered of them must not be what is answered after a change.
    asked = tuple(questions(world, order, 8))
    things: list[Thing] = [*world.assignments, *world.denials, *world.roles]
    there: list[Thing] = []
    for _ in range(2 * len(things)):
        one = order.choice(things)
        if one in there:
            there.remove(one)
        else:
            there.append(one)
        match one:
            case RoleAssignment():
                (index.add if one in there else index.remove)(one)
            case DenyAssignment():
                (index.deny if one in there else index.no_longer_deny)(one)
            case _ if one in there:
                index.put_role(one)
            case _:
                index.remove_role(one.id)
        now_there = msgspec.structs.replace(
            world,
            assignments=tuple(thing for thing in there if isinstance(thing, RoleAssignment)),
            denials=tuple(thing for thing in there if isinstance(thing, DenyAssignment)),
            roles=tuple(thing for thing in there if isinstance(thing, RoleDefinition)),
        )
        for caller, request in asked:
            principals = tuple(plain_access.acting(world, caller.id, caller.groups))
            require_the_same(now_there, index, principals, request, NOW)


@given(worlds(), orders, set_back)
def test_what_is_explained_and_listed_is_what_the_plain_one_says(
    world: World, order: random.Random, latest: datetime
) -> None:
    registry = registry_of(world)
    known = {one.principal_id for one in world.assignments}.union(*world.members.values())
    for _, request in questions(world, order, 10):
        able = {who for who, _, _ in who_can(registry, request, NOW, latest)}
        how: Any = {"action": request.action, "scope": request.scope, "data": request.data}
        for who in PRINCIPALS:
            principals = plain_access.acting(world, who, ())
            allowing = plain_access.granting(world, principals, now=NOW, latest=latest, **how)
            forbidding = plain_access.forbidding(world, principals, **how)
            found = explanation(registry, who, **how, now=NOW, latest=latest)
            assert found.allowed == (bool(allowing) and not forbidding)
            assert {grant.assignment.id for grant in found.grants if isinstance(grant, Grant)} == {
                one.id for one in allowing
            }
            assert (found.denial is not None) == bool(forbidding)
            assert (who in able) == (found.allowed and who in known)


@settings(max_examples=50)
@given(worlds(), orders)
def test_all_rights_at_a_place_at_once_are_those_asked_one_by_one(world: World, order: random.Random) -> None:
    registry = registry_of(world)
    for caller, request in questions(world, order, 2):
        place, principals = request.scope, plain_access.acting(world, caller.id, caller.groups)
        found = reach(registry.assignments, registry.principals_of(caller), place, NOW)
        expected: dict[str, set[str]] = {}
        for right in rights_at(place.level, place.item.partition("/")[0].lower()):
            how: Any = {"action": right.action, "scope": place, "data": right.data}
            if not plain_access.forbidding(world, principals, **how):
                for one in plain_access.granting(world, principals, now=NOW, latest=NOW, **how):
                    expected.setdefault(one.id, set()).add(right.name)
        assert {one.id: {right.name for right in rights} for one, rights in found} == expected
