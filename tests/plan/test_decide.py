"""The one place that chooses an action, case by case: what is declared, what is recorded, what is there."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from kvstack.backends.protocol import Snapshot
from kvstack.resources.rotation import Rotation
from kvstack.resources.vault import Network
from kvstack.schema.resource import Lifecycle
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from tests.plan.world import API, NOW, PEOPLE, World

STACK = (
    PEOPLE
    + """\
vaults:
  dev:
    sku: premium
    access: [{principal: api, role: Key Vault Reader}]
    keys: {sign: {type: EC}}
    secrets: {db: {value_from: {generate: {length: 20}}}}
"""
)
DEV, SIGN, DB, ACCESS = "dev", "dev/keys/sign", "dev/secrets/db", "dev/access/api/key-vault-reader"


def nothing(_: World) -> None:
    return


def undeclared(world: World) -> None:
    world.declare("vaults: {}\n")


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        pytest.param(nothing, {}, id="nothing"),
        # Declared, and not there
        pytest.param(lambda w: w.gone(SIGN), {SIGN: "create"}, id="gone"),
        pytest.param(lambda w: w.gone(SIGN).forgotten(SIGN), {SIGN: "create"}, id="new"),
        pytest.param(lambda w: w.gone(ACCESS), {ACCESS: "create"}, id="access taken away"),
        # Declared, there, ours
        pytest.param(lambda w: w.change(SIGN, enabled=False), {SIGN: "update"}, id="changed"),
        pytest.param(lambda w: w.change(SIGN, curve="P-384"), {SIGN: "rotate"}, id="another curve"),
        pytest.param(lambda w: w.change(SIGN, curve="P-384", enabled=False), {SIGN: "rotate"}, id="a version has all"),
        pytest.param(lambda w: w.change(ACCESS, description="x"), {ACCESS: "update"}, id="access changed"),
        pytest.param(
            lambda w: w.change(ACCESS, principal_type="group"), {ACCESS: "replace"}, id="access of another type"
        ),
        pytest.param(lambda w: w.see(SIGN, owner=None), {SIGN: "update"}, id="tags lost"),
        pytest.param(lambda w: w.see(SIGN, version="v2"), {}, id="a new version, as declared"),
        pytest.param(lambda w: w.see(DB, version="v2", fingerprint="other"), {DB: "rotate"}, id="another value"),
        pytest.param(
            lambda w: w.see(DB, version="v2", fingerprint="other", by_rotation=True), {}, id="another value by rotation"
        ),
        pytest.param(lambda w: w.forgotten(SIGN), {}, id="ours by its tags alone"),
        pytest.param(lambda w: w.forgotten(ACCESS), {}, id="ours by its name alone"),
        pytest.param(lambda w: w.see(SIGN, owner=None).forgotten(SIGN), {SIGN: "refuse"}, id="ours by nothing"),
        # Declared, there, somebody else's
        pytest.param(lambda w: w.foreign(SIGN), {SIGN: "refuse"}, id="nobody's key"),
        pytest.param(lambda w: w.foreign(SIGN, "other"), {SIGN: "refuse"}, id="another stack's key"),
        pytest.param(lambda w: w.foreign(DEV), {DEV: "refuse"}, id="nobody's vault"),
        pytest.param(lambda w: w.foreign(ACCESS), {ACCESS: "refuse"}, id="access under another name"),
        # Declared, soft-deleted
        pytest.param(lambda w: w.deleted(SIGN), {SIGN: "recover"}, id="deleted"),
        pytest.param(lambda w: w.deleted(SIGN).forgotten(SIGN), {SIGN: "recover"}, id="deleted, ours by its tags"),
        pytest.param(
            lambda w: w.deleted(SIGN).change(SIGN, enabled=False), {SIGN: "recover"}, id="deleted and changed"
        ),
        pytest.param(
            lambda w: w.deleted(DB).see(DB, fingerprint="other"), {DB: "recover"}, id="deleted, another value"
        ),
        pytest.param(lambda w: w.foreign(SIGN).deleted(SIGN), {SIGN: "refuse"}, id="somebody else's, deleted"),
        pytest.param(
            lambda w: w.deleted(DEV),
            {DEV: "recover", SIGN: "recover", DB: "recover", ACCESS: "create"},
            id="the vault deleted",
        ),
        pytest.param(
            lambda w: w.deleted(SIGN).deleted(DEV),
            {DEV: "recover", SIGN: "recover", DB: "recover", ACCESS: "create"},
            id="the key deleted before the vault",
        ),
        pytest.param(
            lambda w: w.deleted(DEV).change(SIGN, enabled=False),
            {DEV: "recover", SIGN: "update", DB: "recover", ACCESS: "create"},
            id="the vault deleted, a key changed",
        ),
        pytest.param(
            lambda w: w.gone(DEV).gone(SIGN).gone(DB).gone(ACCESS),
            {DEV: "create", SIGN: "create", DB: "create", ACCESS: "create"},
            id="the vault purged",
        ),
        # No longer declared
        pytest.param(undeclared, {DEV: "delete", SIGN: "delete", DB: "delete", ACCESS: "delete"}, id="the whole stack"),
        pytest.param(
            lambda w: undeclared(w.gone(SIGN)),
            {SIGN: "forget", DEV: "delete", DB: "delete", ACCESS: "delete"},
            id="a key that is gone",
        ),
        pytest.param(
            lambda w: undeclared(w.deleted(SIGN)),
            {SIGN: "forget", DEV: "delete", DB: "delete", ACCESS: "delete"},
            id="a key that is deleted",
        ),
        pytest.param(
            lambda w: undeclared(w.deleted(DEV)),
            {DEV: "forget", SIGN: "forget", DB: "forget", ACCESS: "forget"},
            id="a vault that is deleted",
        ),
        pytest.param(
            lambda w: undeclared(w.forgotten(SIGN)),
            {DEV: "delete", SIGN: "delete", DB: "delete", ACCESS: "delete"},
            id="a key made just before a crash",
        ),
        pytest.param(
            lambda w: undeclared(w.foreign(SIGN)),
            {DEV: "delete", DB: "delete", ACCESS: "delete"},
            id="a key that is somebody else's",
        ),
    ],
)
def test_what_happens_to_each_thing(happened: Callable[[World], object], expected: dict[str, str]) -> None:
    world = World.applied(STACK)
    happened(world)
    assert world.actions() == expected


@pytest.mark.parametrize(
    ("attribute", "before", "expected"),
    [
        ("sku", "standard", "update"),
        ("tags", {"a": "b"}, "update"),
        ("lock", "delete", "update"),
        ("network", Network(default_action="deny"), "update"),
        ("purge_protection", True, "refuse"),
        ("soft_delete_retention_days", 7, "refuse"),
        ("location", "elsewhere", "refuse"),
        ("resource_group", "another", None),
    ],
)
def test_what_changing_an_attribute_of_a_vault_costs(attribute: str, before: object, expected: str | None) -> None:
    # The vault is as declared but for one attribute, which is `before` there.
    world = World.applied(STACK).change(DEV, **{attribute: before})
    change = world.changes().get(Address(DEV))
    assert (change.action.value if change else None) == expected
    if change is not None:
        assert [shown.path.split(".")[0] for shown in change.attributes] == [attribute]


@pytest.mark.parametrize(
    ("attribute", "before", "expected"),
    [
        ("type", "RSA", "rotate"),
        ("curve", "P-521", "rotate"),
        ("operations", frozenset({"sign"}), "update"),
        ("enabled", False, "update"),
        ("not_before", NOW, "update"),
        ("expires", NOW, "update"),
        ("tags", {"a": "b"}, "update"),
        ("rotation", Rotation(every="P30D"), "update"),
    ],
)
def test_what_changing_an_attribute_of_a_key_costs(attribute: str, before: object, expected: str) -> None:
    change = World.applied(STACK).change(SIGN, **{attribute: before}).changes()[SIGN]
    assert change.action.value == expected
    assert {shown.path.split(".")[0] for shown in change.attributes} == {attribute}


@pytest.mark.parametrize(
    ("attribute", "before", "expected"),
    [
        ("content_type", "text/html", "update"),
        ("enabled", False, "update"),
        ("expires", NOW, "update"),
        ("tags", {"a": "b"}, "update"),
        ("rotation", Rotation(every="P30D"), "update"),
    ],
)
def test_what_changing_an_attribute_of_a_secret_costs(attribute: str, before: object, expected: str) -> None:
    assert World.applied(STACK).change(DB, **{attribute: before}).actions() == {DB: expected}


def test_purge_protection_goes_one_way_and_says_that_it_does() -> None:
    world = World.applied(STACK).declare(STACK.replace("sku: premium", "sku: premium\n    purge_protection: true"))
    change = world.changes()[DEV]
    assert (change.action, change.irreversible) == (Action.UPDATE, True)
    back = World.applied(STACK).change(DEV, purge_protection=True).changes()[DEV]
    assert back.action is Action.REFUSE
    assert back.reasons == (
        "`purge_protection` cannot be changed so. Purge protection can be switched on, never off.",
        "Write `purge_protection: true` to keep what is there.",
    )


@pytest.mark.parametrize("action", ["delete", "replace", "purge"])
def test_prevent_destroy_stops_every_end(action: str) -> None:
    guarded = STACK.replace("{type: EC}", "{type: EC, lifecycle: {prevent_destroy: true, purge_on_delete: true}}")
    world = World.applied(guarded)
    match action:
        case "replace":
            world.declare(guarded.replace("{type: EC,", "{type: EC, name: other,"))
            found = world.changes()[SIGN]
        case "purge":
            found = world.deleted(SIGN).changes(destroy=True)[SIGN]
        case _:
            found = world.changes(destroy=True)[SIGN]
    assert found.action is Action.REFUSE
    assert "prevent_destroy" in found.reasons[0]


def test_prevent_destroy_of_a_key_stops_the_replacement_of_its_vault() -> None:
    guarded = STACK.replace("{type: EC}", "{type: EC, lifecycle: {prevent_destroy: true}}").replace(
        "sku: premium", "sku: premium\n    lifecycle: {purge_on_delete: true}"
    )
    world = World.applied(guarded).change(DEV, location="elsewhere")
    assert world.plan().refused


def test_taking_the_line_of_prevent_destroy_out_lets_go() -> None:
    guarded = STACK.replace("{type: EC}", "{type: EC, lifecycle: {prevent_destroy: true}}")
    assert World.applied(guarded).declare(STACK.replace("    keys: {sign: {type: EC}}\n", "")).actions() == {
        SIGN: "delete"
    }


@pytest.mark.parametrize(
    ("ignored", "changed", "expected"),
    [
        ("[tags]", {"tags": {"a": "b"}}, {}),
        ("[tags]", {"tags": {"a": "b"}, "enabled": False}, {SIGN: "update"}),
        ("[all]", {"tags": {"a": "b"}, "enabled": False, "curve": "P-384"}, {}),
        ("[curve]", {"curve": "P-384"}, {}),
        ("[enabled]", {"tags": {"a": "b"}}, {SIGN: "update"}),
    ],
)
def test_ignored_attributes_are_others_business(
    ignored: str, changed: dict[str, object], expected: dict[str, str]
) -> None:
    text = STACK.replace("{type: EC}", f"{{type: EC, lifecycle: {{ignore_changes: {ignored}}}}}")
    world = World.applied(text).change(SIGN, **changed)
    assert world.actions() == expected
    if not expected:
        assert world.plan().drift == ()


@pytest.mark.parametrize("ignored", ["value", "value_from", "all"])
def test_an_ignored_value_is_not_compared(ignored: str) -> None:
    text = STACK.replace("{length: 20}}", f"{{length: 20}}}}, lifecycle: {{ignore_changes: [{ignored}]}}")
    world = World.applied(text).see(DB, version="v2", fingerprint="other")
    assert world.actions() == {}
    assert world.plan().drift == ()


def test_a_locked_vault_is_not_deleted_nor_replaced() -> None:
    locked = STACK.replace("sku: premium", "sku: premium\n    lock: delete")
    assert World.applied(locked).changes(destroy=True)[DEV].action is Action.REFUSE
    renamed = World.applied(locked).declare(locked.replace("lock: delete", "lock: delete\n    name: other"))
    assert renamed.changes()[DEV].action is Action.REFUSE
    # Lifting the lock and deleting in one go is two decisions: the first is to be applied first.
    assert World.applied(locked).declare("vaults: {}\n").changes()[DEV].action is Action.REFUSE


def test_a_premium_vault_with_hsm_keys_does_not_become_standard() -> None:
    text = STACK.replace("type: EC", "type: EC-HSM")
    plain = STACK.replace("premium", "standard").replace("    keys: {sign: {type: EC}}\n", "")
    assert World.applied(text).declare(plain).changes()[DEV].action is Action.REFUSE
    # A soft-deleted one counts too.
    assert World.applied(text).deleted(SIGN).declare(plain).changes()[DEV].action is Action.REFUSE
    assert World.applied(STACK).declare(plain).changes()[DEV].action is Action.UPDATE


# Access and time


@pytest.mark.parametrize("days", [-1, 0])
def test_access_that_has_ended_is_not_given(days: int) -> None:
    until = (NOW + timedelta(days=days)).isoformat()
    text = STACK.replace("Reader}", f"Reader, until: {until}}}")
    world = World.applied(text).gone(ACCESS)
    assert world.changes()[ACCESS].action is Action.REFUSE
    assert "would have ended before it began" in world.changes()[ACCESS].reasons[0]


def test_access_of_ours_that_has_ended_is_left_with_a_hint() -> None:
    until = (NOW - timedelta(days=1)).isoformat()
    made = World.applied(STACK.replace("Reader}", f"Reader, until: {until}}}")).plan()
    assert made.changes == ()
    (hint,) = made.diagnostics
    assert (hint.severity, hint.summary) == ("warning", "the assignment ended on 2026-05-31")


def test_access_that_ends_later_is_given() -> None:
    until = (NOW + timedelta(days=1)).isoformat()
    text = STACK.replace("Reader}", f"Reader, until: {until}}}")
    assert World.applied(text).gone(ACCESS).actions() == {ACCESS: "create"}


def test_access_to_a_vault_that_is_nowhere_is_refused() -> None:
    text = PEOPLE + "access: [{principal: api, role: Key Vault Reader, scope: vault/nowhere}]\n"
    world = World(text)
    (change,) = world.plan().changes
    assert change.action is Action.REFUSE
    assert change.reasons[0] == "there is no vault `nowhere`"


def test_access_for_another_principal_is_another_assignment() -> None:
    world = World.applied(STACK).declare(STACK.replace("principal: api", "principal: bob"))
    assert world.actions() == {"dev/access/bob/key-vault-reader": "create", ACCESS: "delete"}


def test_access_whose_name_keeps_and_whose_meaning_changes_is_replaced() -> None:
    # The same name of a principal, another id behind it: the address stays.
    other = API[:-1] + "9"
    world = World.applied(STACK).declare(STACK.replace(API + "}", other + "}"))
    change = world.changes()[ACCESS]
    assert change.action is Action.REPLACE
    assert change.reasons == ("it cannot be changed in place: the one there is taken away",)
    assert not change.irreversible


# Words


@pytest.mark.parametrize(
    ("happened", "address", "words"),
    [
        (lambda w: w.gone(SIGN), SIGN, "it was there at the last apply and is gone"),
        (lambda w: w.see(SIGN, owner=None), SIGN, "kvstack's tags on it are lost: they are written again"),
        (lambda w: w.see(DB, fingerprint="x", version="v2"), DB, "somebody set another value since the last apply"),
        (lambda w: w.deleted(SIGN), SIGN, "it is soft-deleted, and ours; its name is taken until 2026-07-01"),
        (lambda w: w.deleted(DEV), SIGN, "it comes back with its vault"),
        (lambda w: w.foreign(SIGN, "other"), SIGN, "a key of that name is there, and the stack `other`'s"),
        (lambda w: w.foreign(SIGN), SIGN, "a key of that name is there, and not this stack's"),
        (
            lambda w: w.foreign(SIGN).deleted(SIGN),
            SIGN,
            "a soft-deleted key that is not this stack's keeps the name until 2026-07-01",
        ),
        (lambda w: w.declare("vaults: {}\n"), DEV, "it is no longer declared"),
        (lambda w: w.declare("vaults: {}\n"), SIGN, "it goes with its vault"),
    ],
)
def test_a_change_says_why_it_happens(happened: Callable[[World], object], address: str, words: str) -> None:
    world = World.applied(STACK)
    happened(world)
    assert words in world.changes()[address].reasons


def test_a_refusal_names_the_command_that_adopts() -> None:
    change = World.applied(STACK).foreign(SIGN).changes()[SIGN]
    assert f"kvstack import {SIGN}" in change.reasons[1]


def test_deleting_a_vault_names_what_of_others_goes_with_it() -> None:
    world = World.applied(STACK).foreign(SIGN, "other")
    reasons = world.declare("vaults: {}\n").changes()[DEV].reasons
    assert any("it takes along what is not this stack's: key sign" in reason for reason in reasons)


# Pure


def test_a_plan_is_the_same_every_time_and_changes_nothing_it_was_given() -> None:
    world = World.applied(STACK).deleted(SIGN).change(DEV, sku="standard").gone(DB)
    before = (dict(world.things), dict(world.records), dict(world.desired.nodes))
    assert world.plan() == world.plan()
    assert before == (world.things, world.records, dict(world.desired.nodes))


def test_what_is_settled_at_a_glance_is_settled_in_full() -> None:
    # The short way for what does not change has to come to what the long way says.
    from kvstack.plan.plan import _Planning

    world = World.applied(STACK)
    planning = _Planning(world.desired, world.state(), _snapshot(world), NOW, {}, False)
    for address, node in world.desired.nodes.items():
        (decided,) = planning._decided(address, node, world.records[address], node.identity)
        assert decided.action is Action.NO_OP
    assert planning.diagnostics == []


def _snapshot(world: World) -> Snapshot:
    return Snapshot(world.things)


def test_lifecycle_alone_changes_no_vault() -> None:
    world = World.applied(STACK)
    text = STACK.replace("{type: EC}", "{type: EC, lifecycle: {prevent_destroy: true}}")
    made = world.declare(text).plan()
    assert made.changes == ()
    assert made.drift == ()
    assert world.node(SIGN).resource.lifecycle == Lifecycle(prevent_destroy=True)
    assert (
        msgspec.structs.replace(world.node(SIGN).resource, lifecycle=Lifecycle())
        == world.records[Address(SIGN)].resource
    )


def test_what_no_vault_knows_is_kept_up_in_the_state() -> None:
    # `purge_on_delete` counts when the thing is not declared any more: the state has to know it then.
    world = World.applied(STACK)
    asked = STACK.replace("{type: EC}", "{type: EC, lifecycle: {purge_on_delete: true}}")
    assert [change.address for change in world.declare(asked).plan().bookkeeping] == [SIGN]
    other = STACK.replace("{generate: {length: 20}}", "{command: [a]}")
    assert World.applied(STACK).declare(other).actions() == {DB: "rotate"}
