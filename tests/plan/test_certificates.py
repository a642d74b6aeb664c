"""Certificates planned: authorities come first, a request somebody has to sign is no change, a renewal no drift."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstack.plan.change import Plan
from kvstack.resources.certificate import Certificate
from kvstack.schema.obstacle import Hint
from kvstack.terms.action import Action
from kvstack.terms.diagnostic import KvstackError
from tests.declare.stacks import write
from tests.plan.world import World, actions, desired

STACK = """\
vaults:
  app:
    certificates:
      web: {subject: "CN=web.example.com, O=Example", dns_names: [web.example.com], issuer: trust/certificates/root}
      own: {subject: CN=own}
  trust:
    name: trust-vault
    certificates:
      root: {subject: CN=Root, key: {type: EC}, validity_months: 60, authority: {path_length: 0}}
"""
WEB, ROOT = "app/certificates/web", "trust/certificates/root"


def waits(made: Plan, address: str) -> set[str]:
    return {needed for change in made.changes if change.address == address for needed in change.depends_on}


def test_an_authority_in_another_vault_comes_before_what_it_issues() -> None:
    made = World(STACK).plan()
    assert waits(made, WEB) == {"app", ROOT}
    assert waits(made, ROOT) == {"trust"}
    assert waits(made, "app/certificates/own") == {"app"}


def test_an_authority_is_named_by_its_address_and_kept_by_its_real_name() -> None:
    nodes = desired(STACK).nodes
    assert {
        address: node.resource.issuer for address, node in nodes.items() if isinstance(node.resource, Certificate)
    } == {
        WEB: "trust-vault/certificates/root",
        "app/certificates/own": "Self",
        ROOT: "Self",
    }


def test_an_authority_of_nobody_is_told_before_anything_is_touched() -> None:
    made = World("vaults: {app: {certificates: {web: {subject: CN=x, issuer: else/certificates/root}}}}").plan()
    assert actions(made)[WEB] == Action.REFUSE.value
    (change,) = (change for change in made.changes if change.address == WEB)
    assert change.reasons[0] == "there is no certificate `root` in vault `else`"


def test_a_new_version_needs_its_authority_too() -> None:
    world = World.applied("vaults: {app: {certificates: {web: {subject: CN=x}}}}")
    world.declare("vaults: {app: {certificates: {web: {subject: CN=x, issuer: else/certificates/root}}}}")
    assert actions(world.plan()) == {WEB: Action.REFUSE.value}


def test_an_authority_of_somebody_else_is_enough() -> None:
    world = World.applied(STACK)
    del world.things[world.identity(WEB)]
    del world.records[world.node(WEB).address]
    world.declare(STACK.replace("trust/certificates", "trust-vault/certificates"))
    assert actions(world.plan()) == {WEB: "create"}


def test_what_was_applied_needs_nothing() -> None:
    assert World.applied(STACK).plan().empty


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ("issuer: Unknown", "rotate"),
        ("validity_months: 24", "rotate"),
        ("key: {type: EC}", "rotate"),
        ("content_type: application/x-pem-file", "rotate"),
        ("dns_names: [a.example.com]", "rotate"),
        ("renew: {days_before_expiry: 20}", "update"),
        ("notify: {lifetime_percentage: 20}", "update"),
        ("enabled: false", "update"),
        ("tags: {a: b}", "update"),
        ("subject: 'CN = own'", None),
        ("extended_key_usage: [1.3.6.1.5.5.7.3.1, clientAuth]", None),
        ("key: {size: 2048, exportable: true}", None),
        ("key_usage: [keyEncipherment, digitalSignature]", None),
    ],
)
def test_what_makes_a_new_version_and_what_does_not(change: str, action: str | None) -> None:
    world = World.applied(STACK)
    own = "{subject: CN=own}"
    wanted = "{" + change + "}" if change.startswith("subject") else "{subject: CN=own, " + change + "}"
    world.declare(STACK.replace(own, wanted))
    assert actions(world.plan()) == ({"app/certificates/own": action} if action else {})


def test_a_renewal_is_nobodys_drift() -> None:
    world = World.applied(STACK)
    identity = world.identity(WEB)
    world.things[identity] = msgspec.structs.replace(world.things[identity], version="f" * 32)
    made = world.plan()
    assert made.empty
    assert made.drift == ()


def test_a_pending_request_is_told_and_is_no_change() -> None:
    world = World.applied(STACK)
    identity = world.identity(WEB)
    waiting = Hint("it waits for somebody to sign its request", "Have it signed.")
    world.things[identity] = msgspec.structs.replace(world.things[identity], hints=(waiting,))
    made = world.plan()
    assert made.empty
    assert [(told.severity, told.summary, told.address) for told in made.diagnostics] == [
        ("warning", waiting.summary, WEB)
    ]


@pytest.mark.parametrize(
    ("certificates", "words"),
    [
        ("web: {subject: nonsense}", "no part of a subject"),
        ("web: {}", "needs a subject"),
        ("web: {subject: CN=x, key: {type: oct}}", "oct"),
        ("web: {subject: CN=x, key: {type: EC-HSM}}", "needs a premium vault"),
        ("web: {subject: CN=x, dns_names: [a b]}", "no DNS name"),
        ("web: {subject: CN=x, renew: {days_before_expiry: 1, lifetime_percentage: 2}}", "one of them"),
        ("web: {subject: CN=x, renew: {days_before_expiry: 9999}}", "1-324 days"),
        ("web: {subject: CN=x, issuer: Unknown, renew: {days_before_expiry: 9}}", "use `notify`"),
        ("web: {subject: CN=x, issuer: app/certificates/web}", "cannot be needed for itself"),
        (
            "web: {subject: CN=x, issuer: app/certificates/b}, b: {subject: CN=y, issuer: app/certificates/web}",
            "cannot be needed for itself",
        ),
        ("web: {subject: CN=x, issuer: app/certificates/b}, b: {subject: CN=y}", "is no certificate authority"),
        ("web: {subject: CN=x, issuer: app/certificates/ca}, ca: {subject: CN=y, authority: {}}", "end before it does"),
        (
            "web: {subject: CN=evil.org, issuer: app/certificates/ca}, "
            "ca: {subject: CN=y, validity_months: 60, authority: {permitted: [example.com]}}",
            "may not issue for `evil.org`",
        ),
        (
            "web: {subject: CN=x, authority: {}, issuer: app/certificates/ca}, "
            "ca: {subject: CN=y, validity_months: 60, authority: {path_length: 0}}",
            "no authority may stand below `ca`",
        ),
        ("web: {subjekt: CN=x}", "did you mean `subject`"),
        ("web: {subject: CN=x, content_type: text/plain}", "text/plain"),
    ],
)
def test_everything_a_vault_would_refuse_is_told_where_it_stands(tmp_path: Path, certificates: str, words: str) -> None:
    from kvstack.declare.declaration import declaration

    write(tmp_path, f"stack: s\nvaults:\n  app:\n    certificates: {{{certificates}}}\n")
    with pytest.raises(KvstackError) as refused:
        declaration(tmp_path)
    found: list[Any] = [one for one in refused.value.diagnostics if words in one.summary]
    assert found, str(refused.value)
    assert found[0].place is not None
    assert found[0].place.line == 4


def test_a_key_or_secret_of_a_certificates_name_is_told(tmp_path: Path) -> None:
    from kvstack.declare.declaration import declaration

    write(
        tmp_path,
        "stack: s\nvaults:\n  app:\n    keys: {Web: {type: EC}}\n    secrets: {other: {name: WEB}}\n"
        "    certificates: {web: {subject: CN=x}}\n",
    )
    with pytest.raises(KvstackError) as refused:
        declaration(tmp_path)
    assert {one.summary for one in refused.value.diagnostics} == {
        "`app/keys/Web` has the name of this certificate's own key",
        "`app/secrets/other` has the name of this certificate's own secret",
    }
