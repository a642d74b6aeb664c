"""A whole plan: order, replacement, moves, removal, import, values, targets, destruction, what was not read."""

from collections.abc import Callable

import msgspec
import pytest

from kvstack.backends.protocol import Unread
from kvstack.declare.graph import Move
from kvstack.plan.change import KnownAfterApply, Plan, Sensitive
from kvstack.state.state import Intend
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from tests.plan.world import PEOPLE, World, actions

STACK = (
    PEOPLE
    + """\
vaults:
  dev:
    access: [{principal: api, role: Key Vault Reader}]
    keys: {sign: {type: EC}, wrap: {type: EC}}
    secrets: {db: {value_from: {env: DB}}, made: {value_from: {generate: {length: 20}}}}
  test:
    keys: {sign: {type: EC}}
"""
)
DEV, SIGN, WRAP, DB, MADE = "dev", "dev/keys/sign", "dev/keys/wrap", "dev/secrets/db", "dev/secrets/made"
ACCESS = "dev/access/api/key-vault-reader"
ALL = {DEV, SIGN, WRAP, DB, MADE, ACCESS, "test", "test/keys/sign"}


def without(text: str, *parts: str) -> str:
    for part in parts:
        assert part in text
        text = text.replace(part, "")
    return text


def waits(made: Plan) -> dict[str, set[str]]:
    return {change.address: set(change.depends_on) for change in made.changes}


def runs_to_its_end(made: Plan) -> bool:
    """Tell whether every change gets its turn when each waits for what it waits for."""
    left, done = dict(waits(made)), set[str]()
    while True:
        ready = {address for address, needed in left.items() if needed & set(waits(made)) <= done}
        if not ready:
            return not left
        done |= ready
        left = {address: needed for address, needed in left.items() if address not in ready}


# Order


def test_what_is_in_a_vault_waits_for_the_vault() -> None:
    made = World(STACK).plan(values={DB: "p"})
    assert actions(made) == dict.fromkeys(ALL, "create")
    assert waits(made)[DEV] == set()
    assert all(waits(made)[inside] == {DEV} for inside in (SIGN, WRAP, DB, MADE, ACCESS))
    assert waits(made)["test/keys/sign"] == {"test"}


def test_a_vault_waits_for_what_ends_in_it_one_by_one_and_ends_come_last() -> None:
    world = World.applied(STACK).declare(
        STACK[: STACK.index("  dev:")] + STACK[STACK.index("  test:") :] + "    tags: {a: b}\n"
    )
    world.deleted(SIGN)
    made = world.plan()
    assert actions(made) == {
        "test": "update", DEV: "delete", WRAP: "delete", DB: "delete", MADE: "delete", ACCESS: "delete", SIGN: "forget",
    }  # fmt: skip
    assert made.changes[0].address == "test"
    # What goes with its vault is done in its step; what does not is done before it.
    assert {change.address for change in made.changes if change.with_vault} == {WRAP, DB, MADE, ACCESS}
    assert waits(made)[DEV] == {SIGN}
    assert all(waits(made)[inside] == {DEV} for inside in (WRAP, DB, MADE, ACCESS))


def test_a_purge_comes_before_the_protection_that_would_stop_it() -> None:
    text = without(STACK, "sign: {type: EC}, ").replace("  dev:\n", "  dev:\n    purge_protection: true\n")
    world = World.applied(STACK).declare(text + "removed: [{address: dev/keys/sign, purge: true}]\n")
    made = world.plan(values={DB: "print-1"})
    assert actions(made) == {DEV: "update", SIGN: "purge"}
    assert waits(made) == {DEV: {SIGN}, SIGN: set()}


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: without(text, "sign: {type: EC}, "),
        lambda text: text.replace("{type: EC}", "{type: EC, name: other}", 1),
        lambda text: without(text, "    access: [{principal: api, role: Key Vault Reader}]\n"),
        lambda text: text + "removed: [{address: nothing, destroy: false}]\n",
        lambda text: without(text, "sign: {type: EC}, ") + "removed: [{address: dev/keys/sign, purge: true}]\n",
    ],
)
@pytest.mark.parametrize(
    "happened",
    [
        lambda w: w,
        lambda w: w.change(DEV, location="elsewhere"),
        lambda w: w.change(DEV, sku="premium"),
        lambda w: w.deleted(DEV),
        lambda w: w.deleted(WRAP),
        lambda w: w.forgotten(DEV),
        lambda w: w.foreign(WRAP),
    ],
)
@pytest.mark.parametrize("vault", ["", "    name: other\n", "    lifecycle: {purge_on_delete: true}\n"])
def test_nothing_waits_for_itself(edit: Callable[[str], str], happened: Callable[[World], World], vault: str) -> None:
    purgeable = STACK.replace("  dev:\n", "  dev:\n    lifecycle: {purge_on_delete: true}\n")
    world = happened(World.applied(purgeable))
    world.declare(edit(STACK.replace("  dev:\n", f"  dev:\n{vault}")))
    for options in ({}, {"destroy": True}, {"targets": (Address(SIGN),)}):
        made = world.plan(**options)
        assert runs_to_its_end(made), waits(made)


