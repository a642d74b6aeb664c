"""Managed identities on the command line, and in a stack that is planned and applied."""

import pytest

from kvstack.terms.principal import is_guid
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

GUID = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
EMPTY = "No changes. What is there is what is declared.\n"
STACK = """\
stack: s
identities:
  batch: {resource_group: payments, tags: {team: a}}
  nightly: {}
access:
  - {principal: nightly, role: Key Vault Reader, scope: subscription}
vaults:
  stack-dev:
    secrets:
      db: {value_from: {generate: {length: 12}}}
    access:
      - {principal: batch, role: Key Vault Secrets User, scope: secrets/db}
"""


def declare(shell: Shell, text: str = STACK) -> Shell:
    (shell.folder / "kvstack.yaml").write_text(text)
    return shell


def applied(shell: Shell, text: str = STACK) -> Shell:
    declare(shell, text).good("apply", "--yes")
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
    return shell


def principal_id(shell: Shell, name: str, group: str = "payments") -> str:
    found: str = shell.good("identity", "show", name, "--resource-group", group, "--json").json["principal_id"]
    return found


def test_one_is_made_shown_listed_and_deleted(shell: Shell) -> None:
    said = shell.good(
        *("identity", "create", "batch", "--resource-group", "payments"), *("--tag", "team=a", "--location", "here")
    )
    made = shell.good("identity", "show", "batch", "--resource-group", "payments", "--json").json
    assert said.text == f"created managed identity batch ({made['principal_id']})\n"
    assert {name: made[name] for name in ("name", "resource_group", "location", "tags")} == {
        "name": "batch",
        "resource_group": "payments",
        "location": "here",
        "tags": {"team": "a"},
    }
    assert is_guid(made["principal_id"])
    assert is_guid(made["client_id"])
    own = shell.good("identity", "create", "own", "--json").json
    assert shell.good("identity", "list", "--json").json == {"identities": [own, made]}
    assert shell.good("identity", "list", "--resource-group", "payments").words == (
        f"NAME RESOURCE GROUP LOCATION PRINCIPAL ID batch payments here {made['principal_id']}"
    )
    assert "client id" in shell.good("identity", "show", "own").text
    assert "there is a managed identity `BATCH`" in shell.refused(
        "identity", "create", "BATCH", "--resource-group", "payments"
    )
    assert "nobody to ask" in shell.refused("identity", "delete", "own")
    assert shell.good("identity", "delete", "own", "--yes").text.startswith("deleted managed identity own")
    assert "there is no managed identity `own`" in shell.refused("identity", "delete", "own", "--yes")
    assert shell.good("identity", "list", "--resource-group", "nowhere").text == "No managed identities.\n"


@pytest.mark.parametrize("verb", ["create", "show", "delete"])
@pytest.mark.parametrize("name", ["a.b", "\x1b[31mred", "a" * 129, GUID])
def test_a_name_that_no_identity_has_is_refused(shell: Shell, verb: str, name: str) -> None:
    said = shell("identity", verb, name, *(("--yes",) if verb == "delete" else ()))
    assert said.code == 1
    assert "\x1b" not in said.err


def test_one_is_given_a_role_and_acts_by_it_like_any_principal(shell: Shell) -> None:
    shell.good("identity", "create", "batch")
    shell.good(
        "access", "assign", "--principal", "batch", "--role", "Key Vault Secrets User", "--scope", f"vault/{VAULT}"
    )
    shell.good("--as", "batch", "secret", "show", f"{VAULT}/db-password")
    shell.good("identity", "delete", "batch", "--yes")
    assert "knows no principal `batch`" in shell.refused("--as", "batch", "secret", "show", f"{VAULT}/db-password")
    shell.good("identity", "create", "batch")
    assert "denied" in shell.refused("--as", "batch", "secret", "show", f"{VAULT}/db-password")


def test_one_named_like_somebody_else_is_given_nothing_meant_for_her(shell: Shell) -> None:
    shell.good("identity", "create", "operator", "--resource-group", "payments")
    give = ("--role", "Key Vault Reader", "--scope", f"vault/{VAULT}")
    assert "`operator` is the name of 2 principals" in shell.refused(
        "access", "assign", "--principal", "operator", *give
    )
    shell.good("access", "assign", "--principal", principal_id(shell, "operator"), *give)


