"""Roles of the stack's own, roles to be taken up, and denials in a plan: in which order, and what cannot be."""

from datetime import timedelta

import msgspec
import pytest

from kvstack.backends.protocol import Actual, Unread
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.schema.resource import Resource
from kvstack.terms.action import Action
from tests.plan.world import API, NOW, PEOPLE, World

LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
ROLE = f"roles:\n  lister: {{assignable_scopes: [subscription], data_actions: [{LIST}]}}\n"
VAULT = "vaults:\n  dev:\n    access: [{principal: api, role: lister}]\n"
STACK = PEOPLE + ROLE + VAULT
GIVEN = "dev/access/api/lister"


def terms(written: str, role: str = "Reader") -> str:
    more = f", eligible: {{{written}}}" if written != "none" else ""
    return f"{PEOPLE}vaults:\n  dev:\n    access: [{{principal: api, role: {role}{more}}}]\n"


def test_a_role_is_defined_before_it_is_given_and_after_the_vaults_it_names() -> None:
    made = World(STACK.replace("[subscription]", "[vault/dev]")).changes()
    assert made["roles/lister"].depends_on == ("dev",)
    assert set(made[GIVEN].depends_on) == {"dev", "roles/lister"}


def test_a_target_that_gives_a_role_brings_the_role_and_the_vault_along() -> None:
    made = World(STACK).plan(targets=(GIVEN,))
    assert {change.address for change in made.changes} == {"dev", "roles/lister", GIVEN}


def test_a_role_is_taken_from_everybody_before_it_ends() -> None:
    ends = World.applied(STACK).declare(PEOPLE + "vaults:\n  dev: {}\n").changes()
    assert {address: change.action for address, change in ends.items()} == {
        "roles/lister": Action.DELETE,
        GIVEN: Action.DELETE,
    }
    assert ends["roles/lister"].depends_on == (GIVEN,)


def test_a_role_ends_after_the_vault_in_which_it_is_given() -> None:
    for ends in (World.applied(STACK).declare("vaults: {}\n").changes(), World.applied(STACK).changes(destroy=True)):
        assert ends[GIVEN].with_vault
        assert ends["roles/lister"].depends_on == ("dev",)
        assert "roles/lister" not in ends["dev"].depends_on


def test_a_role_is_narrowed_after_it_is_taken_from_whoever_may_not_have_it_any_more() -> None:
    wide = STACK + "access: [{principal: bob, role: lister, scope: subscription}]\n"
    narrowed = World.applied(wide).declare(STACK.replace("[subscription]", "[vault/dev]")).changes()
    assert narrowed["roles/lister"].action is Action.UPDATE
    assert narrowed["roles/lister"].depends_on == ("access/bob/lister/subscription",)


@pytest.mark.parametrize("terms_or_not", ["", ", eligible: {}"])
def test_a_role_that_somebody_else_gave_does_not_end(terms_or_not: str) -> None:
    stack = STACK.replace("role: lister", f"role: lister{terms_or_not}")
    world = World.applied(stack).foreign(GIVEN).declare(PEOPLE + "vaults:\n  dev: {}\n")
    change = world.changes()["roles/lister"]
    assert change.action is Action.REFUSE
    assert "it cannot end while something needs it: the role assignment" in change.reasons[0]


def test_a_role_that_is_kept_or_let_go_of_is_no_matter_for_who_has_it() -> None:
    world = World.applied(STACK).foreign(GIVEN)
    world.declare(PEOPLE + "removed: [{address: roles/lister, destroy: false}]\nvaults:\n  dev: {}\n")
    assert world.actions() == {"roles/lister": "forget"}


def test_a_role_keeps_its_name() -> None:
    renamed = STACK.replace("{assignable_scopes", "{name: other, assignable_scopes")
    change = World.applied(STACK).declare(renamed).changes()["roles/lister"]
    assert change.action is Action.REFUSE
    assert "A role keeps its name" in change.reasons[0]
    assert change.reasons[1] == "Write `name: lister` to keep what is there."
    assert [(shown.path, shown.before, shown.after) for shown in change.attributes] == [("name", "lister", "other")]


def test_a_role_moves_to_another_key_with_its_name() -> None:
    moved = STACK.replace("lister: {", "list-reader: {name: lister, ")
    assert World.applied(STACK).declare(moved).actions() == {"roles/list-reader": "move"}


def test_a_role_of_a_managed_hsm_keeps_its_name_too() -> None:
    action = "Microsoft.KeyVault/managedHsm/keys/sign/action"
    stack = f"managed_hsms:\n  pool-a: {{roles: {{signer: {{data_actions: ['{action}']}}}}}}\n"
    world = World.applied(stack)
    renamed = world.declare(stack.replace("{data_actions", "{name: other, data_actions")).changes()
    assert renamed["pool-a/roles/signer"].action is Action.REFUSE


def test_what_may_not_be_read_is_not_called_gone() -> None:
    stack = STACK.replace("role: lister", "role: lister, eligible: {}")
    stack += f"deny: [{{name: d, scope: subscription, data_actions: [{LIST}]}}]\n"
    world = World.applied(stack).gone("roles/lister").gone(GIVEN).gone("deny/d")
    world.unread += [Unread("roles/", "no"), Unread("eligible/vault/dev/", "no"), Unread("denials/", "no")]
    made = world.plan()
    assert (made.changes, made.drift) == ((), ())
    assert {thing.address for thing in made.unread} == {"roles/lister", GIVEN, "deny/d"}
    assert not made.complete


