"""`kvstack vault set-policy` and `delete-policy`, and what `access` tells of access policies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.cli.many_values import spread
from kvstack.terms.principal import Principal
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

ALICE = "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10"
ON_CALL = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
SECRET = f"{VAULT}/secrets/db-password"


@pytest.fixture
def legacy(shell: Shell) -> Shell:
    """The vault goes by access policies, and knows alice, who is in the group on-call."""
    unlocked = unlock(shell.folder)
    service = VaultService(unlocked)
    service.put_principal(service.operator, Principal(ALICE, "user", "alice"))
    service.put_principal(service.operator, Principal(ON_CALL, "group", "on-call", frozenset({ALICE})))
    unlocked.close()
    shell.good("vault", "update", VAULT, "--access-model", "access_policies")
    return shell


def test_a_policy_is_set_shown_and_taken_away(legacy: Shell) -> None:
    said = legacy.good(
        *("vault", "set-policy", VAULT, "--principal", "on-call"),
        *("--secret-permissions", "get", "LIST", "--key-permissions", "all"),
    )
    assert said.text == f"on-call may in vault {VAULT}: keys all; secrets get list\n"
    assert legacy.good("--as", "alice", "secret", "show", f"{VAULT}/db-password").text
    shown = legacy.good("vault", "show", VAULT)
    assert "access model access_policies" in shown.words
    assert "policy of on-call keys all; secrets get list" in shown.words
    document = legacy.good("vault", "show", VAULT, "--json").json
    assert (document["access_model"], document["access_policies"]) == (
        "access_policies",
        [
            {
                "principal": "on-call",
                "principal_id": ON_CALL,
                "keys": ["all"],
                "secrets": ["get", "list"],
                "certificates": [],
            }
        ],
    )
    gone = legacy.good("vault", "delete-policy", VAULT, "--principal", ON_CALL, "--json").json
    assert gone == document["access_policies"][0]
    assert "denied" in legacy.refused("--as", "alice", "secret", "show", f"{VAULT}/db-password")


def test_what_is_not_named_stays_and_none_takes_a_kind_away(legacy: Shell) -> None:
    policy = ("vault", "set-policy", VAULT, "--principal", "alice", "--json")
    legacy.good(*policy, "--key-permissions", "sign", "get", "--certificate-permissions", "get")
    made = legacy.good(*policy, "--secret-permissions=get,list", "--certificate-permissions", "none").json
    assert (made["keys"], made["secrets"], made["certificates"]) == (["sign", "get"], ["get", "list"], [])
    assert "permits nothing" in legacy.refused(
        *policy[:-1], "--secret-permissions", "none", "--key-permissions", "none"
    )
    assert legacy.good("vault", "show", VAULT, "--json").json["access_policies"] == [made]


def test_in_a_vault_that_goes_by_roles_a_policy_is_kept_and_said_not_to_count(legacy: Shell) -> None:
    legacy.good("vault", "update", VAULT, "--access-model", "rbac")
    said = legacy.good("vault", "set-policy", VAULT, "--principal", "alice", "--secret-permissions", "get")
    assert "goes by roles" in said.err
    assert f"kvstack vault update {VAULT} --access-model access_policies" in " ".join(said.err.split())
    assert "denied" in legacy.refused("--as", "alice", "secret", "show", f"{VAULT}/db-password")
    legacy.good("vault", "update", VAULT, "--access-model", "access_policies")
    assert legacy.good("--as", "alice", "secret", "show", f"{VAULT}/db-password").text


def test_a_vault_is_made_with_either_model(shell: Shell) -> None:
    for model in ("rbac", "access_policies"):
        made = shell.good("vault", "create", f"v-{model[:4]}", "--access-model", model, "--json").json
        assert made["access_model"] == model
    assert shell.good("vault", "create", "v-plain", "--json").json["access_model"] == "rbac"
    changed = shell.good("vault", "update", "v-plain", "--sku", "premium", "--purge-protection", "--json").json
    assert (changed["sku"], changed["purge_protection"], changed["access_model"]) == ("premium", True, "rbac")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["set-policy", VAULT, "--principal", "alice", "--secret-permissions", "gte"], "did you mean `get`?"),
        (["set-policy", VAULT, "--principal", "alcie", "--secret-permissions", "get"], "did you mean `alice`?"),
        (["set-policy", VAULT, "--principal", "alice"], "permits nothing"),
        (["set-policy", VAULT, "--principal", "alice", "--secret-permissions"], "requires an argument"),
        (["set-policy", VAULT, "--secret-permissions", "get"], "Missing option '--principal'"),
        (["set-policy", "--principal", "alice", "--secret-permissions", "get", VAULT], "Missing argument 'VAULT'"),
        (["set-policy", "payments-dve", "--principal", "alice", "--key-permissions", "get"], "payments-dev"),
        (["delete-policy", VAULT, "--principal", "alice"], "has no access policy in vault"),
        (["update", VAULT, "--access-model", "policies"], "is not one of"),
    ],
)
def test_what_is_wrong_is_said(legacy: Shell, command: list[str], words: str) -> None:
    assert words in legacy.refused("vault", *command)


def test_questions_tell_of_policies(legacy: Shell) -> None:
    legacy.good("vault", "set-policy", VAULT, "--principal", "on-call", "--secret-permissions", "get")
    legacy.good("vault", "set-policy", VAULT, "--principal", "alice", "--secret-permissions", "list")
    asked = legacy.good("access", "who-can", "secrets/get", SECRET)
    assert f"alice access policy of on-call vault/{VAULT} on-call" in asked.words
    assert "operator" not in asked.text
    (able,) = legacy.good("access", "who-can", "secrets/get", SECRET, "--json").json["principals"]
    assert (able["by"]["access_policy"]["principal"], able["by"]["through"], able["by"]["counts"]) == (
        "on-call",
        ["on-call"],
        True,
    )
    assert legacy.good("access", "explain", "alice", "secrets/get", SECRET).text == (
        f"alice can read secrets at vault/{SECRET}.\n  through the access policy of `on-call` at vault/{VAULT}\n"
    )
    assert legacy.good("access", "explain", "operator", "secrets/get", SECRET).text == (
        f"operator cannot read secrets at vault/{SECRET}.\n"
        "  `Key Vault Administrator` at subscription: the vault goes by access policies\n"
        f"  the vault goes by access policies: `kvstack vault set-policy {VAULT}` would give `get` on secrets\n"
    )
    document = legacy.good("access", "explain", "operator", "secrets/get", SECRET, "--json").json
    assert (document["allowed"], document["smallest_role"]) == (False, None)
    assert document["enough_permissions"] == ["secrets/get"]
    assert document["missed"][0]["why"] == "access_model"
    legacy.good("vault", "update", VAULT, "--access-model", "rbac")
    assert "the access policy of `on-call`" in legacy.good("access", "explain", "alice", "secrets/get", SECRET).text
    assert "the vault goes by roles" in legacy.good("access", "explain", "alice", "secrets/get", SECRET).text


def test_what_reaches_a_principal_are_policies_too(legacy: Shell) -> None:
    legacy.good("vault", "set-policy", VAULT, "--principal", "on-call", "--secret-permissions", "get", "list")
    legacy.good("vault", "create", "other")
    legacy.good("vault", "set-policy", "other", "--principal", "alice", "--key-permissions", "get")
    listed = legacy.good("access", "list", "alice")
    assert f"on-call group access policy: secrets get list vault/{VAULT} always" in listed.words
    assert "alice user access policy: keys get vault/other not while the vault goes by roles" in listed.words
    found = legacy.good("access", "list", "alice", "--scope", f"vault/{VAULT}", "--json").json["access_policies"]
    assert [(one["scope"], one["through"], one["counts"]) for one in found] == [(f"vault/{VAULT}", ["on-call"], True)]
    assert "access_policies" not in legacy.good("access", "list", "--json").json


def test_a_vault_with_policies_becomes_a_declaration_that_plans_empty(legacy: Shell) -> None:
    (legacy.folder / "kvstack.yaml").unlink(missing_ok=True)
    everything = ("--secret-permissions", "all", "--key-permissions", "all", "--certificate-permissions", "all")
    legacy.good("vault", "set-policy", VAULT, "--principal", "operator", *everything)
    legacy.good("vault", "set-policy", VAULT, "--principal", "on-call", "--secret-permissions", "get", "list")
    said = legacy.good("import", "--all", VAULT)
    assert "imported 5 things" in said.text
    written = (legacy.folder / "kvstack.yaml").read_text()
    assert "access_model: access_policies" in written
    assert "- {principal: operator, keys: [all], secrets: [all], certificates: [all]}" in written
    assert "- {principal: on-call, secrets: [get, list]}" in written
    assert legacy.good("plan", "--detailed-exitcode").text.startswith("No changes.")


def test_policies_that_do_not_count_are_left_out_of_a_declaration(legacy: Shell) -> None:
    (legacy.folder / "kvstack.yaml").unlink(missing_ok=True)
    legacy.good("vault", "set-policy", VAULT, "--principal", "alice", "--secret-permissions", "get")
    legacy.good("vault", "update", VAULT, "--access-model", "rbac")
    said = legacy.good("import", "--all", VAULT)
    assert f"left out: the access policy of {ALICE}" in " ".join(said.err.split())
    assert "policies" not in (legacy.folder / "kvstack.yaml").read_text()
    assert legacy.good("plan", "--detailed-exitcode").text.startswith("No changes.")


words = st.sampled_from(["get", "list", "--a", "--b", "--other", "--a=get", "--", "-h"])


@given(st.lists(words, max_size=8))
def test_spreading_keeps_every_word_and_their_order(arguments: list[str]) -> None:
    made = spread(arguments, {"--a", "--b"})
    left = list(made)
    for argument in arguments:
        while left[0] != argument:
            assert left.pop(0) in ("--a", "--b")
        left.pop(0)
    assert left == []
    assert spread(made, {"--a", "--b"}) == made