def test_a_stack_makes_them_gives_them_roles_and_takes_all_of_it_away(shell: Shell) -> None:
    applied(shell)
    shell.good("--as", "batch", "secret", "show", "stack-dev/db")
    assert "nightly" in shell.good("access", "who-can", "secrets/list", "stack-dev").text
    shown = shell.good("show", "identities/batch", "--json").json
    assert shown["declared"]["resource_group"] == "payments"
    assert shown["actual"]["id"].endswith(
        "/resourceGroups/payments/providers/Microsoft.ManagedIdentity/userAssignedIdentities/batch"
    )
    assert shown["last_change"]["operation"] == "ManagedIdentityPut"
    plan = shell.good("plan", "--destroy", "--json").json
    ends = {change["address"]: change["irreversible"] for change in plan["changes"]}
    assert (ends["identities/batch"], ends["identities/nightly"]) == (True, True)
    shell.good("destroy", "--yes")
    assert shell.good("identity", "list").text == "No managed identities.\n"
    assert shell.good("state", "list", "--json").json == []


def test_one_made_again_behind_the_stacks_back_gets_nothing_before_a_plan_said_so(shell: Shell) -> None:
    applied(shell)
    shell.good("identity", "delete", "batch", "--resource-group", "payments", "--yes")
    shell.good("identity", "create", "batch", "--resource-group", "payments")
    assert "denied" in shell.refused("--as", principal_id(shell, "batch"), "secret", "show", "stack-dev/db")
    drift = shell("drift", "--json")
    assert drift.code == 2
    assert {one["address"] for one in drift.json["drift"]} == {
        "identities/batch",
        "stack-dev/access/batch/key-vault-secrets-user/secrets/db",
    }
    changes = shell.good("plan", "--json").json["changes"]
    assert {one["address"]: one["action"] for one in changes} == {
        "identities/batch": "update",
        "stack-dev/access/batch/key-vault-secrets-user/secrets/db": "create",
    }


def test_one_in_another_resource_group_is_another_and_gets_its_access_in_one_apply(shell: Shell) -> None:
    applied(shell)
    before = principal_id(shell, "batch")
    applied(shell, STACK.replace("payments", "shipping"))
    after = principal_id(shell, "batch", "shipping")
    assert before != after
    shell.good("--as", after, "secret", "show", "stack-dev/db")
    assert "there is no managed identity" in shell.refused("identity", "show", "batch", "--resource-group", "payments")


def test_one_that_is_there_is_imported(shell: Shell) -> None:
    shell.good("identity", "create", "batch", "--resource-group", "payments", "--tag", "team=a")
    before = principal_id(shell, "batch")
    text = "stack: s\nidentities: {batch: {resource_group: payments, tags: {team: a}}}\n"
    assert "not this stack's" in declare(shell, text)("plan").text
    shell.good("import", "identities/batch")
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
    assert principal_id(shell, "batch") == before


def test_a_lost_state_is_rebuilt_with_them_and_their_access(shell: Shell) -> None:
    applied(shell)
    for path in (shell.folder / ".kvstack" / "state").glob("*.json*"):
        path.unlink()
    shell.good("state", "rebuild", "--yes")
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY


def test_who_may_not_read_them_is_told_so_and_nothing_is_called_gone(shell: Shell) -> None:
    applied(shell)
    shell.good(
        *("access", "assign", "--principal", GUID, "--type", "user", "--role", "Key Vault Contributor"),
        *("--scope", "subscription"),
    )
    shell.good(
        *("access", "role", "define", "Looker", "--scope", "subscription"),
        *("--action", "Microsoft.Authorization/*/read", "--data-action", "Microsoft.KeyVault/vaults/*"),
    )
    shell.good("access", "assign", "--principal", GUID, "--type", "user", "--role", "Looker", "--scope", "subscription")
    declare(shell, f"{STACK}principals: {{ann: {{type: user, id: {GUID}}}}}\n").good("apply", "--yes")
    plan = shell("--as", "ann", "plan", "--json", "--detailed-exitcode")
    assert plan.code == 3
    assert plan.json["changes"] == []
    assert plan.json["drift"] == []
    assert {one["address"] for one in plan.json["unread"]} == {
        "identities/batch",
        "identities/nightly",
        "access/nightly/key-vault-reader/subscription",
        "stack-dev/access/batch/key-vault-secrets-user/secrets/db",
    }


