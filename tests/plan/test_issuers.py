"""Issuers and contacts planned: whose they are stands in the state alone; what they need comes first."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstack.backends.protocol import Unread
from kvstack.plan.change import Plan
from kvstack.state.state import Intend
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import InvalidInput
from tests.declare.stacks import write
from tests.plan.test_plan import runs_to_its_end
from tests.plan.world import World, actions, desired

STACK = """\
vaults:
  app:
    contacts: [{email: b@example.com}, {email: a@example.com, name: Ann}]
    issuers:
      corp: {authority: trust/certificates/root, name: Corp-CA}
      digicert: {provider: DigiCert, account_id: "7"}
    certificates:
      web: {subject: CN=web.example.com, dns_names: [web.example.com], issuer: corp}
  trust:
    name: trust-vault
    certificates:
      root: {subject: CN=Root, key: {type: EC}, validity_months: 60, authority: {permitted: [example.com]}}
"""
WEB, ROOT, CORP, DIGICERT = (
    "app/certificates/web",
    "trust/certificates/root",
    "app/issuers/corp",
    "app/issuers/digicert",
)
CONTACTS = "app/contacts"


def waits(made: Plan, address: str) -> set[str]:
    return {needed for change in made.changes if change.address == address for needed in change.depends_on}


def intended(world: World, address: str) -> None:
    """A run was about to make it, and ended before it recorded anything."""
    node = world.node(address)
    world.records.pop(node.address, None)
    world.intents[node.address] = Intend(node.address, node.resource.kind, node.resource, None, node.vault)


def test_what_was_applied_needs_nothing() -> None:
    made = World.applied(STACK).plan()
    assert made.empty
    assert made.drift == ()


def test_an_authority_comes_before_its_issuer_and_that_before_what_it_issues() -> None:
    made = World(STACK).plan()
    assert waits(made, WEB) == {"app", CORP}
    assert waits(made, CORP) == {"app", ROOT}
    assert waits(made, DIGICERT) == waits(made, CONTACTS) == {"app"}


def test_they_end_in_the_other_order() -> None:
    made = World.applied(STACK).declare("vaults: {app: {}, trust: {name: trust-vault}}").plan()
    assert actions(made) == dict.fromkeys((WEB, ROOT, CORP, DIGICERT, CONTACTS), "delete")
    assert waits(made, CORP) == {WEB}
    assert waits(made, ROOT) == {CORP}


def test_a_target_brings_all_that_it_needs() -> None:
    made = World(STACK).plan(targets=(Address(WEB),))
    assert set(actions(made)) == {WEB, CORP, ROOT, "app", "trust"}


def test_an_issuer_is_named_by_its_key_and_kept_by_its_real_name() -> None:
    for written in ("corp", "Corp-CA"):
        nodes = desired(STACK.replace("issuer: corp", f"issuer: {written}")).nodes
        assert nodes[Address(WEB)].resource.issuer == "Corp-CA"  # type: ignore[attr-defined]
        assert nodes[Address(CORP)].resource.authority == "trust-vault/certificates/root"  # type: ignore[attr-defined]


@pytest.mark.parametrize("address", [CORP, CONTACTS])
def test_somebody_elses_is_refused_with_the_command_that_takes_it_over(address: str) -> None:
    world = World.applied(STACK).foreign(address)
    (change,) = world.plan().changes
    assert (change.address, change.action) == (address, Action.REFUSE)
    assert "of that name is there, and not this stack's" in change.reasons[0]
    assert f"kvstack import {address}" in change.reasons[1]
    imported = msgspec.structs.replace(world.desired, imports=frozenset({Address(address)}))
    world.desired = imported
    assert world.actions() == {address: "import"}


@pytest.mark.parametrize("address", [CORP, CONTACTS])
def test_what_was_made_just_before_a_crash_is_ours(address: str) -> None:
    world = World.applied(STACK)
    intended(world, address)
    made = world.plan()
    assert made.empty
    assert [change.address for change in made.bookkeeping] == [address]
    # Declared otherwise by now, it is changed; no longer declared, it ends.
    other = STACK.replace("root, name", "root, enabled: false, name").replace("{email: b@example.com}, ", "")
    assert world.declare(other).actions()[address] == "update"
    change = world.declare("vaults: {app: {}}").changes()[address]
    assert (change.action, change.reasons) == (
        Action.DELETE,
        ("it was made by a run that ended early and is neither declared nor recorded",),
    )


@pytest.mark.parametrize(
    ("address", "changes"), [(CORP, {"enabled": False}), (CORP, {"name": "CORP-CB"}), (CONTACTS, {"people": ()})]
)
def test_what_is_not_as_a_crashed_run_was_about_to_make_it_is_somebody_elses(
    address: str, changes: dict[str, Any]
) -> None:
    world = World.applied(STACK)
    world.change(address, **changes)
    intended(world, address)
    assert world.actions() == {address: "refuse"}


def test_what_a_crashed_run_did_not_come_to_is_made() -> None:
    world = World.applied(STACK).gone(CORP)
    intended(world, CORP)
    assert world.actions() == {CORP: "create"}


@pytest.mark.parametrize(
    ("address", "changes", "path"),
    [
        (CORP, {"enabled": False}, "enabled"),
        (CORP, {"authority": "else/certificates/root"}, "authority"),
        (DIGICERT, {"account_id": "8"}, "account_id"),
        (CONTACTS, {"people": ()}, "people"),
    ],
)
def test_what_others_change_is_drift_and_brought_back(address: str, changes: dict[str, Any], path: str) -> None:
    made = World.applied(STACK).change(address, **changes).plan()
    assert [(drifted.address, [one.path for one in drifted.attributes]) for drifted in made.drift] == [
        (address, [path])
    ]
    assert actions(made) == {address: "update"}


@pytest.mark.parametrize("address", [CORP, CONTACTS])
def test_what_others_take_away_is_made_again(address: str) -> None:
    made = World.applied(STACK).gone(address).plan()
    assert [(drifted.address, drifted.what) for drifted in made.drift] == [(address, "gone")]
    assert actions(made) == {address: "create"}


def test_the_order_of_contacts_says_nothing() -> None:
    ann, bob = "{email: a@example.com, name: Ann}", "{email: b@example.com}"
    assert World.applied(STACK).declare(STACK.replace(f"{bob}, {ann}", f"{ann}, {bob}")).plan().empty


def test_one_contact_more_is_a_change_of_the_list() -> None:
    made = World.applied(STACK).declare(STACK.replace("[{email: b", "[{email: c@example.com}, {email: b")).plan()
    (change,) = made.changes
    assert (change.address, change.action) == (CONTACTS, Action.UPDATE)
    assert change.attributes[0].after[-1] == {"email": "c@example.com"}


@pytest.mark.parametrize("line", ["", "contacts: []"])
def test_without_a_line_or_with_an_empty_one_nobody_declares_who_is_told(line: str) -> None:
    world = World.applied(STACK)
    bare = STACK.replace("contacts: [{email: b@example.com}, {email: a@example.com, name: Ann}]", line)
    assert world.declare(bare).actions() == {CONTACTS: "delete"}
    world.forgotten(CONTACTS)
    assert world.plan().empty


@pytest.mark.parametrize(("unread", "address"), [("vaults/app/contacts", CONTACTS), ("vaults/app/issuers/", CORP)])
def test_what_may_not_be_read_is_neither_changed_nor_as_declared(unread: str, address: str) -> None:
    world = World.applied(STACK)
    for key in [key for key in world.things if key.startswith(unread)]:
        del world.things[key]
    world.unread.append(Unread(unread, "you may not"))
    made = world.plan()
    assert (made.changes, made.drift, made.complete) == ((), (), False)
    assert (address, "you may not") in [(thing.address, thing.reason) for thing in made.unread]


def test_an_issuer_nobody_has_is_told_before_anything_is_touched() -> None:
    world = World("vaults: {app: {certificates: {web: {subject: CN=x, issuer: other}}}}")
    (change,) = (change for change in world.plan().changes if change.address == WEB)
    assert (change.action, change.reasons[0]) == (Action.REFUSE, "there is no issuer `other` in vault `app`")
    world.unread.append(Unread("vaults/app/issuers/", "you may not"))
    assert world.actions()[WEB] == "create"  # it may well be there


def test_an_issuer_somebody_else_made_is_enough() -> None:
    world = World.applied(STACK).foreign(CORP).gone(WEB).forgotten(WEB)
    lines = [line for line in STACK.splitlines(keepends=True) if "corp: {" not in line]
    world.declare("".join(lines).replace("issuer: corp", "issuer: corp-ca"))
    assert world.actions() == {WEB: "create"}


def test_an_issuer_needs_its_authority_new_or_changed() -> None:
    other = STACK.replace("authority: trust/certificates/root", "authority: else/certificates/root")
    changed = World.applied(STACK).declare(other).changes()[CORP]
    assert (changed.action, changed.reasons[0]) == (Action.REFUSE, "there is no certificate `root` in vault `else`")
    assert World(other).actions()[CORP] == "refuse"
    # What was applied once, and does not change what it needs, goes on.
    world = World.applied(other).declare(other.replace("name: Corp-CA}", "name: Corp-CA, enabled: false}"))
    assert world.actions() == {CORP: "update"}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("{email: b@example.com}", "{email: A@example.com}", "4:48: `a@example.com` is in the list already"),
        ("{email: b@example.com}", "{email: nobody}", "4:24: `nobody` is no e-mail address"),
        ("{email: b@example.com}", "{name: Bob}", "email"),
        ("{email: b@example.com}", "{email: b@example.com, mail: x}", "mail"),
        ("provider: DigiCert", "provider: kvstack", "is for an authority in a vault"),
        ("authority: trust/certificates/root,", "", "is for an authority in a vault"),
        ("authority: trust/certificates/root", "authority: trust/keys/root", "is no authority"),
        ("authority: {permitted: [example.com]}", "enabled: true", "`root` is no certificate authority"),
        ("name: Corp-CA", "name: Self", "means something else already"),
        ("digicert:", "Corp-CA:", "are one and the same thing"),
        ("web.example.com]", "web.example.org]", "web.example.org"),
        ("root: {subject: CN=Root", "root: {issuer: app/issuers/corp, subject: CN=Root", "is no issuer"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(before: str, after: str, said: str) -> None:
    assert before in STACK
    with pytest.raises(InvalidInput) as caught:
        desired(STACK.replace(before, after))
    told = [f"{one.place.line}:{one.place.column}: {one.summary}" for one in caught.value.diagnostics if one.place]
    assert any(said in line for line in told), told


def test_an_issuer_cannot_be_what_its_own_authority_needs() -> None:
    text = """\