# Replacement


def test_a_key_of_another_name_is_another_key_and_the_old_one_can_be_recovered() -> None:
    change = (
        World.applied(STACK)
        .declare(STACK.replace("sign: {type: EC}", "sign: {type: EC, name: other}", 1))
        .changes()[SIGN]
    )
    assert change.action is Action.REPLACE
    assert (change.irreversible, change.purge_first) == (False, False)
    assert [(shown.path, shown.before, shown.after) for shown in change.attributes] == [("name", "sign", "other")]
    assert "deleted and can be recovered" in change.reasons[0]


@pytest.mark.parametrize("deleted", [False, True])
def test_a_new_name_that_is_taken_is_refused(deleted: bool) -> None:
    text = STACK.replace("sign: {type: EC}", "sign: {type: EC, name: other}", 1)
    world = World.applied(STACK)
    third = World.applied(text)
    identity = third.identity(SIGN)
    third.foreign(SIGN)
    if deleted:
        third.see(SIGN, deletion=World.applied(STACK).deleted(SIGN).actual(SIGN).deletion)
    world.things[identity] = third.things[identity]
    change = world.declare(text).changes()[SIGN]
    assert change.action is Action.REFUSE
    assert change.reasons[0].startswith("its new name is taken")


def test_a_vault_in_another_place_is_replaced_only_where_purging_was_asked_for() -> None:
    moved = STACK.replace("  dev:\n", "  dev:\n    location: elsewhere\n")
    refused = World.applied(STACK).declare(moved).changes()[DEV]
    assert refused.action is Action.REFUSE
    assert "purge_on_delete: true" in refused.reasons[1]
    asked = moved.replace("elsewhere\n", "elsewhere\n    lifecycle: {purge_on_delete: true}\n")
    found = World.applied(STACK).declare(asked).changes()
    assert (found[DEV].action, found[DEV].irreversible, found[DEV].purge_first) == (Action.REPLACE, True, True)
    # What is in it goes with it, for good.
    assert {a: (c.action, c.with_vault) for a, c in found.items() if a != DEV} == dict.fromkeys(
        (SIGN, WRAP, DB, MADE, ACCESS), (Action.REPLACE, True)
    )
    assert all(found[inside].irreversible for inside in (SIGN, WRAP, DB, MADE))


def test_a_purge_protected_vault_in_another_place_is_refused() -> None:
    text = STACK.replace("  dev:\n", "  dev:\n    purge_protection: true\n    lifecycle: {purge_on_delete: true}\n")
    change = World.applied(text).declare(text.replace("  dev:\n", "  dev:\n    location: elsewhere\n")).changes()[DEV]
    assert change.action is Action.REFUSE
    assert "purge protection" in change.reasons[0]


def test_a_vault_of_another_name_takes_its_things_along_and_loses_nothing() -> None:
    found = World.applied(STACK).declare(STACK.replace("  dev:\n", "  dev:\n    name: other\n")).changes()
    assert {change.action for change in found.values()} == {Action.REPLACE}
    assert not any(change.purge_first for change in found.values())
    # The old ones can be recovered with the old vault: nothing here cannot be undone.
    assert [address for address, change in found.items() if change.irreversible] == []


# Moves


