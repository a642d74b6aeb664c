"""kvstack's own warnings: each finds what it is about, is silenced with a reason, and stands in the page."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kvstack.apply.linted import linted, of_plan
from kvstack.declare.declaration import declaration
from kvstack.lint.checks import CHECKS
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.right import RIGHTS

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HEAD = """stack: s
environments: {prod: {production: true}, dev: {}}
principals:
  ann: {type: user, id: 6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a01}
  app: {type: service_principal, id: 6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a02}
  team: {type: group, id: 6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a03, members: [ann]}
"""
# A vault nothing is said of, on one line: what is put into it is what a case is about.
QUIET = "purge_protection: true, network: {default_action: deny}"


def found(tmp_path: Path, text: str, environment: str | None = None) -> tuple[Diagnostic, ...]:
    (tmp_path / "kvstack.yaml").write_text(HEAD + text)
    return linted(declaration(tmp_path, environment=environment), now=NOW)


def codes(tmp_path: Path, text: str, environment: str | None = None) -> list[str]:
    return [f"{one.code} {one.address}" for one in found(tmp_path, text, environment)]


def vault(access: str, rest: str = QUIET) -> str:
    return f"vaults: {{pay: {{{rest}, access: [{access}]}}}}\n"


ADMIN, RBAC = "Key Vault Administrator", "Role Based Access Control Administrator"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("vaults: {}\n", []),
        (vault(f"{{principal: ann, role: {ADMIN}}}"), ["KV001 pay/access/ann/key-vault-administrator"]),
        (vault(f"{{principal: team, role: {ADMIN}}}"), ["KV001 pay/access/team/key-vault-administrator"]),
        (vault("{principal: ann, role: Owner}"), ["KV001 pay/access/ann/owner", "KV009 pay/access/ann/owner"]),
        (vault(f"{{principal: ann, role: {ADMIN}, until: 2027-01-01T00:00:00Z}}"), []),
        (vault(f"{{principal: app, role: {ADMIN}}}"), []),
        (vault("{principal: ann, role: Key Vault Secrets User}"), []),
        (vault(f"{{principal: app, role: {RBAC}}}"), ["KV009 pay/access/app/role-based-access-control-administrator"]),
        (
            "access: [{principal: app, role: Key Vault Secrets User, scope: subscription}]\n",
            ["KV003 access/app/key-vault-secrets-user/subscription"],
        ),
        ("access: [{principal: app, role: Reader, scope: subscription}]\n", []),
        (
            vault("{principal: app, role: Key Vault Secrets Officer}", "network: {default_action: deny}"),
            ["KV004 pay/access/app/key-vault-secrets-officer"],
        ),
        (
            vault("{principal: team, role: Key Vault Secrets Officer}", "network: {default_action: deny}"),
            ["KV004 pay/access/team/key-vault-secrets-officer"],
        ),
        (vault("{principal: app, role: Key Vault Secrets Officer}"), []),
        (vault(f"{{principal: ann, role: {ADMIN}, eligible: {{until: 2027-01-01T00:00:00Z}}}}"), []),
        (
            vault(f"{{principal: app, role: {RBAC}, eligible: {{until: 2027-01-01T00:00:00Z}}}}"),
            ["KV009 pay/access/app/role-based-access-control-administrator"],
        ),
        (vault(f"{{principal: app, role: {RBAC}, eligible: {{until: 2027-01-01T00:00:00Z, approvers: [ann]}}}}"), []),
        (
            "roles: {all: {assignable_scopes: [subscription], data_actions: ['*']}}\n"
            "access: [{principal: app, role: all, scope: subscription}]\n",
            ["KV002 roles/all", "KV003 access/app/all/subscription", "KV004 access/app/all/subscription"],
        ),
        ("vaults: {pay: {purge_protection: true}}\n", ["KV007 pay"]),
        (vault("", QUIET + ", access_model: access_policies"), ["KV006 pay"]),
        (
            vault("{principal: app, role: Key Vault Contributor}", QUIET + ", access_model: access_policies"),
            ["KV006 pay", "KV009 pay/access/app/key-vault-contributor"],
        ),
        (vault("{principal: app, role: Key Vault Contributor}"), []),
        (
            vault(f"{{principal: ann, role: {ADMIN}, eligible: {{approvers: [app]}}}}"),
            ["KV008 pay/access/ann/key-vault-administrator"],
        ),
        (
            "managed_hsms: {hsm: {roles: {all: {data_actions: [Microsoft.KeyVault/managedHsm/keys/*]}}}}\n",
            ["KV002 hsm/roles/all"],
        ),
        (
            "roles: {all: {assignable_scopes: [subscription], data_actions: [Microsoft.KeyVault/vaults/secrets/*]}}\n",
            ["KV002 roles/all"],
        ),
    ],
)
def test_a_warning_is_told_of_what_it_is_about(tmp_path: Path, text: str, told: list[str]) -> None:
    assert codes(tmp_path, text) == told


def test_a_vault_has_to_be_protected_where_the_environment_is_production(tmp_path: Path) -> None:
    text = "vaults: {pay: {network: {default_action: deny}}}\n"

    assert codes(tmp_path, text, "prod") == ["KV005 pay"]
    assert codes(tmp_path, text, "dev") == codes(tmp_path, text) == []


def test_a_warning_says_where_it_stands_and_how_to_mend_it(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "vaults:\n  pay: {purge_protection: true}\n")

    assert (one.severity, str(one.place)) == ("warning", "kvstack.yaml:8:3")
    assert one.detail == next(check.mend for check in CHECKS if check.id == "KV007")


def test_what_is_silenced_with_a_reason_is_not_told_at_the_address_and_below(tmp_path: Path) -> None:
    text = "vaults: {pay: {purge_protection: true}, log: {purge_protection: true}}\n"
    silence = "silence: [{warning: KV007, at: pay, reason: Agents have no fixed addresses.}]\n"

    assert codes(tmp_path, text + silence) == ["KV007 log"]


def test_a_silence_holds_for_what_is_below_its_address_and_for_no_other_warning(tmp_path: Path) -> None:
    text = vault(f"{{principal: ann, role: {ADMIN}}}", "network: {default_action: deny}")
    silence = "silence: [{warning: KV001, at: pay, reason: She founded it.}]\n"

    assert codes(tmp_path, text + silence) == ["KV004 pay/access/ann/key-vault-administrator"]


def test_a_silence_needs_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="needs `reason`"):
        found(tmp_path, "silence: [{warning: KV007, at: pay}]\n")


def test_a_silence_that_silences_nothing_is_told(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "silence: [{warning: KV007, at: pay, reason: Once upon a time.}]\n")

    assert (one.code, one.summary) == ("KV000", "`silence` of KV007 at `pay` silences nothing")


def test_a_plan_tells_warnings_of_what_it_changes_and_everything_that_refuses_it(tmp_path: Path) -> None:
    rule = "rules: [{id: ACME-1, says: No., kind: vault, at: log, require: {sku: {equals: premium}}}]\n"
    text = "vaults: {pay: {purge_protection: true}, log: {purge_protection: true}}\n" + rule
    everything = found(tmp_path, text)

    assert [f"{one.code} {one.address}" for one in of_plan(everything, [Address("pay")])] == ["KV007 pay", "ACME-1 log"]


def test_every_check_is_in_the_page_by_its_id() -> None:
    page = Path("docs/lint.md").read_text()

    for check in CHECKS:
        assert f"| {check.id} | {check.title} |" in page
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_what_checks_look_for_are_rights_there_are() -> None:
    from kvstack.lint import checks

    names = {right.name for right in RIGHTS}
    assert names >= checks._EVERYTHING
    assert {f"{kind}/{verb}" for kind in checks._KINDS for verb in ("delete", "purge")} <= names
