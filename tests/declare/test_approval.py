"""Who approves changes of a vault, and which: by name, and by rules that make sense."""

from pathlib import Path

import pytest

from kvstack.declare.declaration import Declaration, declaration
from kvstack.resources.vault import Approval, Vault
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import InvalidInput

ALICE, CREW, API = (f"6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a1{digit}" for digit in "123")


def declared(folder: Path, rule: str) -> Declaration:
    (folder / "kvstack.yaml").write_text(
        "stack: s\nvariables: {who: {default: crew}}\nprincipals:\n"
        f"  alice: {{type: user, id: {ALICE}}}\n  crew: {{type: group, id: {CREW}, members: [alice]}}\n"
        f"  api: {{type: service_principal, id: {API}}}\nvaults:\n  dev:\n    approval: {rule}\n"
    )
    return declaration(folder)


@pytest.mark.parametrize(
    ("rule", "by", "operations"),
    [
        ("{by: [alice], for: [delete]}", {ALICE}, {"delete"}),
        ("{by: [alice, crew]}", {ALICE, CREW}, {"access", "delete", "purge"}),
        (f"{{by: [{ALICE.upper()}], for: [purge, access]}}", {ALICE}, {"purge", "access"}),
        ('{by: ["${var.who}"], for: [delete]}', {CREW}, {"delete"}),
    ],
)
def test_approvers_are_named_or_given_by_id(tmp_path: Path, rule: str, by: set[str], operations: set[str]) -> None:
    vault = declared(tmp_path, rule).desired.nodes[Address("dev")].resource
    assert isinstance(vault, Vault)
    assert vault.approval == Approval(by=frozenset(by), operations=frozenset(operations))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{by: [alise]}", "there is no principal `alise`; did you mean `alice`?"),
        ("{by: []}", "by"),
        ("{for: [delete]}", "by"),
        ("{by: [alice], for: []}", "for"),
        ("{by: [alice], for: [rotate]}", "rotate"),
        ("{by: [alice], fro: [delete]}", "fro"),
    ],
)
def test_a_rule_that_makes_no_sense_is_told_where_it_stands(tmp_path: Path, rule: str, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        declared(tmp_path, rule)
    (wrong,) = raised.value.diagnostics
    assert words in f"{wrong.summary} {wrong.detail}"
    assert wrong.place is not None
    assert wrong.place.line == 9


def test_a_program_that_approves_is_warned_of(tmp_path: Path) -> None:
    (warning,) = declared(tmp_path, "{by: [api]}").warnings
    assert "`api` is a program" in warning.summary