# Roles to be taken up


@pytest.mark.parametrize(("before", "after"), [("none", ""), ("", "none"), ("none", "mfa: required")])
def test_what_is_given_becomes_what_may_be_taken_up_by_being_replaced_and_back(before: str, after: str) -> None:
    change = World.applied(terms(before)).declare(terms(after)).changes()["dev/access/api/reader"]
    assert change.action is Action.REPLACE
    assert change.reasons == ("it cannot be changed in place: the one there is taken away",)
    shown = {one.path: (one.before, one.after) for one in change.attributes}
    # Terms that are all at their defaults are still seen.
    expected = {
        ("none", ""): ("eligible.max_duration", (None, "PT8H")),
        ("", "none"): ("eligible.max_duration", ("PT8H", None)),
        ("none", "mfa: required"): ("eligible.mfa", (None, "required")),
    }
    path, values = expected[before, after]
    assert shown[path] == values


def test_terms_change_in_place() -> None:
    world = World.applied(terms("max_duration: PT4H, approvers: [bob]"))
    change = world.declare(terms("max_duration: PT2H, approvers: [bob]")).changes()["dev/access/api/reader"]
    assert change.action is Action.UPDATE
    assert [(one.path, one.before, one.after) for one in change.attributes] == [
        ("eligible.max_duration", "PT4H", "PT2H")
    ]
    assert world.declare(terms("max_duration: PT240M, approvers: [bob]")).changes() == {}


def test_what_somebody_gave_beside_it_is_left_alone() -> None:
    world = World.applied(terms(""))
    there = world.actual("dev/access/api/reader")
    assert isinstance(there.resource, RoleAssignment)
    given: Actual[Resource] = msgspec.structs.replace(
        there, id="x", resource=msgspec.structs.replace(there.resource, eligible=None), named_by_us=False
    )
    world.things[given.resource.identity("dev")] = given
    assert world.changes() == {}
    # And it is what stands in the way once the role is to be given.
    change = world.declare(terms("none")).changes()["dev/access/api/reader"]
    assert change.action is Action.REFUSE


def test_somebody_elses_terms_are_taken_over_only_by_an_import() -> None:
    world = World.applied(terms("max_duration: PT4H")).foreign("dev/access/api/reader")
    assert world.changes()["dev/access/api/reader"].action is Action.REFUSE
    world.declare(terms("max_duration: PT4H") + "import: [{address: dev/access/api/reader}]\n")
    assert world.actions() == {"dev/access/api/reader": "import"}


def test_terms_that_are_over_are_refused_when_new_and_told_when_there() -> None:
    over = terms("until: 2026-06-02T00:00:00Z")
    later = NOW + timedelta(days=2)
    new = World(over).changes(now=later)["dev/access/api/reader"]
    assert new.action is Action.REFUSE
    assert "would have ended before it began" in new.reasons[0]
    made = World.applied(over).plan(now=later)
    assert made.changes == ()
    assert [one.summary for one in made.diagnostics] == ["the assignment ended on 2026-06-02"]


# Denials


def denied(more: str = "", scope: str = "") -> str:
    where = f"scope: {scope}, " if scope else ""
    return f"{PEOPLE}vaults:\n  dev:\n    deny: [{{name: d, {where}data_actions: ['*']{more}}}]\n"


@pytest.mark.parametrize(
    ("after", "action"),
    [
        (denied(), None),
        (denied(", except: [api]"), "update"),
        (denied(", principals: [api]"), "update"),
        (denied(", below: false, description: why"), "update"),
        (denied(scope="secrets/x"), "replace"),
    ],
)
def test_a_denial_changes_in_place_but_not_its_scope(after: str, action: str | None) -> None:
    found = World.applied(denied()).declare(after).actions()
    assert found == ({"dev/deny/d": action} if action else {})


@pytest.mark.parametrize("vaults", ["vaults: {}\n", "vaults: {dev: {location: elsewhere, LIFE}}\n"])
def test_a_denial_that_comes_into_a_vault_that_is_made_anew_leaves_where_it_was(vaults: str) -> None:
    purged = "lifecycle: {purge_on_delete: true}"
    wide = "deny: [{name: d, scope: subscription, data_actions: ['*']}]\n"
    world = World.applied(vaults.replace("LIFE", purged) + wide)
    change = world.declare(f"vaults: {{dev: {{{purged}}}}}\n" + wide.replace("subscription", "vault/dev")).changes()
    assert change["dev"].action in (Action.CREATE, Action.REPLACE)
    assert (change["deny/d"].action, change["deny/d"].with_vault) == (Action.REPLACE, False)
    assert change["deny/d"].actual == world.things["denials/subscription/d"]
    assert change["deny/d"].depends_on == ("dev",)


def test_who_is_denied_is_shown_by_ids() -> None:
    change = World.applied(denied()).declare(denied(", principals: [api]")).changes()["dev/deny/d"]
    assert [(one.path, one.before, one.after) for one in change.attributes] == [("principals", None, [API])]


def test_a_denial_goes_with_its_vault_and_for_a_vault_that_is_there() -> None:
    ends = World.applied(denied()).declare("vaults: {}\n").changes()
    assert ends["dev/deny/d"].with_vault
    made = World(PEOPLE + "deny: [{name: d, scope: vault/nowhere, data_actions: ['*']}]\n").changes()
    assert made["deny/d"].action is Action.REFUSE
    assert "there is no vault `nowhere`" in made["deny/d"].reasons[0]
