"""Variables: which value counts, what fits, and `${...}` everywhere a scalar may stand."""

from pathlib import Path
from typing import Any

import pytest

from kvstack.resources.secret import Secret
from kvstack.resources.vault import Vault
from kvstack.terms.address import Address
from tests.declare.stacks import ALICE, read, told

ZONE = """\
stack: s
variables: {zone: {default: default}}
environments: {e: {variables: {zone: environment}}, empty: {}}
vaults: {dev: {tags: {zone: "${var.zone}"}}}
"""


def vault(found: Any, address: str = "dev") -> Vault:
    resource = found.desired.nodes[Address(address)].resource
    assert isinstance(resource, Vault)
    return resource


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, "default"),
        ({"environment": "empty"}, "default"),
        ({"environment": "e"}, "environment"),
        ({"environment": "e", "environ": {"KVSTACK_VAR_zone": "process"}}, "process"),
        ({"environ": {"KVSTACK_VAR_ZONE": "capitals"}}, "capitals"),
        ({"environ": {"KVSTACK_VAR_ZONE": "capitals", "KVSTACK_VAR_zone": "process"}}, "process"),
        (
            {"environment": "e", "environ": {"KVSTACK_VAR_zone": "process"}, "variables": {"zone": "option"}},
            "option",
        ),
        ({"variables": {"zone": ""}}, ""),
    ],
)
def test_var_comes_before_the_process_before_the_environment_before_the_default(
    tmp_path: Path, options: dict[str, Any], value: str
) -> None:
    assert vault(read(tmp_path, ZONE, **options)).tags == {"zone": value}


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        ("{type: number}", "30", 30),
        ("{type: number}", "+30", 30),
        ("{type: number}", "-3", -3),
        ("{type: number}", "3.5", "the variable `x` is a number: it cannot be `3.5`"),
        ("{type: number}", "", "the variable `x` is a number: it cannot be ``"),
        ("{type: number}", "9" * 30, "the variable `x` is a number: it cannot be"),
        ("{type: number}", "٣", "the variable `x` is a number: it cannot be"),
        ("{type: bool}", "true", True),
        ("{type: bool}", "FALSE", False),
        ("{type: bool}", "yes", "the variable `x` is a bool: it cannot be `yes`"),
        ("{type: bool}", "1", "the variable `x` is a bool: it cannot be `1`"),
        ("{type: string}", "30", "30"),
        ("{}", "true", "true"),
        ("{allowed: [a, b]}", "a", "a"),
        ("{allowed: [a, b]}", "c", "the variable `x` cannot be `c`"),
        ("{type: number, allowed: [7, 90]}", "30", "the variable `x` cannot be `30`"),
        ("{}", None, "the variable `x` has no value"),
        ("{default: 3}", None, "the variable `x` is a string: it cannot be `3`"),
        ("{type: number, default: '3'}", None, "the variable `x` is a number: it cannot be `3`"),
        ("{type: number, default: true}", None, "the variable `x` is a number: it cannot be `True`"),
        ("{type: bool, default: 1}", None, "the variable `x` is a bool: it cannot be `1`"),
        ("{default: c, allowed: [a]}", None, "the variable `x` cannot be `c`"),
        ("{type: str}", "a", "`type` is `string`, `number` or `bool`, not `str`"),
        ("{defualt: a}", "a", "an entry of `variables` has no attribute `defualt`; did you mean `default`?"),
    ],
)
def test_a_value_has_the_type_that_is_declared_and_is_among_those_allowed(
    tmp_path: Path, declared: str, given: str | None, expected: Any
) -> None:
    text = f'stack: s\nvariables:\n  x: {declared}\nvaults: {{dev: {{tags: {{a: "-${{var.x}}"}}}}}}\n'
    options: dict[str, Any] = {} if given is None else {"variables": {"x": given}}
    if isinstance(expected, str) and "`" in expected:
        (found,) = told(tmp_path, text, **options)
        assert found.startswith("3:")
        assert expected in found
    else:
        written = str(expected).lower() if isinstance(expected, bool) else expected
        assert vault(read(tmp_path, text, **options)).tags == {"a": f"-{written}"}


def test_a_variable_nobody_declared_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    assert told(tmp_path, ZONE, variables={"zoone": "a"}) == [
        "nowhere `--var zoone=...`: there is no variable `zoone`; did you mean `zone`?"
    ]


def test_an_environment_nobody_declared_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    assert told(tmp_path, ZONE, environment="emtpy") == [
        "nowhere there is no environment `emtpy`; did you mean `empty`?"
    ]
    assert told(tmp_path, "stack: s\n", environment="e") == ["nowhere there is no environment `e`"]


def test_what_every_environment_says_is_checked_whichever_is_chosen(tmp_path: Path) -> None:
    text = """\
stack: s
variables: {zone: {default: a, allowed: [a, b]}, days: {type: number, default: 7}}
environments:
  e: {variables: {zone: c, days: many, zoone: a}}
  f: {variables: {zone: b}}
"""
    for environment in (None, "f"):
        assert told(tmp_path, text, environment=environment) == [
            "4:25 the variable `zone` cannot be `c`",
            "4:34 the variable `days` is a number: it cannot be `many`",
            "4:40 there is no variable `zoone`; did you mean `zone`?",
        ]


def test_an_environment_brings_its_own_backend_and_owner(tmp_path: Path) -> None:
    text = "stack: s\nenvironments: {prod: {backend: {type: azure}}}\n"
    assert read(tmp_path, text).backend.type == "embedded"
    found = read(tmp_path, text, environment="prod")
    assert found.backend.type == "azure"
    assert (found.desired.environment, found.desired.owner) == ("prod", "s/prod")


