"""Random worlds of access: roles with wildcards, groups in groups, assignments, conditions, denials, and questions."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import strategies as st

from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.access import Request
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.caller import Caller
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.registry import CustomRole, PrincipalRow, Registry
from tests.vault.plain_access import EVERYBODY, Leaf, Tree, World

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRINCIPALS = ("p1", "p2", "p3")
GROUPS = ("g1", "g2", "g3", "g4")
ACTIONS = (
    "Microsoft.KeyVault/vaults/keys/read",
    "Microsoft.KeyVault/vaults/keys/sign/action",
    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    "Microsoft.KeyVault/vaults/secrets/delete",
    "Microsoft.KeyVault/vaults/write",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/denyAssignments/delete",
    "MicrosoftXKeyVault/vaults/keys/read",  # a point is a point
)
# Many that hold much, and some that hold nothing: what is the same for all shows nothing.
PATTERNS = (
    "*",
    "Microsoft.KeyVault/*",
    "microsoft.keyvault/VAULTS/keys/*",
    "*/read",
    "*/action",
    "Microsoft.KeyVault/vaults/*/action",
    "Microsoft*write",
    "Microsoft.Authorization/*/write",
    "Microsoft.KeyVault/vaults/secrets/*Secret/action",
    *ACTIONS,
)
patterns = st.lists(st.sampled_from((*PATTERNS[:2], *PATTERNS)), min_size=1, max_size=3).map(tuple) | st.just(())
few = st.just(()) | st.lists(st.sampled_from(PATTERNS[2:]), max_size=2).map(tuple)


def role(identifier: str) -> st.SearchStrategy[RoleDefinition]:
    return st.builds(
        RoleDefinition,
        id=st.just(identifier),
        name=st.just(f"role {identifier}"),
        actions=patterns,
        not_actions=few,
        data_actions=patterns,
        not_data_actions=few,
    )


def mixed(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from((text, text.upper(), text.title()))


subscriptions, groups_, vaults = (
    st.sampled_from(names).flatmap(mixed)
    for names in (("s",) * 9 + ("s2",), ("g",) * 9 + ("g2",), ("v",) * 9 + ("v2",))
)
items = st.sampled_from(("secrets/a", "secrets/a", "secrets/a", "keys/a", "secrets/ab", "secrets/b")).flatmap(mixed)
scopes = st.one_of(
    st.builds(Scope, subscriptions),
    st.builds(Scope, subscriptions, groups_),
    st.builds(Scope, subscriptions, groups_, vaults),
    st.builds(Scope, subscriptions, groups_, vaults, items),
)


def bound(days: int | None) -> datetime | None:
    return None if days is None else NOW + timedelta(days=days)


starts, ends = (
    st.sampled_from((None, None, None, *numbers)).map(bound) for numbers in ((-2, -1, 0, 1), (-1, 0, 1, 2, 3))
)
# Some more often than others, so that what reaches somebody adds up.
ids = st.sampled_from(("p1", "p1", "g1", "g1", "g2", *PRINCIPALS, *GROUPS))
assignment = st.builds(
    RoleAssignment,
    id=st.uuids().map(str),
    scope=scopes,
    role_id=st.sampled_from(("r1", "r1", "r2", "r2", "r3", "gone")),
    principal_id=ids,
    principal_type=st.just("user"),
    starts=starts,
    expires=ends,
    created=st.just(NOW),
)
assignments = st.lists(assignment, max_size=12) | st.lists(assignment, min_size=4, max_size=12)
denial = st.builds(
    DenyAssignment,
    id=st.uuids().map(str),
    name=st.just("no"),
    scope=scopes,
    principals=st.just(frozenset({EVERYBODY})) | st.frozensets(ids | st.just(EVERYBODY), min_size=1, max_size=2),
    excluded=st.just(frozenset()) | st.frozensets(ids, max_size=2),
    actions=patterns,
    not_actions=few,
    data_actions=patterns,
    not_data_actions=few,
    below=st.sampled_from((True, True, False)),
    created=st.just(NOW),
)

_VALUES = ("a", "A*", "?b", "*b", "v", "V2", "*", "secrets/a", "a", "V")
_HOW = {"equals": "Equals", "starts": "StartsWith", "like": "Like"}


@st.composite
def attribute_leaves(draw: st.DrawFn) -> Leaf:
    attribute = draw(st.sampled_from(("vaults:name", "vaults/secrets:name", "vaults/secrets:name")))
    written = f"@Resource[Microsoft.KeyVault/{attribute}]"
    if draw(st.integers(0, 5)) == 0:
        return Leaf(attribute, "exists", False, (), False, f"Exists {written}")
    how, negated = draw(st.sampled_from(sorted(_HOW))), draw(st.booleans())
    values = tuple(
        draw(
            st.lists(
                st.sampled_from(("a", "A*", "?b", "*b", "v", "V2", "*", "secrets/a", "a", "V")), min_size=1, max_size=3
            )
        )
    )
    operator = f"String{'Not' if negated else ''}{_HOW[how]}{draw(st.sampled_from(('', 'IgnoreCase')))}"
    if len(values) == 1:
        return Leaf(attribute, how, negated, values, False, f"{written} {operator} '{values[0]}'")
    every = draw(st.booleans())
    quantifier = f"{draw(st.sampled_from(('ForAnyOf', 'ForAllOf')))}{'All' if every else 'Any'}Values"
    listed = ", ".join(f"'{value}'" for value in values)
    return Leaf(attribute, how, negated, values, every, f"{written} {quantifier}:{operator} {{{listed}}}")


leaves = attribute_leaves() | st.sampled_from(PATTERNS).map(
    lambda pattern: Leaf("", "like", False, (pattern,), False, f"ActionMatches{{'{pattern}'}}")
)
conditions = st.recursive(
    leaves,
    lambda part: (
        st.builds(Tree, st.sampled_from(("and", "or")), st.lists(part, min_size=2, max_size=3).map(tuple))
        | st.builds(Tree, st.just("not"), st.tuples(part))
    ),
    max_leaves=4,
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    made = draw(assignments)
    # What is activated stands beside what lasts: the same role, principal and scope, and another end.
    made += [
        msgspec.structs.replace(one, id=one.id[::-1], expires=draw(ends))
        for one in made
        if draw(st.integers(0, 3)) == 0
    ]
    by_id = {one.id: draw(st.none() | conditions) for one in made}
    given_ = tuple(
        one if (condition := by_id[one.id]) is None else msgspec.structs.replace(one, condition=condition.written)
        for one in made
    )
    return World(
        given_,
        tuple(draw(st.just([]) | st.lists(denial, min_size=1, max_size=3))),
        tuple(draw(role(identifier)) for identifier in draw(st.sampled_from((("r1", "r2", "r3"), ("r1", "r2"))))),
        draw(st.dictionaries(st.sampled_from(GROUPS), st.frozensets(ids, min_size=1, max_size=3), min_size=2)),
        {identifier: condition for identifier, condition in by_id.items() if condition is not None},
    )


def questions(world: World, order: random.Random, count: int) -> Iterator[tuple[Caller, Request]]:
    """Yield questions somebody asks in a world, most of them about places where something is given or denied."""
    there = [one.scope for one in world.assignments] + [one.scope for one in world.denials]
    there += [msgspec.structs.replace(scope, item="Secrets/A") for scope in there if scope.level == "vault"]
    there += [Scope("S", "g", "V", "secrets/ab"), Scope("s", "g", "v", "KEYS/a"), Scope("s", "g2"), Scope("s")]
    for _ in range(count):
        action = order.choice(ACTIONS)
        spelled = order.choice((action, action, action.upper()))
        caller = Caller(order.choice(PRINCIPALS), groups=frozenset(order.choice(((), (), GROUPS[:1], GROUPS[1:2]))))
        yield caller, Request((), spelled, order.random() < 0.6, order.choice(there))


# How long before the latest moment anybody saw it is by the clock.
set_back = st.sampled_from((0, 0, 1, 2)).map(lambda days: NOW + timedelta(days=days))


def registry_of(world: World) -> Registry:
    """Return the same world as the vault holds it."""
    roles = (
        CustomRole(id=one.id, definition=one, assignable_scopes=(), created=NOW, updated=NOW) for one in world.roles
    )
    people = (PrincipalRow(id=group, type="group", members=members) for group, members in world.members.items())
    return Registry(1, (), world.assignments, people, roles, world.denials)
