"""Managed HSMs in a plan: what waits for the custodians, what never changes, and what has to be there first."""

import pytest

from kvstack.backends.protocol import Unread
from kvstack.terms.action import Action
from tests.plan.world import API, PEOPLE, World

SIGN = "Microsoft.KeyVault/managedHsm/keys/sign/action"
POOL = f"""{PEOPLE}managed_hsms:
  pool-a:
    tokens: 2
    keys: {{one: {{type: EC-HSM}}, two: {{type: oct-HSM}}}}
    roles: {{signer: {{data_actions: [{SIGN}]}}}}
    access: [{{principal: api, role: signer, scope: /keys/one}}]
"""
INSIDE = {"pool-a/keys/one", "pool-a/keys/two", "pool-a/roles/signer", "pool-a/access/api/signer/keys/one"}


def test_what_is_in_one_that_is_still_to_be_made_waits_for_its_custodians() -> None:
    made = World(POOL).plan()
    assert [change.address for change in made.changes] == ["pool-a"]
    assert {thing.address for thing in made.unread} == INSIDE
    assert all("kvstack hsm security-domain download pool-a" in thing.reason for thing in made.unread)


def test_a_target_in_one_that_is_still_to_be_made_brings_it_along_and_nothing_else() -> None:
    made = World(POOL).plan(targets=("pool-a/keys/one",))
    assert [change.address for change in made.changes] == ["pool-a"]
    assert [thing.address for thing in made.unread] == ["pool-a/keys/one"]


def test_a_target_that_gives_a_role_brings_the_role_along() -> None:
    world = World.applied(POOL)
    for address in ("pool-a/roles/signer", "pool-a/access/api/signer/keys/one", "pool-a/keys/two"):
        world.gone(address).forgotten(address)
    made = world.plan(targets=("pool-a/access/api",))
    assert [change.address for change in made.changes] == ["pool-a/roles/signer", "pool-a/access/api/signer/keys/one"]


def test_a_role_is_taken_from_everybody_before_it_ends() -> None:
    start = POOL.index("    roles:")
    ends = World.applied(POOL).declare(POOL[:start]).changes()
    assert {address: change.action for address, change in ends.items()} == {
        "pool-a/roles/signer": Action.DELETE,
        "pool-a/access/api/signer/keys/one": Action.DELETE,
    }
    assert ends["pool-a/roles/signer"].depends_on == ("pool-a/access/api/signer/keys/one",)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("tokens: 1", "it has 2 tokens, and none is ever taken away"),
        (
            "tokens: 2\n    soft_delete_retention_days: 30",
            "Write `soft_delete_retention_days: 90` to keep what is there",
        ),
        (
            "tokens: 2\n    administrators: [bob]",
            f"Write `administrators: [{API}]` to keep what is there",
        ),
    ],
)
def test_what_never_changes_is_refused_in_words_a_stack_is_written_in(declared: str, words: str) -> None:
    before = POOL.replace("tokens: 2", "tokens: 2\n    administrators: [api]")
    world = World.applied(before).declare(before.replace("tokens: 2\n    administrators: [api]", declared))
    change = world.changes()["pool-a"]
    assert change.action is Action.REFUSE
    assert words in " ".join(change.reasons)


def test_what_its_roles_do_not_let_the_caller_see_is_not_called_gone() -> None:
    world = World.applied(POOL).gone("pool-a/keys/one").gone("pool-a/keys/two")
    world.unread.append(Unread("vaults/pool-a/keys/", "Managed HSM `pool-a` is not activated"))
    made = world.plan()
    assert made.changes == ()
    assert {thing.address for thing in made.unread} == {"pool-a/keys/one", "pool-a/keys/two"}
