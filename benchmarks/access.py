"""How many decisions about access are made a second, and how long it takes to tell who gains and loses what."""

import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.figures import Access, AccessAt

if TYPE_CHECKING:
    from kvstack.schema.resource import Resource
    from kvstack.terms.principal import Principal
    from kvstack.terms.scope import Scope
    from kvstack.vault.access import Assignments, Request
    from kvstack.vault.assignment import RoleAssignment
    from kvstack.vault.caller import Caller
    from kvstack.vault.registry import PrincipalRow

SIZES = (100, 10_000, 100_000)
GROUPS, PEOPLE, VAULTS, ITEMS = 1_000, 10_000, 500, 200
QUESTIONS = 1_000
ROUNDS = 7
_REPEATED = 5
_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_NESTED = 0.3  # of the groups are in another one


def access(environment: Mapping[str, str]) -> Access | str:
    """Measure in a process of its own. Returns the figures, or why there are none."""
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.access"],
        cwd=Path(__file__).parents[1],
        env=dict(environment),
        capture_output=True,
        check=False,
    )
    if printed.returncode:
        return (printed.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
    return msgspec.json.decode(printed.stdout, type=Access)


def main(sizes: Sequence[int] = SIZES) -> Access:
    """Make the worlds, and decide."""
    return Access(GROUPS, tuple(_measured(sizes)), _comparison())


def _measured(sizes: Sequence[int]) -> Iterator[AccessAt]:
    from kvstack.vault.registry import Registry

    order = random.Random(5)
    people = tuple(_groups(order))
    everything = tuple(_assignments(order, max(sizes)))
    asked = tuple(_questions(order, people, everything[: min(sizes)]))
    for size in sizes:
        registry = Registry(1, (), everything[:size], people)
        requests = [_request(registry.principals_of(caller), action, scope) for caller, action, scope in asked]
        first = time.thread_time()
        allowed = _decide(requests, registry.assignments)
        first = time.thread_time() - first
        rates = [_rate(requests, registry.assignments) for _ in range(ROUNDS)]
        yield AccessAt(size, statistics.median(rates), len(requests) / first, allowed / len(requests))


def _rate(requests: "Sequence[Request]", assignments: "Assignments") -> float:
    # Of this thread's own time: what else the machine does is no matter of the evaluator's.
    start = time.thread_time()
    for _ in range(_REPEATED):
        _decide(requests, assignments)
    return _REPEATED * len(requests) / (time.thread_time() - start)


def _decide(requests: "Sequence[Request]", assignments: "Assignments") -> int:
    from kvstack.vault.access import decision

    allowed = 0
    for request in requests:
        allowed += decision(request, assignments, _NOW, _NOW).allowed
    return allowed


def _request(principals: tuple[str, ...], action: str, scope: "Scope") -> "Request":
    from kvstack.vault.access import Request

    return Request(principals, action, True, scope)


# What a plan says of access


def _comparison() -> tuple[float, float]:
    """Return how many seconds the comparison of a plan takes that makes everything, and of one that gives one role."""
    from kvstack.resources.role_assignment import RoleAssignment
    from kvstack.resources.secret import Secret
    from kvstack.resources.vault import Vault
    from kvstack.schema.resource import Resource
    from kvstack.terms.principal import Principal
    from kvstack.terms.role import built_in_roles

    vaults, secrets, given, persons = 100, 99, 2_000, 500
    order = random.Random(7)
    people = {_person(number): Principal(_person(number), "user", f"user {number}") for number in range(persons)}
    for number in range(50):
        members = frozenset(_person(one) for one in order.sample(range(persons), 10))
        people[_group(number)] = Principal(_group(number), "group", f"group {number}", members)
    things: dict[str, Resource] = {}
    for number in range(vaults):
        things[f"vaults/v-{number}"] = Vault(name=f"v-{number}", resource_group="all")
        things |= {f"vaults/v-{number}/secrets/s-{one}": Secret(name=f"s-{one}") for one in range(secrets)}
    roles = [role.name for role in built_in_roles().values() if role.name.startswith("Key Vault")]
    access: dict[str, Resource] = {}
    while len(access) < given:
        vault, secret = f"vault/v-{order.randrange(vaults)}", f"secrets/s-{order.randrange(secrets)}"
        (scope,) = order.choices(("subscription", vault, f"{vault}/{secret}"), (1, 49, 50))
        one = RoleAssignment(
            principal=order.choice(list(people)),
            role=order.choice(roles),
            scope=scope,
            principal_type="user",
        )
        access[one.identity("")] = one
    last = next(iter(access))
    everything = {**things, **access}
    without = {identity: one for identity, one in everything.items() if identity != last}
    whole = statistics.median(_compared({}, everything, people) for _ in range(ROUNDS))
    return whole, statistics.median(_compared(without, everything, people) for _ in range(ROUNDS))


def _compared(
    before: "Mapping[str, Resource]", after: "Mapping[str, Resource]", people: "Mapping[str, Principal]"
) -> float:
    from kvstack.plan.effects import compared

    start = time.thread_time()
    compared(before, after, known=people, people=people, group="all", now=_NOW)
    return time.thread_time() - start


# The world


def _person(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def _group(number: int) -> str:
    return str(uuid.UUID(int=PEOPLE + number + 1))


def _groups(order: random.Random) -> "Iterator[PrincipalRow]":
    from kvstack.vault.registry import PrincipalRow

    for number in range(GROUPS):
        members = {_person(one) for one in order.sample(range(PEOPLE), 20)}
        if order.random() < _NESTED:
            members.add(_group(order.randrange(GROUPS)))
        yield PrincipalRow(id=_group(number), type="group", members=frozenset(members))


def _assignments(order: random.Random, count: int) -> "Iterator[RoleAssignment]":
    """Yield assignments of built-in roles, half of them to groups: 2 % at the subscription, 8 % at a resource group,
    40 % at a vault, half at one secret."""
    from kvstack.terms.role import built_in_roles
    from kvstack.vault.assignment import RoleAssignment

    roles = [role.id for role in built_in_roles().values()]
    for number in range(count):
        to_group = order.random() < 0.5
        yield RoleAssignment(
            id=str(number),
            scope=_scope(order, order.random()),
            role_id=order.choice(roles),
            principal_id=_group(order.randrange(GROUPS)) if to_group else _person(order.randrange(PEOPLE)),
            principal_type="group" if to_group else "user",
            created=_NOW,
        )


def _scope(order: random.Random, height: float) -> "Scope":
    from kvstack.terms.scope import Scope

    vault = order.randrange(VAULTS)
    group = f"group-{vault % 20}"
    if height < 0.02:
        return Scope("subscription")
    if height < 0.1:
        return Scope("subscription", group)
    if height < 0.5:
        return Scope("subscription", group, f"Vault-{vault}")
    return Scope("subscription", group, f"Vault-{vault}", f"secrets/Item-{order.randrange(ITEMS)}")


def _questions(
    order: random.Random, people: "Sequence[PrincipalRow]", given: "Sequence[RoleAssignment]"
) -> "Iterator[tuple[Caller, str, Scope]]":
    """Yield questions about single secrets at or below what somebody was given, half of them about an action its role
    allows."""
    from kvstack.terms.role import built_in_roles_by_id, data_actions
    from kvstack.vault.caller import Caller
    from kvstack.vault.permissions import permissions

    members = {row.id: sorted(row.members) for row in people}
    useful = [
        (one, allowed)
        for one in given
        for role in [permissions(built_in_roles_by_id()[one.role_id])]
        # An administrator has no action that his role does not allow.
        if 0 < len(allowed := [one for one in data_actions() if role.allow(one, data=True)]) < len(data_actions())
    ]
    for number in range(QUESTIONS):
        one, allowed = order.choice(useful)
        denied = [action for action in data_actions() if action not in allowed]
        wanted = order.choice(allowed if number % 2 else denied)
        inner = _scope(order, 1.0)
        place = msgspec.structs.replace(
            inner,
            resource_group=one.scope.resource_group or inner.resource_group,
            vault=one.scope.vault or inner.vault,
            item=one.scope.item or inner.item,
        )
        who = order.choice(members.get(one.principal_id, [one.principal_id]))
        yield Caller(who), wanted, place


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main()))