def test_references_work_in_every_scalar_and_in_a_vaults_key(tmp_path: Path) -> None:
    text = f"""\
stack: s
variables:
  env: {{default: dev}}
  days: {{type: number, default: 30}}
  protect: {{type: bool, default: true}}
  oid: {{default: {ALICE.upper()}}}
  role: {{default: Key Vault Reader}}
  key: {{default: signing}}
  variable: {{default: DB}}
  length: {{type: number, default: 64}}
  until: {{default: "2027-01-31T00:00:00Z"}}
principals: {{alice: {{type: user, id: "${{var.oid}}"}}}}
backend: {{type: "embedded", location: "${{var.env}}"}}
state: {{path: "state-${{var.env}}"}}
defaults: {{key: {{tags: {{env: "${{var.env}}"}}}}}}
access:
  - {{principal: "${{principals.alice.id}}", principal_type: user, role: "${{var.role}}",
     scope: "vault/pay-${{var.env}}"}}
vaults:
  pay-${{var.env}}:
    soft_delete_retention_days: ${{var.days}}
    purge_protection: ${{var.protect}}
    tags: {{"a${{b": "$${{var.env}} is ${{var.env}}, ${{var.days}} days, ${{var.protect}}"}}
    access:
      - {{principal: alice, role: "${{var.role}}", scope: "keys/${{var.key}}", until: "${{var.until}}"}}
    keys: {{signing: {{type: EC}}}}
    secrets:
      db: {{value_from: {{env: "${{var.variable}}_PASSWORD"}}, lifecycle: {{prevent_destroy: "${{var.protect}}"}}}}
      made: {{value_from: {{generate: {{length: "${{var.length}}"}}}}}}
moved: [{{from: "old-${{var.env}}", to: "pay-${{var.env}}"}}]
"""
    found = read(tmp_path, text)
    nodes = found.desired.nodes
    pay = vault(found, "pay-dev")
    assert (pay.name, pay.soft_delete_retention_days, pay.purge_protection) == ("pay-dev", 30, True)
    assert pay.tags == {"a${b": "${var.env} is dev, 30 days, true"}
    assert found.state_path == "state-dev"
    assert found.desired.moves[0].source == "old-dev"
    db, made = nodes[Address("pay-dev/secrets/db")].resource, nodes[Address("pay-dev/secrets/made")].resource
    assert isinstance(db, Secret)
    assert isinstance(made, Secret)
    assert db.value_from is not None
    assert db.value_from.env == "DB_PASSWORD"
    assert db.lifecycle.prevent_destroy
    assert made.value_from is not None
    assert made.value_from.generate is not None
    assert made.value_from.generate.length == 64
    assert nodes[Address("pay-dev/keys/signing")].resource.tags == {"env": "dev"}  # type: ignore[attr-defined]
    assert "pay-dev/access/alice/key-vault-reader/keys/signing" in nodes
    assert any(address.startswith("access/") for address in nodes)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${var.y}", "there is no variable `y`"),
        ("${var.zon}", "there is no variable `zon`; did you mean `zone`?"),
        ("${principals.a.id}", "there is no principal `a`"),
        ("${vars.zone}", "`${vars.zone}` is no reference"),
        ("${var.zone.x}", "`${var.zone.x}` is no reference"),
        ("${}", "what begins with `${` here is no reference"),
        ("a ${ b", "what begins with `${` here is no reference"),
        ("${hunter2}", "what begins with `${` here is no reference"),
    ],
)
def test_a_reference_to_nothing_is_told_where_it_stands(tmp_path: Path, written: str, expected: str) -> None:
    text = f'stack: s\nvariables: {{zone: {{default: a}}}}\nvaults: {{dev: {{tags: {{a: "{written}"}}}}}}\n'
    assert told(tmp_path, text) == [f"3:26 {expected}"]


def test_a_reference_in_a_vaults_key_is_told_at_the_key(tmp_path: Path) -> None:
    assert told(tmp_path, "stack: s\nvaults:\n  a${var.y}: {}\n")[0] == "3:3 there is no variable `y`"


def test_a_value_is_checked_again_once_its_variables_are_known(tmp_path: Path) -> None:
    text = (
        "stack: s\nvariables: {d: {type: number}, s: {}}\n"
        "vaults:\n  v-${var.s}:\n    soft_delete_retention_days: ${var.d}\n"
    )
    assert told(tmp_path, text, variables={"d": "30", "s": "x"}) == []
    assert told(tmp_path, text, variables={"d": "5", "s": "x"}) == [
        "5:33 `soft_delete_retention_days` is 7 to 90, not 5"
    ]
    assert told(tmp_path, text, variables={"d": "30", "s": "_"})[0].startswith("4:3 `v-_` cannot name a vault")


def test_two_keys_that_come_to_one_name_are_told(tmp_path: Path) -> None:
    text = "stack: s\nvariables: {a: {default: dev}}\nvaults:\n  dev: {}\n  ${var.a}: {}\n"
    assert told(tmp_path, text) == ["5:3 `${var.a}` and `dev` are both `dev`"]


def test_what_refers_to_a_wrong_variable_or_principal_is_not_told_too(tmp_path: Path) -> None:
    text = """\
stack: s
variables: {a: {type: str}}
principals: {p: {type: user, id: x}}
environments: {e: {variables: {a: b}}}
vaults: {dev: {tags: {a: "${var.a}", b: "${principals.p.id}"}}}
"""
    assert [found.split(" ")[0] for found in told(tmp_path, text)] == ["2:23", "3:34"]


def test_bytes_that_are_no_text_are_refused_where_a_value_needs_text(tmp_path: Path) -> None:
    # What the system hands over for bytes that are not UTF-8.
    assert told(tmp_path, ZONE, variables={"zone": "\udcff"}) == ["2:19 the variable `zone` is no UTF-8 text"]