def test_a_move_changes_the_address_and_nothing_else() -> None:
    text = (
        STACK.replace("sign: {type: EC}", "seal: {type: EC, name: sign}", 1)
        + "moved: [{from: dev/keys/sign, to: dev/keys/seal}]\n"
    )
    found = World.applied(STACK).declare(text).changes()
    assert set(found) == {"dev/keys/seal"}
    change = found["dev/keys/seal"]
    assert (change.action, change.moved_from, change.attributes) == (Action.MOVE, SIGN, ())


def test_a_moved_and_changed_thing_is_updated_once() -> None:
    text = STACK.replace("sign: {type: EC}", "seal: {type: EC, name: sign, enabled: false}", 1)
    change = (
        World.applied(STACK)
        .declare(text + "moved: [{from: dev/keys/sign, to: dev/keys/seal}]\n")
        .changes()["dev/keys/seal"]
    )
    assert (change.action, change.moved_from) == (Action.UPDATE, SIGN)


def test_a_move_that_would_rename_is_refused_and_names_the_line_that_keeps() -> None:
    text = (
        STACK.replace("sign: {type: EC}", "seal: {type: EC}", 1) + "moved: [{from: dev/keys/sign, to: dev/keys/seal}]\n"
    )
    change = World.applied(STACK).declare(text).changes()["dev/keys/seal"]
    assert change.action is Action.REFUSE
    assert change.reasons[0] == "a move changes an address, never a name: in the vault it is `sign`"
    assert "`name: sign`" in change.reasons[1]


def test_a_key_moves_to_no_other_vault() -> None:
    text = without(STACK, "sign: {type: EC}, ").replace(
        "    keys: {sign: {type: EC}}", "    keys: {sign: {type: EC}, sign-2: {type: EC}}"
    )
    change = (
        World.applied(STACK)
        .declare(text + "moved: [{from: dev/keys/sign, to: test/keys/sign-2}]\n")
        .changes()["test/keys/sign-2"]
    )
    assert change.action is Action.REFUSE


def test_a_vault_moves_with_everything_in_it() -> None:
    text = STACK.replace("  dev:\n", "  prod:\n    name: dev\n") + "moved: [{from: dev, to: prod}]\n"
    found = World.applied(STACK).declare(text).changes(values={"prod/secrets/db": "print-1"})
    moved = {address: change.moved_from for address, change in found.items()}
    assert moved == {address.replace("dev", "prod", 1): address for address in ALL if address.startswith("dev")}
    assert {change.action for change in found.values()} == {Action.MOVE}


def test_moves_are_made_one_after_another() -> None:
    # The middle address is one of an earlier release: nothing is declared there any more.
    text = STACK.replace("sign: {type: EC}", "last: {type: EC, name: sign}", 1)
    world = World.applied(STACK).declare(text)
    chain = (Move(Address(SIGN), Address("dev/keys/seal")), Move(Address("dev/keys/seal"), Address("dev/keys/last")))
    world.desired = msgspec.structs.replace(world.desired, moves=chain)
    found = world.changes()
    assert set(found) == {"dev/keys/last"}
    assert (found["dev/keys/last"].action, found["dev/keys/last"].moved_from) == (Action.MOVE, SIGN)


def test_a_move_to_where_something_is_recorded_is_an_error() -> None:
    text = without(STACK, "sign: {type: EC}, ") + "moved: [{from: dev/keys/sign, to: dev/keys/wrap}]\n"
    made = World.applied(STACK).declare(text).plan()
    assert [(found.severity, found.address) for found in made.diagnostics] == [("error", WRAP)]


def test_a_move_that_was_made_is_made_no_more() -> None:
    text = (
        STACK.replace("sign: {type: EC}", "seal: {type: EC, name: sign}", 1)
        + "moved: [{from: dev/keys/sign, to: dev/keys/seal}]\n"
    )
    made = World.applied(text).plan(values={DB: "print-1"})
    assert made.changes == ()
    assert made.diagnostics == ()


# Removal and import


@pytest.mark.parametrize(
    ("line", "action", "irreversible"),
    [
        ("", "delete", False),
        ("removed: [{address: dev/keys/sign}]", "delete", False),
        ("removed: [{address: dev/keys/sign, destroy: false}]", "forget", False),
        ("removed: [{address: dev/keys/sign, purge: true}]", "purge", True),
    ],
)
def test_what_becomes_of_a_key_that_is_removed(line: str, action: str, irreversible: bool) -> None:
    change = World.applied(STACK).declare(without(STACK, "sign: {type: EC}, ") + line + "\n").changes()[SIGN]
    assert (change.action.value, change.irreversible) == (action, irreversible)


