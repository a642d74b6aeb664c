"""Access policies in plans: what waits for them, what a change of the model takes from whom, what comes back."""

import msgspec
import pytest

from kvstack.plan.change import Plan
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from tests.plan.test_effects import lines, told
from tests.plan.test_plan import runs_to_its_end, waits
from tests.plan.world import PEOPLE, World, actions

POLICIES = "    policies: [{principal: api, secrets: [get]}, {principal: bob, keys: [all]}]\n"
OLD = PEOPLE + "vaults:\n  old:\n    access_model: access_policies\n" + POLICIES
KEYS = "    keys: {sign: {type: EC}, wrap: {type: EC}}\n"
API_POLICY, BOB_POLICY, SIGN = "old/policies/api", "old/policies/bob", "old/keys/sign"


def warnings(made: Plan) -> list[tuple[str, str]]:
    return [(one.summary, one.detail) for one in made.diagnostics if one.severity == "warning"]


def test_what_is_in_a_vault_waits_for_the_policies_that_give_the_right_to_make_it() -> None:
    made = World(OLD + KEYS).plan()
    assert waits(made)[SIGN] == {"old", API_POLICY, BOB_POLICY}
    assert waits(made)[API_POLICY] == {"old"}
    assert runs_to_its_end(made)


def test_a_policy_that_ends_was_needed_for_what_else_changes_and_goes_last() -> None:
    bare = "vaults:\n  old:\n    access_model: access_policies\n"
    made = World.applied(OLD + KEYS).declare(PEOPLE + bare + KEYS.replace("wrap", "new")).plan()
    assert actions(made) == {
        API_POLICY: "delete",
        BOB_POLICY: "delete",
        "old/keys/new": "create",
        "old/keys/wrap": "delete",
    }
    assert waits(made)[API_POLICY] == {"old/keys/new", "old/keys/wrap"}
    assert waits(made)["old/keys/new"] == set()
    assert runs_to_its_end(made)


def test_policies_are_deleted_with_their_vault_and_come_back_with_it() -> None:
    made = World.applied(OLD).deleted("old").plan()
    assert [(drifted.address, drifted.what) for drifted in made.drift] == [("old", "deleted")]
    assert actions(made) == dict.fromkeys(["old", API_POLICY, BOB_POLICY], "recover")


@pytest.mark.parametrize(
    "after",
    [
        "",
        "vaults: {}\n",
        OLD.replace("old:", "other:"),
        OLD.replace("access_policies\n", "access_policies\n    location: elsewhere\n") + KEYS.replace("sign", "new"),
        OLD.replace("access_model: access_policies", "purge_protection: true").replace(POLICIES, "") + KEYS,
    ],
)
@pytest.mark.parametrize("gone", [(), (API_POLICY,), (SIGN,), ("old",)])
def test_nothing_waits_for_itself_whatever_is_edited(after: str, gone: tuple[str, ...]) -> None:
    world = World.applied(OLD + KEYS.replace("EC}}", "EC, lifecycle: {purge_on_delete: true}}}"))
    for address in gone:
        world.gone(address)
    assert runs_to_its_end(world.declare(after if "principals" in after else PEOPLE + after).plan())


def test_a_policy_is_changed_in_place_and_another_principals_is_another_one() -> None:
    world = World.applied(OLD)
    made = world.declare(OLD.replace("[get]", "[get, list]")).plan()
    assert actions(made) == {API_POLICY: "update"}
    made = world.declare(OLD.replace("principal: api", "principal: 0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22")).plan()
    assert sorted(actions(made).values()) == ["create", "delete"]


def test_somebody_elses_policy_under_our_name_is_refused_not_overwritten() -> None:
    world = World.applied(OLD)
    del world.records[Address(API_POLICY)]
    world.see(API_POLICY, named_by_us=False)
    assert actions(world.plan()) == {API_POLICY: "refuse"}
    world.see(API_POLICY, named_by_us=True)
    assert actions(world.plan()) == {}


def test_a_policy_of_ours_that_came_back_with_its_vault_and_is_not_declared_is_taken_away() -> None:
    world = World.applied(OLD)
    identity = world.identity(API_POLICY)
    del world.records[Address(API_POLICY)]
    world.declare(OLD.replace("{principal: api, secrets: [get]}, ", ""))
    for ours in (True, False):
        for key, actual in list(world.things.items()):
            if key == identity:
                world.things[key] = msgspec.structs.replace(actual, named_by_us=ours)
        made = world.plan()
        assert [change.action for change in made.changes] == [Action.DELETE] * ours
        for change in made.changes:
            assert change.reasons == ("it was set by this stack and is neither declared nor recorded",)


