"""Why somebody may or may not: the assignment, the way through groups, what is missing; who can; what reaches whom."""

import itertools
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.principal import Principal
from kvstack.terms.right import right
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Forbidden
from kvstack.vault.explanation import Explanation, Grant, explanation
from tests.vault.access_worlds import NOW, questions, registry_of, worlds
from tests.vault.plain_access import World as PlainWorld
from tests.vault.plain_access import acting
from tests.vault.service.world import START, World

VAULT = "payments-dev"
GET = right("secrets/get").action
INNER, OUTER, ROUND = (f"0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c2{digit}" for digit in "234")


def explained(world: World, who: Caller, right_name: str = "secrets/get", item: str = "secrets/s") -> Explanation:
    asked = right(right_name)
    return world.service.explain_access(world.operator, who.id, asked.action, world.scope(VAULT, item), data=asked.data)


def test_the_way_through_groups_is_told(dev: World) -> None:
    alice = dev.person()
    dev.service.put_principal(dev.operator, Principal(INNER, "group", "on-call", frozenset({alice.id})))
    dev.service.put_principal(dev.operator, Principal(OUTER, "group", "engineers", frozenset({INNER, ROUND})))
    dev.service.put_principal(dev.operator, Principal(ROUND, "group", "loop", frozenset({OUTER})))
    dev.service.create_role_assignment(
        dev.operator, dev.scope(), role="Key Vault Secrets User", principal_id=OUTER, principal_type="group"
    )
    found = explained(dev, alice)
    assert found.allowed
    assert [(isinstance(grant, Grant) and grant.role and grant.role.name, grant.through) for grant in found.grants] == [
        ("Key Vault Secrets User", (INNER, OUTER))
    ]
    able = dev.service.who_can(dev.operator, GET, dev.scope(VAULT))
    assert {who for who, _ in able} == {dev.operator.id, alice.id}
    assert [grant.through for grant in dev.service.grants_of(dev.operator, alice.id)] == [(INNER, OUTER)]


def test_what_is_missing_is_told_with_the_smallest_role_that_would_do(dev: World) -> None:
    found = explained(dev, dev.person("Key Vault Reader"))
    assert (found.allowed, found.grants, found.missed) == (False, (), ())
    assert found.smallest is not None
    assert found.smallest.name == "Key Vault Secrets User"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"starts": START + timedelta(days=1)}, "not_begun"),
        ({"expires": START - timedelta(days=1)}, "ended"),
        ({"condition": "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'other'"}, "condition"),
    ],
)
def test_an_assignment_that_does_not_count_is_told_with_the_reason(dev: World, more: dict[str, str], why: str) -> None:
    who = dev.person()
    dev.service.create_role_assignment(
        dev.operator,
        dev.scope(VAULT),
        role="Key Vault Secrets User",
        principal_id=who.id,
        principal_type="user",
        **more,  # type: ignore[arg-type]  # one of several
    )
    found = explained(dev, who)
    assert (found.allowed, [one.why for one in found.missed]) == (False, [why])


def test_a_denial_is_told_beside_what_would_allow_it(dev: World) -> None:
    who = dev.person("Key Vault Administrator")
    dev.service.create_deny_assignment(dev.operator, dev.scope(VAULT), "no reading", data_actions=[GET])
    found = explained(dev, who)
    assert (found.allowed, found.denial and found.denial.name, len(found.grants)) == (False, "no reading", 1)
    assert dev.service.who_can(dev.operator, GET, dev.scope(VAULT)) == ()


def test_who_may_not_see_access_may_ask_about_himself_only(dev: World) -> None:
    who, other = dev.person("Key Vault Secrets User"), dev.person("Key Vault Administrator")
    where = dev.scope(VAULT, "secrets/s")
    assert dev.service.explain_access(who, who.id.upper(), GET, where).allowed
    assert len(dev.service.grants_of(who, who.id)) == 1
    with pytest.raises(Forbidden):
        dev.service.explain_access(who, other.id, GET, where)
    with pytest.raises(Forbidden):
        dev.service.who_can(who, GET, where)
    assert dev.service.grants_of(who, other.id) == ()


@given(worlds(), st.randoms(use_true_random=False))
def test_the_way_told_leads_from_one_group_to_the_next_up_to_whom_the_role_was_given(
    world: PlainWorld, order: random.Random
) -> None:
    registry = registry_of(world)
    for asking, request in questions(world, order, 20):
        who = asking.id
        acts_under = {who, *registry.memberships.ways(who)}
        assert acts_under == acting(world, who, ()) == set(registry.principals_of(Caller(who)))
        found = explanation(registry, who, request.action, request.scope, data=request.data, now=NOW)
        for grant in (*found.grants, *(one.grant for one in found.missed)):
            assert isinstance(grant, Grant)
            way = (who, *grant.through)
            assert way[-1] == grant.assignment.principal_id
            assert all(inner in world.members[outer] for inner, outer in itertools.pairwise(way))