vaults:
  app:
    issuers: {corp: {authority: app/certificates/ca}}
    certificates: {ca: {subject: CN=ca, issuer: corp, authority: {}}}
"""
    with pytest.raises(InvalidInput) as caught:
        desired(text)
    words = [one.summary for one in caught.value.diagnostics]
    assert any(word.startswith("an issuer cannot be needed for itself: vaults/app/issuers/corp -> ") for word in words)


def test_what_ends_with_its_vault_ends_by_itself_before_it() -> None:
    # A vault that is recovered later would bring them back as nobody's.
    made = World.applied(STACK).plan(destroy=True)
    ends = {change.address: change for change in made.changes}
    assert {address: change.with_vault for address, change in ends.items() if address.startswith("app/")} == {
        WEB: True,
        CORP: False,
        DIGICERT: False,
        CONTACTS: False,
    }
    assert {CORP, DIGICERT, CONTACTS} <= waits(made, "app")
    assert ends[Address(CORP)].reasons == ("it goes with its vault",)


def test_what_somebody_deleted_with_its_vault_comes_back_with_it() -> None:
    found = World.applied(STACK).deleted("app").actions()
    assert (found[CORP], found[CONTACTS], found["app"]) == ("recover", "recover", "recover")


def test_a_disabled_issuer_stops_what_it_would_issue_and_leaves_what_it_has_issued() -> None:
    disabled = STACK.replace("Corp-CA}", "Corp-CA, enabled: false}")
    assert World.applied(STACK).declare(disabled).actions() == {CORP: "update"}
    renewed = World.applied(STACK).declare(disabled.replace("CN=web", "CN=www")).changes()[Address(WEB)]
    for change in (renewed, World(disabled).changes()[Address(WEB)]):
        assert (change.action, change.reasons[0]) == (Action.REFUSE, "the issuer `Corp-CA` is disabled")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"authority": None}, "`root` is no certificate authority"),
        ({"enabled": False}, "the certificate authority `root` is disabled"),
    ],
)
def test_an_authority_of_somebody_else_is_looked_at_as_it_is(changes: dict[str, Any], said: str) -> None:
    world = World.applied(STACK).change(ROOT, **changes).foreign(ROOT)
    world.declare("vaults: {app: {certificates: {new: {subject: CN=new, issuer: trust-vault/certificates/root}}}}")
    assert world.changes()["app/certificates/new"].reasons[0] == said


@pytest.mark.parametrize(
    ("issuer", "said"),
    [
        ("corp", "the issuer `Corp-CA` is disabled"),
        ("digicert", "`digicert` is `DigiCert`, which no embedded vault can ask"),
    ],
)
def test_an_issuer_that_will_not_issue_is_worth_a_word(tmp_path: Path, issuer: str, said: str) -> None:
    from kvstack.declare.declaration import declaration

    text = STACK.replace("Corp-CA}", "Corp-CA, enabled: false}").replace("issuer: corp", f"issuer: {issuer}")
    found = declaration(write(tmp_path, "stack: s\n" + text)).warnings
    assert [one.summary for one in found if "ahead of Azure" not in one.summary] == [
        next(one.summary for one in found if said in one.summary)
    ]


def test_an_issuer_that_ends_before_its_vault_waits_for_none_of_the_certificates_that_go_with_it() -> None:
    text = (
        "vaults:\n  alpha: {certificates: {ca: {subject: CN=ca, validity_months: 60, authority: {path_length: 0}}}}\n"
        "  beta:\n    issuers: {corp: {authority: alpha/certificates/ca}}\n"
        "    certificates: {web: {subject: CN=x, issuer: corp}}\n"
    )
    assert runs_to_its_end(World.applied(text).plan(destroy=True))
