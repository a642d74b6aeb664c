"""Managed identities in a plan: made before what is given to them, and lost for good when they end."""

import msgspec
import pytest

from kvstack.backends.protocol import Unread
from kvstack.plan.effects import effects
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.state.state import Record
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.principal import Principal
from tests.plan.world import API, NOW, PEOPLE, World

ACCESS = "dev/access/batch/key-vault-reader"
WIDER = "access/batch/reader/subscription"
STACK = f"""{PEOPLE}identities:
  batch: {{resource_group: payments, tags: {{team: a}}}}
access:
  - {{principal: batch, role: Reader, scope: subscription}}
vaults:
  dev:
    name: dev-1
    access:
      - {{principal: batch, role: Key Vault Reader}}
"""
LOST = "its principal id is gone for good, with every role it was given"


def without(text: str, *lines: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in lines))


def test_one_is_made_before_what_is_given_to_it() -> None:
    made = World(STACK).changes()
    assert {address: change.action for address, change in made.items()} == {
        "identities/batch": Action.CREATE,
        "dev": Action.CREATE,
        WIDER: Action.CREATE,
        ACCESS: Action.CREATE,
    }
    assert made[WIDER].depends_on == ("identities/batch",)
    assert set(made[ACCESS].depends_on) == {"identities/batch", "dev"}
    assert made["identities/batch"].depends_on == ()
    assert not made["identities/batch"].irreversible


def test_what_was_given_to_one_is_taken_before_it_ends_and_its_end_is_said_to_be_for_good() -> None:
    ends = World.applied(STACK).declare(PEOPLE + "vaults: {dev: {name: dev-1}}\n").changes()
    assert {address: change.action for address, change in ends.items()} == {
        "identities/batch": Action.DELETE,
        WIDER: Action.DELETE,
        ACCESS: Action.DELETE,
    }
    assert set(ends["identities/batch"].depends_on) == {WIDER, ACCESS}
    assert ends["identities/batch"].irreversible
    assert ends["identities/batch"].reasons == ("it is no longer declared", LOST)
    assert not ends[ACCESS].irreversible


def test_a_changed_tag_is_an_update_and_nothing_else() -> None:
    world = World.applied(STACK).declare(STACK.replace("team: a", "team: b"))
    assert world.actions() == {"identities/batch": "update"}
    assert not world.changes()["identities/batch"].irreversible


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("batch: {resource_group: payments,", "batch: {resource_group: shipping,"),
        ("batch: {resource_group: payments,", "batch: {resource_group: payments, location: elsewhere,"),
        ("batch: {resource_group: payments,", "batch: {resource_group: payments, name: other,"),
    ],
)
def test_one_that_is_replaced_is_another_and_is_given_everything_anew(before: str, after: str) -> None:
    changes = World.applied(STACK).declare(STACK.replace(before, after)).changes()
    assert {address: change.action for address, change in changes.items()} == {
        "identities/batch": Action.REPLACE,
        WIDER: Action.REPLACE,
        ACCESS: Action.REPLACE,
    }
    assert changes["identities/batch"].irreversible
    assert LOST in changes["identities/batch"].reasons
    for access in (changes[WIDER], changes[ACCESS]):
        assert access.reasons == ("its managed identity is replaced",)
        assert "identities/batch" in access.depends_on
        # What there was ends with the identity: there is nothing left to take away.
        assert (access.actual, access.with_vault, access.irreversible) == (None, False, False)


def test_two_spellings_of_a_resource_group_are_one() -> None:
    assert World.applied(STACK).declare(STACK.replace("payments", "Payments")).actions() == {}


def test_what_forbids_its_end_forbids_that_of_what_is_given_to_it() -> None:
    kept = STACK.replace("role: Key Vault Reader", "role: Key Vault Reader, lifecycle: {prevent_destroy: true}")
    world = World.applied(kept).declare(kept.replace("payments", "shipping"))
    assert world.actions()[ACCESS] == "refuse"


def test_what_is_given_to_one_nobody_has_is_refused() -> None:
    change = World(STACK.replace("principal: batch", "principal: identity/payments/nobody")).changes()[
        "access/identity-payments-nobody/reader/subscription"
    ]
    assert change.action is Action.REFUSE
    assert change.reasons[0] == "there is no managed identity `nobody` in the resource group `payments`"


def test_what_is_given_to_one_that_is_no_longer_declared_is_refused() -> None:
    by_hand = without(STACK, "identities:", "resource_group:").replace(
        "principal: batch", "principal: identity/payments/batch"
    )
    changes = World.applied(STACK).declare(by_hand).changes()
    assert changes["identities/batch"].action is Action.DELETE
    access = changes["access/identity-payments-batch/reader/subscription"]
    assert access.action is Action.REFUSE
    assert access.reasons[0] == (
        "it needs the managed identity `batch` in the resource group `payments`, which is no longer declared and ends"
    )