def test_a_removed_vault_that_is_kept_keeps_what_is_in_it() -> None:
    text = "vaults: {test: {keys: {sign: {type: EC}}}}\nremoved: [{address: dev, destroy: false}]\n"
    assert World.applied(STACK).declare(text).actions() == dict.fromkeys((DEV, SIGN, WRAP, DB, MADE, ACCESS), "forget")


def test_a_purge_that_protection_forbids_is_refused() -> None:
    protected = STACK.replace("  dev:\n", "  dev:\n    purge_protection: true\n")
    line = "removed: [{address: dev/keys/sign, purge: true}]\n"
    world = World.applied(protected).declare(without(protected, "sign: {type: EC}, ") + line)
    assert world.changes()[SIGN].action is Action.REFUSE
    assert world.deleted(SIGN, purgeable=False).changes()[SIGN].action is Action.REFUSE


def test_purge_on_delete_counts_once_the_line_is_gone() -> None:
    asked = STACK.replace("sign: {type: EC}", "sign: {type: EC, lifecycle: {purge_on_delete: true}}", 1)
    change = World.applied(asked).declare(without(STACK, "sign: {type: EC}, ")).changes()[SIGN]
    assert (change.action, change.irreversible) == (Action.PURGE, True)


def test_what_is_purged_with_its_vault_cannot_be_undone() -> None:
    asked = STACK.replace("  dev:\n", "  dev:\n    lifecycle: {purge_on_delete: true}\n")
    found = World.applied(asked).declare("vaults: {}\n").changes()
    assert found[DEV].action is Action.PURGE
    assert all(found[inside].irreversible for inside in (DEV, SIGN, WRAP, DB, MADE))


@pytest.mark.parametrize("deleted", [False, True])
def test_an_import_takes_over_what_is_there_and_brings_it_in_line(deleted: bool) -> None:
    world = World.applied(STACK).foreign(SIGN, "other").change(SIGN, enabled=False)
    if deleted:
        world.deleted(SIGN)
    change = world.declare(STACK + "import: [{address: dev/keys/sign}]\n").changes()[SIGN]
    assert change.action is (Action.RECOVER if deleted else Action.IMPORT)
    assert change.changed == {"owner", "enabled"}


def test_an_import_that_was_made_is_made_no_more() -> None:
    world = World.applied(STACK).declare(STACK + "import: [{address: dev/keys/sign}]\n")
    assert world.actions(values={DB: "print-1"}) == {}


# Values


@pytest.mark.parametrize(
    ("offered", "action", "compared"),
    [("print-1", None, False), ("print-2", "rotate", False), (None, None, True)],
)
def test_a_value_that_is_there_is_compared_and_one_that_is_not_is_compared_at_apply(
    offered: str | None, action: str | None, compared: bool
) -> None:
    made = World.applied(STACK).plan(values={} if offered is None else {DB: offered})
    assert actions(made).get(DB) == action
    assert made.compared_at_apply == ((DB,) if compared else ())
    if action:
        (shown,) = made.changes[0].attributes
        assert (shown.path, shown.before, shown.after) == ("value", Sensitive("print-1"), Sensitive("print-2"))
        assert made.changes[0].reasons == ("the value it comes from is another",)


def test_a_value_to_be_made_is_known_after_apply() -> None:
    found = World(STACK).changes()
    assert found[MADE].attributes[0].after == KnownAfterApply()
    assert found[DB].attributes[0].after == KnownAfterApply("read at apply: environment variable DB is not there now")


@pytest.mark.parametrize(
    ("source", "expected"),
    [("{generate: {length: 20}}", None), ("{generate: {length: 21}}", "rotate"), ("{command: [a]}", "rotate")],
)
def test_a_generated_value_is_made_again_when_its_specification_changes(source: str, expected: str | None) -> None:
    world = World.applied(STACK).declare(STACK.replace("{generate: {length: 20}}", source))
    assert world.actions(values={DB: "print-1"}).get(MADE) == expected


