"""A second evaluator, slow and plain: it looks at everything there is, one after the other, and shares no code with the
first beyond the shapes of its data."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.denial import DenyAssignment

EVERYBODY = "00000000-0000-0000-0000-000000000000"


class Leaf(msgspec.Struct, frozen=True):
    """One test of a condition: of an attribute, or of the action where `attribute` is empty. written: in Azure's words;
    how: `equals`, `starts`, `like` or `exists`."""

    attribute: str
    how: str
    negated: bool
    values: tuple[str, ...]
    every: bool
    written: str


class Tree(msgspec.Struct, frozen=True):
    """Tests put together. join: `and`, `or`, or `not` of the only part."""

    join: str
    parts: "tuple[Leaf | Tree, ...]"

    @property
    def written(self) -> str:
        """The condition in Azure's words."""
        words = [f"({part.written})" for part in self.parts]
        return f"!{words[0]}" if self.join == "not" else f" {self.join} ".join(words)


class World(msgspec.Struct, frozen=True):
    """Everything that decides. members: of each group; conditions: each assignment's, by id."""

    assignments: tuple[RoleAssignment, ...]
    denials: tuple[DenyAssignment, ...]
    roles: tuple[RoleDefinition, ...]
    members: Mapping[str, frozenset[str]]
    conditions: Mapping[str, Leaf | Tree]


def acting(world: World, caller: str, told: Iterable[str]) -> set[str]:
    """Return every id somebody acts under. told: the groups his token names."""
    ids = {caller, *told}
    for _ in world.members:
        for group, members in world.members.items():
            for member in members:
                if member in ids:
                    ids.add(group)
    return ids


def matches(pattern: str, text: str, single: str = "") -> bool:
    """Tell whether a pattern stands for a text: `*` for anything, any other character for itself in either case.
    single: what stands for any one character, if something does."""
    pattern, text = pattern.lower(), text.lower()
    reached = {0}
    for character in pattern:
        following: set[int] = set()
        for place in reached:
            if character == "*":
                following.update(range(place, len(text) + 1))
            elif place < len(text) and character in (single, text[place]):
                following.add(place + 1)
        reached = following
    return len(text) in reached


def reaches(above: Scope, asked: Scope) -> bool:
    """Tell whether one scope is the other, or over it."""
    upper = [above.subscription, above.resource_group, above.vault, above.item]
    lower = [asked.subscription, asked.resource_group, asked.vault, asked.item]
    return all(one == "" or one.lower() == other.lower() for one, other in zip(upper, lower, strict=True))


def same(one: Scope, other: Scope) -> bool:
    """Tell whether two scopes are one."""
    return reaches(one, other) and reaches(other, one)


def allows(role: RoleDefinition | DenyAssignment, action: str, *, data: bool) -> bool:
    """Tell whether a role's patterns hold an action, and none of those it leaves out does."""
    given = role.data_actions if data else role.actions
    out = role.not_data_actions if data else role.not_actions
    if any(matches(pattern, action) for pattern in out):
        return False
    return any(matches(pattern, action) for pattern in given)


def holds(condition: Leaf | Tree, action: str, scope: Scope) -> bool:
    """Tell whether a condition holds."""
    if isinstance(condition, Tree):
        answers = [holds(part, action, scope) for part in condition.parts]
        if condition.join == "not":
            return not answers[0]
        return all(answers) if condition.join == "and" else any(answers)
    if not condition.attribute:
        return matches(condition.values[0], action)
    value = ""
    if condition.attribute == "vaults:name":
        value = scope.vault
    elif scope.item.lower().startswith("secrets/"):
        value = scope.item[len("secrets/") :]
    if condition.how == "exists" or not value:
        return condition.how == "exists" and value != ""
    answers = []
    for wanted in condition.values:
        match condition.how:
            case "equals":
                answer = value.lower() == wanted.lower()
            case "starts":
                answer = value.lower()[: len(wanted)] == wanted.lower()
            case _:
                answer = matches(wanted, value, single="?")
        answers.append(answer != condition.negated)
    return all(answers) if condition.every else any(answers)


def granting(
    world: World, ids: set[str], action: str, scope: Scope, *, data: bool, now: datetime, latest: datetime
) -> Sequence[RoleAssignment]:
    """Return every assignment that allows something."""
    found = []
    for one in world.assignments:
        if one.principal_id not in ids or not reaches(one.scope, scope):
            continue
        if one.starts is not None and now < one.starts:
            continue
        if one.expires is not None and (now >= one.expires or latest >= one.expires):
            continue
        if one.id in world.conditions and not holds(world.conditions[one.id], action, scope):
            continue
        if any(role.id == one.role_id and allows(role, action, data=data) for role in world.roles):
            found.append(one)
    return found


def forbidding(world: World, ids: set[str], action: str, scope: Scope, *, data: bool) -> Sequence[DenyAssignment]:
    """Return every denial that forbids something. Denials themselves can always be managed by who has the right."""
    found = []
    for one in world.denials:
        if matches("Microsoft.Authorization/denyAssignments/*", action):
            continue
        if not (same(one.scope, scope) or (one.below and reaches(one.scope, scope))):
            continue
        named = EVERYBODY in one.principals or any(who in one.principals for who in ids)
        spared = any(who in one.excluded for who in ids)
        if named and not spared and allows(one, action, data=data):
            found.append(one)
    return found
