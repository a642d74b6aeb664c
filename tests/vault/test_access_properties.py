"""The evaluator against a second one that is slow and plain: on random roles, assignments and questions they agree."""

import random
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.access import Assignments, Request, decision
from kvstack.vault.assignment import RoleAssignment

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRINCIPALS = ("p1", "p2", "p3")
ACTIONS = ("V/keys/read", "V/keys/sign/action", "V/secrets/getSecret/action", "V/write", "A/roles/write")

patterns = st.lists(
    st.sampled_from(("*", "V/*", "v/keys/*", "*/read", "V/*/action", "*/write", *ACTIONS)), max_size=3
).map(tuple)
roles = st.builds(
    RoleDefinition,
    id=st.sampled_from(("r1", "r2", "r3")),
    name=st.just("role"),
    actions=patterns,
    not_actions=patterns,
    data_actions=patterns,
    not_data_actions=patterns,
)
scopes = st.sampled_from(
    [
        Scope(subscription, group, vault, item)
        for subscription in ("s", "S2")
        for group in ("", "g1", "G1", "g2")
        for vault in ("", "v1", "V1")
        for item in ("", "keys/a", "keys/A", "secrets/a")
        if (group or not vault) and (vault or not item)
    ]
)
moments = st.none() | st.integers(-2, 2).map(lambda days: NOW + timedelta(days=days))
assignments = st.lists(
    st.builds(
        RoleAssignment,
        id=st.uuids().map(str),
        scope=scopes,
        role_id=st.sampled_from(("r1", "r2", "r3", "gone")),
        principal_id=st.sampled_from(PRINCIPALS),
        principal_type=st.just("user"),
        starts=moments,
        expires=moments,
        created=st.just(NOW),
    ),
    max_size=12,
)
requests = st.builds(
    Request,
    principals=st.lists(st.sampled_from(PRINCIPALS), min_size=1, unique=True).map(tuple),
    action=st.sampled_from(ACTIONS) | st.sampled_from(ACTIONS).map(str.upper),
    data=st.booleans(),
    scope=scopes,
)


def plainly(request: Request, given: list[RoleAssignment], definitions: dict[str, RoleDefinition]) -> bool:
    """Look at every assignment, and at every pattern of its role."""

    def matches(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(request.action.lower(), pattern.lower()) for pattern in patterns)

    for one in given:
        definition = definitions.get(one.role_id)
        if definition is None or one.principal_id not in request.principals:
            continue
        if not request.scope.path.lower().startswith(one.scope.path.lower()) or not one.scope.contains(request.scope):
            continue
        if (one.starts is not None and one.starts > NOW) or (one.expires is not None and one.expires <= NOW):
            continue
        if request.data and matches(definition.data_actions) and not matches(definition.not_data_actions):
            return True
        if not request.data and matches(definition.actions) and not matches(definition.not_actions):
            return True
    return False


@given(st.lists(roles, max_size=3), assignments, st.lists(requests, min_size=1, max_size=5))
def test_the_evaluator_agrees_with_a_plain_one(
    definitions: list[RoleDefinition], given_: list[RoleAssignment], asked: list[Request]
) -> None:
    by_id = {definition.id: definition for definition in definitions}
    index = Assignments(given_, by_id)
    for request in asked:
        answer = decision(request, index, NOW)
        assert answer.allowed == plainly(request, given_, by_id)
        assert (answer.assignment is not None) == answer.allowed


@given(assignments, st.lists(roles, max_size=3), requests, st.randoms())
def test_taking_assignments_away_one_by_one_leaves_what_the_rest_allow(
    given_: list[RoleAssignment], definitions: list[RoleDefinition], request: Request, order: random.Random
) -> None:
    by_id = {definition.id: definition for definition in definitions}
    index, left = Assignments(given_, by_id), list(given_)
    order.shuffle(left)
    while left:
        index.remove(left.pop())
        assert decision(request, index, NOW).allowed == plainly(request, left, by_id)
