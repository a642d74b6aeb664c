"""What of a plan waits for an approval: each change as exactly the deeds it comes to."""

import pytest

from kvstack.plan import approval
from kvstack.plan.change import NeedsApproval
from kvstack.terms.address import Address
from kvstack.terms.approval import Held
from kvstack.terms.principal import Principal
from tests.plan.world import API, PEOPLE, World

BOB = API[:-1] + "2"
TEXT = (
    PEOPLE
    + """\
vaults:
  dev:
    access: [{principal: api, role: Key Vault Reader}]
    keys: {sign: {type: EC}}
    secrets: {made: {value_from: {generate: {length: 20}}}}
"""
)
ROLE = "roles: {Lister: {assignable_scopes: [vault/dev], actions: [Microsoft.KeyVault/vaults/read]}}\n"
POLICIES = TEXT.replace(
    "  dev:\n", "  dev:\n    access_model: access_policies\n    policies: [{principal: api, keys: [sign]}]\n"
)
RULE = TEXT.replace("  dev:\n", "  dev:\n    approval: {by: [bob], for: [delete]}\n")
TAKE, GIVE = f"take role key vault reader of {API}", f"give role key vault reader of {API}"

CASES: list[tuple[str, str, str, set[str]]] = [
    ("nothing", TEXT, TEXT, set()),
    ("a new thing", TEXT, TEXT.replace("{sign:", "{other: {type: EC}, sign:"), set()),
    ("a tag", TEXT, TEXT.replace("{type: EC}", "{type: EC, tags: {a: b}}"), set()),
    ("a new version", TEXT, TEXT.replace("length: 20", "length: 21"), set()),
    ("a deletion", TEXT, TEXT.replace("    keys: {sign: {type: EC}}\n", ""), {"delete vault/dev/keys/sign"}),
    (
        "a purge",
        TEXT.replace("{type: EC}", "{type: EC, lifecycle: {purge_on_delete: true}}"),
        TEXT.replace("    keys: {sign: {type: EC}}\n", ""),
        {"delete vault/dev/keys/sign", "purge vault/dev/keys/sign"},
    ),
    (
        "another name",
        TEXT,
        TEXT.replace("{type: EC}", "{type: EC, name: other}"),
        {"delete vault/dev/keys/sign"},
    ),
    ("the end of a vault, with all in it", TEXT, PEOPLE + "vaults: {}\n", {"delete vault/dev"}),
    (
        "a vault made anew",
        TEXT,
        TEXT.replace("  dev:\n", "  dev:\n    location: elsewhere\n    lifecycle: {purge_on_delete: true}\n"),
        {"delete vault/dev", "purge vault/dev"},
    ),
    (
        "another access model, and who has a policy then",
        TEXT,
        POLICIES,
        {
            "access vault/dev: change access model to access_policies",
            f"access vault/dev: give access policy of {API}, keys sign",
        },
    ),
    (
        "a policy that permits something else",
        POLICIES,
        POLICIES.replace("[sign]", "[get]"),
        {
            f"access vault/dev: take access policy of {API}, keys sign",
            f"access vault/dev: give access policy of {API}, keys get",
        },
    ),
    (
        "a role taken",
        TEXT,
        TEXT.replace("[{principal: api, role: Key Vault Reader}]", "[]"),
        {f"access vault/dev: {TAKE}"},
    ),
    (
        "a role on other terms",
        TEXT,
        TEXT.replace("Reader}", "Reader, until: 2027-01-31T00:00:00Z}"),
        {f"access vault/dev: {TAKE}", f"access vault/dev: {GIVE}, until 2027-01-31T00:00:00+00:00"},
    ),
    (
        "a role at one thing",
        TEXT,
        TEXT.replace("Reader}", "Reader, scope: keys/sign}"),
        {f"access vault/dev: {TAKE}", f"access vault/dev/keys/sign: {GIVE}"},
    ),
    (
        "a role above",
        TEXT,
        TEXT + "access: [{principal: api, role: Key Vault Reader, scope: subscription}]\n",
        {f"access subscription: {GIVE}"},
    ),
    (
        "a role that may be taken up",
        TEXT,
        TEXT.replace("Reader}", "Reader}, {principal: bob, role: Key Vault Reader, eligible: {approvers: [api]}}"),
        {
            f"access vault/dev: give eligibility key vault reader of {BOB}, approvers {API}, justification yes, "
            "max duration 8:00:00"
        },
    ),
    (
        "a denial",
        TEXT,
        TEXT + "    deny: [{name: none, actions: ['*/delete'], principals: [bob], below: false}]\n",
        {f"access vault/dev: give denial none, actions */delete, principals {BOB}"},
    ),
    ("a role of one's own", TEXT, TEXT + ROLE, set()),
    (
        "a role of one's own in other words",
        TEXT + ROLE,
        TEXT + ROLE.replace("actions:", "description: x, actions:"),
        set(),
    ),
    (
        "another meaning of a role",
        TEXT + ROLE,
        TEXT + ROLE.replace("read]", "write]"),
        {"access vault/dev: change role definition lister, actions Microsoft.KeyVault/vaults/write, name Lister"},
    ),
    ("the end of a role", TEXT + ROLE, TEXT, {"access vault/dev: take role definition lister"}),
    ("a rule", TEXT, RULE, {f"access vault/dev: approval rule, by {BOB}, operations delete"}),
    ("no rule", RULE, TEXT, {"access vault/dev: no approval rule"}),
]


@pytest.mark.parametrize(("before", "after", "texts"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_change_is_these_deeds(before: str, after: str, texts: set[str]) -> None:
    made = World.applied(before).declare(after).plan()
    assert not made.refused
    assert {deed.text for _, deed in approval.deeds(made.changes, (), {})} == texts


def test_a_group_whose_members_change_is_one_and_a_new_name_is_none() -> None:
    group = Principal(API, "group", "crew", frozenset({BOB}))
    assert [deed.text for _, deed in approval.deeds((), (group,), {})] == [
        f"access subscription: group {API}, members {BOB}"
    ]
    known = {API: Principal(API, "group", "ship's crew", frozenset({BOB}))}
    assert approval.deeds((), (group,), known) == ()


def needs(world: World, *held: Held) -> tuple[NeedsApproval, ...]:
    made = world.plan()
    done = approval.deeds(made.changes, (), {})
    return tuple(approval.needs(done, held, made.changes, world.desired.nodes, {BOB: "bob"}))


def test_what_the_vault_holds_up_waits_for_whom_the_vault_names() -> None:
    world = World.applied(RULE).declare(RULE.replace("    keys: {sign: {type: EC}}\n", "").replace("[bob]", "[api]"))
    (_, deletion), *_ = [one for one in approval.deeds(world.plan().changes, (), {}) if one[1].operation == "delete"]
    (need,) = needs(world, Held(deletion, "dev", (BOB,)))
    assert (need.address, need.by, need.names, need.declared) == (Address("dev/keys/sign"), (BOB,), ("bob",), False)


def test_a_rule_that_a_plan_brings_to_a_vault_that_is_there_holds_it_up_too() -> None:
    gone = "    keys: {sign: {type: EC}}\n"
    (need,) = needs(World.applied(TEXT).declare(RULE.replace(gone, "")))
    assert (need.address, need.vault, need.by, need.declared) == (Address("dev/keys/sign"), "dev", (BOB,), True)
    both = RULE.replace("for: [delete]", "for: [delete, access]")
    assert needs(World("").declare(both)) == (), "nothing in a new vault waits"
