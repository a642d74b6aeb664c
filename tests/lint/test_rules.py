"""Rules of the stack's own: data that is held against what it declares, never code."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kvstack.apply.linted import linted
from kvstack.declare.declaration import declaration
from kvstack.terms.diagnostic import InvalidInput

NOW = datetime(2026, 11, 1, tzinfo=UTC)
STACK = """stack: s
environments: {prod: {production: true}}
vaults:
  pay-prod:
    network: {default_action: deny, ip_rules: [203.0.113.0/24, 198.51.100.7]}
    purge_protection: true
    sku: premium
    keys:
      old: {type: RSA, size: 2048, rotation: {every: P90D}, operations: [sign, verify], tags: {team: pay}}
      new: {type: EC-HSM, enabled: false, expires: 2027-06-01T00:00:00Z}
"""


def told(tmp_path: Path, rule: str, environment: str | None = None) -> list[str]:
    (tmp_path / "kvstack.yaml").write_text(STACK + f"rules:\n  - {{id: R-1, says: No., {rule}}}\n")
    found = linted(declaration(tmp_path, environment=environment), now=NOW)
    return [f"{one.severity} {one.address}: {one.summary.removeprefix('No: ')}" for one in found if one.code == "R-1"]


OLD, NEW, VAULT = "error pay-prod/keys/old: ", "error pay-prod/keys/new: ", "error pay-prod: "


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("kind: key, require: {type: {equals: EC-HSM}}", [OLD + "`type` is `RSA`, not `EC-HSM`"]),
        ("kind: key, require: {type: {one_of: [EC-HSM, oct]}}", [OLD + "`type` is `RSA`, not `EC-HSM` or `oct`"]),
        ("kind: key, require: {type: {none_of: [RSA]}}", [OLD + "`type` is `RSA`"]),
        ("kind: key, require: {type: {like: '*-HSM'}}", [OLD + "`type` is `RSA`, not like `*-HSM`"]),
        (
            "kind: key, where: {type: {equals: RSA}}, require: {size: {at_least: 3072}}",
            [OLD + "`size` is `2048`, less than `3072`"],
        ),
        ("kind: key, where: {type: {equals: RSA}}, require: {size: {at_least: 2048, at_most: 2048}}", []),
        (
            "kind: key, at: '*/old', require: {rotation.every: {at_most: P2M}}",
            [OLD + "`rotation.every` is `P90D`, more than `P2M`"],
        ),
        ("kind: key, at: '*/old', require: {rotation.every: {at_most: P3M}}", []),
        ("kind: key, require: {rotation: {present: true}}", [NEW + "`rotation` is not there"]),
        ("kind: key, require: {expires: {present: false}}", [NEW + "`expires` is there"]),
        (
            "kind: key, at: '*/new', require: {expires: {at_most: '2027-01-01'}}",
            [NEW + "`expires` is `2027-06-01T00:00:00Z`, more than `2027-01-01`"],
        ),
        ("kind: key, require: {enabled: {equals: true}}", [NEW + "`enabled` is `false`, not `true`"]),
        (
            "kind: key, at: '*/new', require: {enabled: {equals: 'false'}}",
            [NEW + "`enabled` is `false`, not the text `false`"],
        ),
        (
            "kind: key, at: '*/old', require: {operations: {one_of: [sign]}}",
            [OLD + "`operations` is `verify`, not `sign`"],
        ),
        ("kind: key, at: '*/old', require: {operations: {one_of: [sign, verify]}}", []),
        ("kind: key, require: {tags.team: {equals: pay}}", [NEW + "`tags.team` is not there"]),
        (
            "kind: vault, require: {network.ip_rules: {none_of: [198.51.100.7/32]}}",
            [VAULT + "`network.ip_rules` is `198.51.100.7/32`"],
        ),
        ("kind: vault, at: '*-dev', require: {sku: {equals: standard}}", []),
        ("kind: vault, production: true, require: {sku: {equals: standard}}", []),
        (
            "kind: vault, production: false, require: {sku: {equals: standard}}",
            [VAULT + "`sku` is `premium`, not `standard`"],
        ),
        ("kind: secret, require: {content_type: {present: true}}", []),
        (
            "kind: vault, severity: warning, "
            "require: {sku: {equals: standard}, soft_delete_retention_days: {at_most: 30}}",
            [
                "warning pay-prod: `sku` is `premium`, not `standard`; "
                "`soft_delete_retention_days` is `90`, more than `30`"
            ],
        ),
    ],
)
def test_a_rule_tells_what_breaks_it_and_how(tmp_path: Path, rule: str, expected: list[str]) -> None:
    assert told(tmp_path, rule) == expected


def test_a_rule_for_production_holds_there_only(tmp_path: Path) -> None:
    rule = "kind: vault, production: true, require: {sku: {equals: standard}}"

    assert told(tmp_path, rule, "prod") == [VAULT + "`sku` is `premium`, not `standard`"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("[{id: KV001, says: x, kind: key, require: {}}]", "11:14 `id` cannot be `KV001`"),
        ("[{id: A-1, says: x, kind: kez, require: {}}]", "`kez`; did you mean `key`?"),
        (
            "[{id: A-1, says: x, kind: key, require: {siez: {equals: 1}}}]",
            "a key has no attribute `siez`; did you mean `size`?",
        ),
        ("[{id: A-1, says: x, kind: key, where: {siez: {equals: 1}}, require: {}}]", "a key has no attribute `siez`"),
        (
            "[{id: A-1, says: x, kind: key, require: {size: {equal: 1}}}]",
            "has no attribute `equal`; did you mean `equals`?",
        ),
        (
            "[{id: A-1, says: x, kind: key, require: {}}, {id: A-1, says: y, kind: key, require: {}}]",
            "there is another rule `A-1`",
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_told_where_it_stands(tmp_path: Path, rules: str, expected: str) -> None:
    (tmp_path / "kvstack.yaml").write_text(STACK + f"rules: {rules}\n")

    with pytest.raises(InvalidInput) as wrong:
        declaration(tmp_path)

    assert expected in " ".join(
        f"{one.place.line if one.place else 0}:{one.place.column if one.place else 0} {one.summary}"
        for one in wrong.value.diagnostics
    )


def test_a_rule_that_refuses_is_not_silenced_beside_it(tmp_path: Path) -> None:
    silence = "silence: [{warning: R-1, at: pay-prod, reason: Please.}]\n"
    (tmp_path / "kvstack.yaml").write_text(
        STACK + silence + "rules: [{id: R-1, says: No., kind: vault, require: {sku: {equals: standard}}}]\n"
    )

    assert "R-1" in {one.code for one in linted(declaration(tmp_path), now=NOW)}