def test_one_of_somebody_else_is_given_something_by_its_group_and_name() -> None:
    world = World.applied(STACK)
    world.foreign("identities/batch", "other")
    by_hand = without(STACK, "identities:", "resource_group:").replace(
        "principal: batch", "principal: identity/PAYMENTS/Batch"
    )
    world.records = {address: record for address, record in world.records.items() if address == "dev"}
    assert world.declare(by_hand).actions() == {}


def test_one_that_is_somebody_elses_is_not_taken() -> None:
    change = World.applied(STACK).foreign("identities/batch", "other").changes()["identities/batch"]
    assert change.action is Action.REFUSE
    assert change.reasons[0] == "a managed identity of that name is there, and the stack `other`'s"


def test_one_may_move_to_another_address() -> None:
    moved = STACK.replace("batch: {", "worker: {name: batch, ").replace("principal: batch", "principal: worker")
    world = World.applied(STACK).declare(moved + "moved: [{from: identities/batch, to: identities/worker}]\n")
    actions = world.actions()
    assert actions["identities/worker"] == "move"
    assert "delete" not in actions.values()
    assert "replace" not in actions.values()


def test_what_may_not_be_read_is_not_called_gone_nor_what_is_given_to_it() -> None:
    world = World.applied(STACK).gone("identities/batch").gone(WIDER).gone(ACCESS)
    world.unread = [
        Unread("identities/", "denied", ("identities/shipping/",)),
        Unread("assignments/subscription/reader/identity/", "denied"),
        Unread("assignments/vault/dev-1/key vault reader/identity/", "denied"),
    ]
    made = world.plan()
    assert (made.changes, made.drift) == ((), ())
    assert {thing.address for thing in made.unread} == {"identities/batch", WIDER, ACCESS}
    assert not made.complete


def test_nothing_is_given_to_one_of_which_nobody_can_say_whether_it_is_there() -> None:
    world = World(STACK)
    world.unread = [Unread("identities/", "denied")]
    assert {thing.address for thing in world.plan().unread} == {"identities/batch", WIDER, ACCESS}
    world.unread = [Unread("identities/", "denied", ("identities/payments/",))]
    assert world.plan().unread == ()


def test_a_target_that_is_given_something_brings_the_identity_along() -> None:
    made = World(STACK).plan(targets=(Address(ACCESS),))
    assert {change.address for change in made.changes} == {"identities/batch", "dev", ACCESS}


def test_a_principals_id_that_is_a_managed_identity_is_found_under_its_name() -> None:
    text = f"{PEOPLE}access: [{{principal: api, role: Reader, scope: subscription}}]\n"
    world = World.applied(text)
    address = Address("access/api/reader/subscription")
    actual, record = world.actual(address), world.records[address]
    access = actual.resource
    assert isinstance(access, RoleAssignment)
    named = msgspec.structs.replace(access, principal="identity/payments/batch")
    world.things = {named.identity(""): msgspec.structs.replace(actual, resource=named)}
    world.records[address] = Record(
        address=address,
        kind=record.kind,
        identity=named.identity(""),
        id=record.id,
        vault="",
        resource=named,
    )
    world.principals = {API: "identity/payments/batch"}
    assert world.actions() == {}


def told(world: World, known: dict[str, Principal] | None = None) -> list[str]:
    """Return who a plan says gains and loses what."""
    declared = world.desired.principals
    found = effects(world.plan().changes, world.snapshot(), known=known or {}, declared=declared, group="", now=NOW)
    return [
        f"{one.name} {change.verb} {change.words} @ {change.scope}"
        for one in found.principals
        for change in one.changes
    ]


USER = STACK.replace("Vault Reader", "Vault Secrets Officer").replace("role: Reader", "role: Key Vault Secrets User")


def test_the_plan_says_what_one_gains_by_its_name_before_it_is_made() -> None:
    assert told(World(USER)) == [
        "batch gains read, list secrets @ subscription",
        "batch gains everything with secrets @ vault/dev-1",
    ]


def test_the_plan_says_what_one_loses_that_ends_by_others_lines_and_groups_too() -> None:
    group = Principal(API[:-1] + "9", "group", "jobs", frozenset({API[:-1] + "8"}))
    text = USER.replace(
        "access:\n  - {principal: batch",
        f"access:\n  - {{principal: {group.id}, principal_type: group, role: Key Vault Certificate User, "
        "scope: vault/shared-prod}\n  - {principal: batch",
    )
    world = World.applied(text)
    # Somebody else's line: nobody records it here.
    world.records = {address: one for address, one in world.records.items() if address != WIDER}
    identity = Principal(API[:-1] + "8", "managed_identity", "batch")
    world.principals = {identity.id: "identity/payments/batch"}
    world.declare(without(text, "identities:", "resource_group:", "principal: batch", "    access:"))
    assert told(world, {group.id: group, identity.id: identity}) == [
        "batch loses read, list secrets @ subscription",
        "batch loses everything with secrets @ vault/dev-1",
        "batch loses read, list secrets; see keys, certificates @ vault/shared-prod",
    ]


def test_one_that_is_replaced_neither_gains_nor_loses_what_it_is_given_anew() -> None:
    world = World.applied(USER).declare(USER.replace("tags:", "location: elsewhere, tags:"))
    assert told(world) == []