ROLES = """\
    access:
      - {principal: api, role: Key Vault Secrets User}
      - {principal: bob, role: Key Vault Crypto User, scope: keys/sign}
      - {principal: bob, role: Reader}
    keys: {sign: {type: EC}}
"""
BY_ROLES = PEOPLE + "vaults:\n  old:\n" + ROLES
BY_POLICIES = PEOPLE + "vaults:\n  old:\n    access_model: access_policies\n" + ROLES


def test_the_plan_says_who_loses_access_when_roles_no_longer_count() -> None:
    world = World.applied(BY_ROLES)
    summary = "it will go by access policies: the roles that give api, bob a right to its data count no longer"
    made = world.declare(BY_POLICIES).plan()
    assert actions(made) == {"old": "update"}
    assert warnings(made) == [(summary, "Without an access policy, and so without access to what is in it: api, bob.")]
    one = "    policies: [{principal: bob, keys: [get]}]\n"
    assert warnings(world.declare(BY_POLICIES + one).plan()) == [
        (summary, "Without an access policy, and so without access to what is in it: api.")
    ]
    assert warnings(world.declare(BY_POLICIES + POLICIES).plan()) == [(summary, "All of them have an access policy.")]


def test_the_plan_says_who_loses_access_when_policies_no_longer_count() -> None:
    world = World.applied(OLD)
    made = world.declare(PEOPLE + "vaults:\n  old:\n    access: [{principal: api, role: Key Vault Reader}]\n").plan()
    assert actions(made) == {
        "old": "update", "old/access/api/key-vault-reader": "create", API_POLICY: "delete", BOB_POLICY: "delete",
    }  # fmt: skip
    assert warnings(made) == [
        (
            "it will go by roles: the access policies of api, bob count no longer",
            "Without a role for its data, and so without access to what is in it: bob.",
        )
    ]


def test_wider_roles_are_lost_as_well_and_those_elsewhere_are_not() -> None:
    wider = (
        "access:\n  - {principal: api, role: Key Vault Secrets User, scope: subscription}\n"
        "  - {principal: bob, role: Key Vault Secrets User, scope: vault/elsewhere}\n"
    )
    world = World.applied(PEOPLE + "vaults: {old: {}}\n" + wider)
    made = world.declare(PEOPLE + "vaults: {old: {access_model: access_policies}}\n" + wider).plan()
    assert ["that give api a right" in summary for summary, _ in warnings(made)] == [True]


def test_nothing_is_said_where_nobody_loses_anything() -> None:
    world = World.applied(PEOPLE + "vaults: {old: {}}\n")
    assert warnings(world.declare(PEOPLE + "vaults: {old: {access_model: access_policies}}\n").plan()) == []
    assert warnings(World(OLD + KEYS).plan()) == []


def test_what_a_policy_gives_and_takes_is_told_as_rights_people_know() -> None:
    bare = PEOPLE + "vaults: {old: {access_model: access_policies}}\n"
    gained = told(World.applied(bare).declare(OLD))
    assert lines(gained)[0] == "api gains read secrets @ vault/old"
    (change,) = gained.principals[0].changes
    assert (change.through.role, change.through.scope) == ("access policy", "vault/old")
    assert lines(told(World.applied(OLD).declare(OLD.replace("[get]", "[set]")))) == [
        "api gains set secrets; change secrets' attributes @ vault/old",
        "api loses read secrets @ vault/old",
        "nobody read secrets @ vault/old",
    ]


def test_a_role_gives_and_takes_no_right_to_data_in_such_a_vault() -> None:
    vault = "vaults: {old: {access_model: access_policies"
    world = World.applied(PEOPLE + vault + "}}\n")
    data = ", access: [{principal: api, role: Key Vault Secrets User}]}}\n"
    assert lines(told(world.declare(PEOPLE + vault + data))) == []
    both = ", access: [{principal: api, role: Reader}]}}\n"
    assert lines(told(world.declare(PEOPLE + vault + both))) == ["api gains see the vault @ vault/old"]


def test_a_change_of_the_model_takes_what_each_gave_and_gives_what_the_other_does() -> None:
    access = "access: [{principal: api, role: Key Vault Secrets User}]"
    by_roles = PEOPLE + f"vaults: {{old: {{{access}}}}}\n"
    policies = "policies: [{principal: bob, secrets: [get]}]"
    by_policies = PEOPLE + f"vaults: {{old: {{{access}, access_model: access_policies, {policies}}}}}\n"
    assert lines(told(World.applied(by_roles).declare(by_policies))) == [
        "api loses read, list secrets @ vault/old",
        "bob gains read secrets @ vault/old",
        "nobody list secrets @ vault/old",
    ]
    assert lines(told(World.applied(by_policies).declare(by_roles))) == [
        "api gains read, list secrets @ vault/old",
        "bob loses read secrets @ vault/old",
    ]