def test_who_may_work_in_one_resource_group_plans_and_applies_what_is_in_it(shell: Shell) -> None:
    declare(shell, f"stack: s\nprincipals: {{ann: {{type: user, id: {GUID}}}}}\n").good("apply", "--yes")
    shell.good(
        *("access", "assign", "--principal", GUID, "--type", "user", "--role", "Contributor"),
        *("--scope", "resource_group/payments"),
    )
    declare(shell, "stack: s\nidentities: {batch: {resource_group: payments}, other: {resource_group: shipping}}\n")
    plan = shell.good("--as", GUID, "plan", "--json").json
    assert [change["address"] for change in plan["changes"]] == ["identities/batch"]
    assert [thing["address"] for thing in plan["unread"]] == ["identities/other"]
    shell.good("--as", GUID, "apply", "--yes")
    assert [one["name"] for one in shell.good("identity", "list", "--json").json["identities"]] == ["batch"]


def test_the_access_of_one_of_somebody_else_is_declared_by_group_and_name(shell: Shell) -> None:
    declare(
        shell, STACK.replace("principal: batch", "principal: identity/payments/batch").replace("  batch:", "  bat:")
    )
    assert "there is no managed identity `batch` in the resource group `payments`" in " ".join(
        shell("plan").text.split()
    )
    shell.good("identity", "create", "batch", "--resource-group", "payments")
    shell.good("apply", "--yes")
    shell.good("--as", "batch", "secret", "show", "stack-dev/db")
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY


def test_a_principal_with_the_id_of_one_is_that_one(shell: Shell) -> None:
    shell.good("identity", "create", "batch", "--resource-group", "payments")
    identifier = principal_id(shell, "batch")
    text = STACK.replace("identities:\n  batch: {resource_group: payments, tags: {team: a}}\n", "identities:\n")
    applied(shell, f"{text}principals: {{batch: {{type: managed_identity, id: {identifier}}}}}\n")
    shell.good("--as", "batch", "secret", "show", "stack-dev/db")
    user = f"{text}principals: {{batch: {{type: user, id: {identifier}}}}}\n"
    assert "is the managed identity `batch`" in declare(shell, user)("apply", "--yes").err


def test_a_whole_vault_is_imported_with_what_its_identities_are_given(shell: Shell) -> None:
    shell.good("identity", "create", "batch", "--resource-group", "payments")
    shell.good("access", "assign", "--principal", "batch", "--role", "Key Vault Reader", "--scope", f"vault/{VAULT}")
    (shell.folder / "kvstack.yaml").unlink(missing_ok=True)
    shell.good("import", "--all", VAULT)
    assert "{principal: identity/payments/batch, role: Key Vault Reader}" in (shell.folder / "kvstack.yaml").read_text()
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY


def test_a_whole_vault_imported_into_a_stack_names_the_stacks_identities(shell: Shell) -> None:
    stack = "stack: s\ninclude: [vaults/*.yaml]\nidentities: {worker: {name: batch}}\n"
    declare(shell, stack)
    (shell.folder / "vaults").mkdir()
    (shell.folder / "vaults" / "none.yaml").write_text("vaults: {}\n")
    shell.good("apply", "--yes")
    shell.good("access", "assign", "--principal", "batch", "--role", "Key Vault Reader", "--scope", f"vault/{VAULT}")
    shell.good("import", "--all", VAULT, "--file", "vaults/dev.yaml")
    assert "{principal: worker, role: Key Vault Reader}" in (shell.folder / "vaults" / "dev.yaml").read_text()
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