def test_a_value_made_by_a_run_that_was_killed_is_not_made_again() -> None:
    text = STACK.replace("length: 20", "length: 21")
    for newest, expected in (("v2", None), ("v1", "rotate")):
        world = World.applied(STACK).declare(text)
        world.see(MADE, version=newest, fingerprint="print-2" if newest == "v2" else "print-1")
        resource = world.node(MADE).resource
        world.intents[Address(MADE)] = Intend(Address(MADE), "secret", resource, "v1")
        assert world.actions(values={DB: "print-1"}).get(MADE) == expected


def test_a_secret_without_a_source_has_to_be_there() -> None:
    text = "vaults: {dev: {secrets: {db: {content_type: text/plain}}}}\n"
    assert World.applied(text).change(DB, content_type=None).actions() == {DB: "update"}
    change = World.applied(text).gone(DB).changes()[DB]
    assert change.action is Action.REFUSE
    assert "nothing says what its value is" in change.reasons[0]


# Targets, destruction, refreshing


def test_a_target_brings_what_it_depends_on_and_nothing_else() -> None:
    made = World(STACK).plan(targets=(Address(SIGN),))
    assert actions(made) == {DEV: "create", SIGN: "create"}
    assert made.unchanged == 0
    assert [found.severity for found in made.diagnostics] == ["warning"]
    assert set(actions(World(STACK).plan(targets=(Address("test"),)))) == {"test", "test/keys/sign"}


def test_a_target_that_is_nowhere_is_an_error() -> None:
    made = World(STACK).plan(targets=(Address("dev/keys/sing"),))
    assert made.changes == ()
    assert [found.severity for found in made.diagnostics] == ["warning", "error"]


def test_destruction_ends_everything_and_leaves_what_is_somebody_elses() -> None:
    world = World.applied(STACK).foreign(WRAP)
    made = world.plan(destroy=True)
    assert actions(made) == dict.fromkeys(ALL - {WRAP}, "delete")
    assert made.destroy


def test_refreshing_plans_nothing_and_tells_what_moved() -> None:
    made = World.applied(STACK).gone(SIGN).plan(refresh_only=True)
    assert made.changes == ()
    assert [drifted.address for drifted in made.drift] == [SIGN]


# What was not read


@pytest.mark.parametrize(
    ("unread", "expected"),
    [
        ("vaults/dev", {DEV, SIGN, WRAP, DB, MADE}),
        ("vaults/dev/keys/", {SIGN, WRAP}),
        ("vaults/dev/secrets/", {DB, MADE}),
        ("vaults/dev/keys/sign", {SIGN}),
    ],
)
def test_what_was_not_read_is_not_planned_and_said_so(unread: str, expected: set[str]) -> None:
    world = World.applied(STACK)
    for identity in [key for key in world.things if key == unread or key.startswith(unread.rstrip("/") + "/")]:
        del world.things[identity]
    world.unread.append(Unread(unread, "a firewall"))
    made = world.plan(values={DB: "print-1"})
    assert {thing.address for thing in made.unread} == expected
    assert {thing.reason for thing in made.unread} == {"a firewall"}
    assert not made.complete
    assert set(actions(made)) <= {ACCESS}
    assert {drifted.address for drifted in made.drift} <= {ACCESS}
    assert {thing.address for thing in world.plan(refresh_only=True).unread} == expected
    assert made.unchanged + len(made.changes) + len(made.unread) == len(ALL)
    assert {thing.address for thing in world.plan(destroy=True).unread} == expected


def test_unread_access_is_no_access_to_give() -> None:
    world = World.applied(STACK)
    world.gone(ACCESS).unread.append(Unread("assignments/", "denied"))
    made = world.plan(values={DB: "print-1"})
    assert made.changes == ()
    assert [thing.address for thing in made.unread] == [ACCESS]


# Counting


def test_everything_declared_is_counted_once() -> None:
    world = World.applied(STACK).gone(SIGN).change(WRAP, enabled=False)
    made = world.plan(values={DB: "print-1"})
    assert made.unchanged == len(ALL) - 2
    assert made.summary["create"] == made.summary["update"] == 1
    assert sum(made.summary.values()) == 2


def test_an_empty_plan_says_so() -> None:
    made = World.applied(STACK).plan(values={DB: "print-1"})
    assert made.empty
    assert made.unchanged == len(ALL)
    assert made.diagnostics == ()
    assert made.drift == ()
