"""Local decisions, checked against the rule in a sentence: a role at the scope or above that allows the action."""

import itertools
import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.local_role import local_action, local_data_actions, local_roles, scope_problem
from kvstack.terms.role import data_actions
from kvstack.terms.scope import Scope
from kvstack.vault.explanation import Grant
from kvstack.vault.local_access import LocalAccess, LocalAssignment, local_scope
from kvstack.vault.local_explanation import local_explanation, local_grants_of, who_can_locally
from kvstack.vault.records import NetworkRules, Pool, Vault
from kvstack.vault.registry import PrincipalRow, Registry

NOW = datetime(2026, 3, 1, tzinfo=UTC)
_PEOPLE = ("a", "b", "group")
_SCOPES = ("/", "/keys", "/keys/one", "/keys/two", "/keys/ONE")

_assignments = st.lists(
    st.builds(
        lambda number, scope, role, who: LocalAssignment(
            vault_id="v",
            id=str(number),
            scope=scope,
            role_id=role,
            principal_id=who,
            principal_type="user",
            created=NOW,
        ),
        st.integers(),
        st.sampled_from(_SCOPES),
        st.sampled_from(sorted(local_roles())),
        st.sampled_from(_PEOPLE),
    ),
    max_size=8,
    unique_by=lambda one: one.id,
)


def _scope(written: str) -> Scope:
    return Scope("subscription", "group", "pool", written.removeprefix("/"), managed_hsm=True)


def _expected(given_: list[LocalAssignment], principals: tuple[str, ...], action: str, scope: str) -> bool:
    def allows(role_id: str) -> bool:
        role = local_roles()[role_id]
        return any(
            re.fullmatch(re.escape(one).replace(r"\*", ".*"), action, re.IGNORECASE) for one in role.data_actions
        )

    def reaches(at: str) -> bool:
        return at == "/" or scope.lower() == at.lower() or scope.lower().startswith(f"{at.lower()}/")

    return any(one.principal_id in principals and reaches(one.scope) and allows(one.role_id) for one in given_)


@given(
    _assignments,
    st.sets(st.sampled_from(_PEOPLE)),
    st.sampled_from(local_data_actions()),
    st.sampled_from(("/keys", "/keys/one", "/keys/two")),
)
def test_a_decision_is_what_the_rule_says(
    assignments: list[LocalAssignment], people: set[str], action: str, scope: str
) -> None:
    access = LocalAccess(assignments)
    principals = tuple(sorted(people))
    found = access.decide(principals, action, _scope(scope), NOW).allowed
    assert found == _expected(assignments, principals, action, scope)
    for assignment in assignments:
        access.remove_assignment(assignment)
    assert not access.decide(principals, action, _scope(scope), NOW).allowed


def test_every_action_on_a_vault_s_key_is_one_inside_a_managed_hsm() -> None:
    on_keys = [one for one in data_actions() if "/keys/" in one or "/keyrotationpolicies/" in one]
    assert len(on_keys) == 19
    assert {local_action(one) for one in on_keys} <= set(local_data_actions())
    others = set(data_actions()) - set(on_keys)
    assert {local_action(one) for one in others} == {None}


def test_every_action_inside_is_allowed_by_some_built_in_role() -> None:
    access = LocalAccess()
    assert all(access.smallest_role(one) is not None for one in local_data_actions())


@given(st.text(max_size=150))
def test_a_scope_is_one_of_three_shapes_and_nothing_else(text: str) -> None:
    fine = text in ("/", "/keys") or re.fullmatch(r"/keys/[0-9a-zA-Z-]{1,127}", text) is not None
    assert (scope_problem(text) is None) == fine
    if fine:
        assert local_scope(_scope(text)) == text


_HSM = Vault(
    folded="pool",
    id="v",
    name="Pool",
    resource_group="group",
    location="local",
    sku="premium",
    soft_delete_retention_days=90,
    purge_protection=True,
    network=NetworkRules(),
    tags={},
    created=NOW,
    updated=NOW,
    pool=Pool(tokens=()),
)
_members = st.dictionaries(st.sampled_from(("group", "outer")), st.frozensets(st.sampled_from((*_PEOPLE, "outer"))))


@given(
    _assignments,
    _members,
    st.sampled_from(local_data_actions()),
    st.sampled_from(("/", "/keys", "/keys/one", "/keys/two")),
)
def test_what_is_explained_and_listed_is_what_the_rule_says(
    assignments: list[LocalAssignment], members: dict[str, frozenset[str]], action: str, scope: str
) -> None:
    people = (PrincipalRow(id=one, type="group", members=inside) for one, inside in members.items())
    registry = Registry(1, (_HSM,), (), people, local={"v": LocalAccess(assignments)})
    decided_at = "/keys" if scope == "/" and "/keys/" in action else scope
    able = dict(who_can_locally(registry, _HSM, action, _scope(scope), NOW))
    for who in ("a", "b"):
        principals = {who}
        for _ in members:
            principals |= {one for one, inside in members.items() if inside & principals}
        expected = {one.id for one in assignments if _expected([one], tuple(principals), action, decided_at)}
        found = local_explanation(registry, _HSM, who, action, _scope(scope), NOW)
        grants = [grant for grant in found.grants if isinstance(grant, Grant)]
        assert ({grant.assignment.id for grant in grants}, found.allowed) == (expected, bool(expected))
        assert (found.smallest is None) == found.allowed
        known = who in {one.principal_id for one in assignments}.union(*members.values())
        assert (who in able) == (known and found.allowed)
        reaching = {one.id: one.scope for one in assignments if one.principal_id in principals}
        listed = list(local_grants_of(registry, _HSM, _scope("/"), who))
        assert {grant.assignment.id: grant.inside for grant in listed} == reaching
        for grant in (*grants, *listed):
            way = (who, *grant.through)
            assert way[-1] == grant.assignment.principal_id
            assert all(inner in members[outer] for inner, outer in itertools.pairwise(way))
