"""`kvstack access`: roles given, listed and taken."""

import pytest

from kvstack.terms.principal import Principal
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

SOMEBODY = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
BOB = "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10"
READER = ["--role", "Key Vault Reader"]
WHO = ["--principal", SOMEBODY]


def test_a_role_is_given_listed_and_taken(shell: Shell) -> None:
    said = shell.good(
        "access", "assign", *WHO, "--type", "user", "--role", "key vault READER", "--scope", f"vault/{VAULT}"
    )
    assert said.text.startswith(f"gave `Key Vault Reader` at vault/{VAULT} to {SOMEBODY} (")
    assert f"{SOMEBODY} user Key Vault Reader vault/{VAULT} always" in shell.good("access", "list").words
    assert shell.good("access", "revoke", *WHO, *READER, "--scope", f"vault/{VAULT}").text.startswith("took `Key Vault")
    assert SOMEBODY not in shell.good("access", "list").text


@pytest.mark.parametrize(
    "scope",
    [
        "subscription",
        "resource_group/local",
        f"vault/{VAULT}",
        f"vault/{VAULT}/secrets/db-password",
        f"vault/{VAULT}/keys/k",
    ],
)
def test_scopes_are_written_as_in_a_stack(shell: Shell, scope: str) -> None:
    made = shell.good("access", "assign", *WHO, "--type", "group", *READER, "--scope", scope, "--json").json
    assert (made["scope"], made["holds"], made["principal_type"]) == (scope, True, "group")
    listed = shell.good("access", "list", "--scope", scope, "--json").json["role_assignments"]
    assert made["id"] in [one["id"] for one in listed]
    assert shell.good("access", "list", "--scope", made["scope_path"], "--json").json["role_assignments"] == listed
    assert shell.good("access", "revoke", made["id"], "--json").json["id"] == made["id"]


def test_the_time_it_holds_is_told(shell: Shell) -> None:
    for role, times, words in (
        ("Key Vault Reader", ["--until", "2000-01-01T00:00:00Z"], "ended 2000-01-01 00:00 UTC"),
        ("Key Vault Secrets User", ["--until", "2999-01-01T00:00:00Z"], "until 2999-01-01 00:00 UTC"),
        ("Key Vault Crypto User", ["--from", "2999-01-01T00:00:00Z"], "from 2999-01-01 00:00 UTC"),
    ):
        shell.good("access", "assign", *WHO, "--type", "user", "--role", role, "--scope", "subscription", *times)
        assert words in shell.good("access", "list").text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["assign", *WHO, *READER, "--scope", "subscription"], "Say by `--type` what it is"),
        (["assign", "--principal", "operatr", *READER, "--scope", "subscription"], "did you mean `operator`?"),
        (
            ["assign", "--principal", "operator", "--type", "group", *READER, "--scope", "subscription"],
            "is a user, not a",
        ),
        (
            ["assign", *WHO, "--type", "user", "--role", "Key Vault Raeder", "--scope", "subscription"],
            "`Key Vault Reader`",
        ),
        (["assign", *WHO, "--type", "user", *READER, "--scope", "vaults/x"], "is no scope"),
        (["assign", *WHO, "--type", "user", *READER, "--scope", "/subscriptions"], "is no scope"),
        (["assign", *WHO, "--type", "user", *READER, "--scope", "vault/payments-dve"], "Did you mean `payments-dev`?"),
        (["assign", *WHO, "--type", "user", *READER, "--scope", "vault/a--b"], "cannot name a vault"),
        (["assign", *WHO, "--type", "user", *READER, "--scope", f"vault/{VAULT}/keys/_"], "cannot name a key"),
        (["assign", *WHO, "--type", "user", *READER], "Missing option '--scope'"),
        (["revoke"], "name the assignment by its ID"),
        (["revoke", "x", "--role", "Owner"], "name the assignment by its ID"),
        (["revoke", SOMEBODY], "there is no role assignment"),
        (["revoke", *WHO, *READER, "--scope", "subscription"], "was not given the role"),
        (["revoke", "--principal", "operator", "--role", "Owner", "--scope", "subscription"], "the last Owner"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, command: list[str], words: str) -> None:
    assert words in shell.refused("access", *command)


def test_the_same_role_twice_is_refused(shell: Shell) -> None:
    arguments = ["access", "assign", *WHO, "--type", "user", *READER, "--scope", "subscription"]
    shell.good(*arguments)
    assert "has the role `Key Vault Reader`" in shell.refused(*arguments)


def test_who_can_and_why(shell: Shell) -> None:
    shell.good("access", "assign", *WHO, "--type", "user", *READER, "--scope", f"vault/{VAULT}")
    said = shell.good("access", "who-can", "secrets/get", f"{VAULT}/secrets/db-password")
    assert said.words == "PRINCIPAL ROLE AT THROUGH UNTIL operator Key Vault Administrator subscription"
    assert shell.good("access", "explain", "operator", "secrets/get", VAULT).text.splitlines() == [
        f"operator can read secrets at vault/{VAULT}.",
        "  `Key Vault Administrator` at subscription",
    ]
    assert shell.good("access", "explain", SOMEBODY, "secrets/get", VAULT).text.splitlines() == [
        f"{SOMEBODY} cannot read secrets at vault/{VAULT}.",
        "  no role that reaches it there allows that",
        f"  the least that would: `Key Vault Secrets User` at vault/{VAULT}",
    ]
    document = shell.good("access", "explain", SOMEBODY, "secrets/get", VAULT, "--json").json
    assert (document["allowed"], document["smallest_role"]) == (False, "Key Vault Secrets User")
    assert shell.good("access", "who-can", "secrets/get", VAULT, "--json").json["principals"][0]["by"]["role"] == (
        "Key Vault Administrator"
    )
    listed = shell.good("access", "list", SOMEBODY, "--json").json["role_assignments"]
    assert [one["role"] for one in listed] == ["Key Vault Reader"]


def test_a_question_that_makes_no_sense_is_refused(shell: Shell) -> None:
    assert "did you mean `secrets/get`?" in shell.refused("access", "who-can", "secrets/gett", VAULT)
    assert "there is no vault" in shell.refused("access", "who-can", "secrets/get", "nowhere")
    assert "knows no principal" in shell.refused("access", "explain", "nobody", "secrets/get", VAULT)


def test_a_role_of_ones_own_is_defined_given_and_deleted(shell: Shell) -> None:
    lists = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
    define = ["access", "role", "define", "Lister", "--scope", f"vault/{VAULT}", "--data-action", lists]
    assert shell.good(*define).text.startswith("defined role `Lister` (")
    assert shell.good(*define, "--description", "Lists.").text.startswith("changed role `Lister` (")
    assert "Lister own Lists." in shell.good("access", "role", "list").words
    assert f"data actions {lists}" in shell.good("access", "role", "show", "lister").words
    shell.good("access", "assign", *WHO, "--type", "user", "--role", "Lister", "--scope", f"vault/{VAULT}")
    assert "`Lister` at vault" in shell.good("access", "explain", SOMEBODY, "secrets/list", VAULT).text
    assert "is given to somebody" in shell.refused("access", "role", "delete", "Lister")
    shell.good("access", "revoke", *WHO, "--role", "Lister", "--scope", f"vault/{VAULT}")
    assert shell.good("access", "role", "delete", "Lister", "--json").json["name"] == "Lister"
    assert "there is no role `Lister`" in shell.refused("access", "role", "show", "Lister")


def test_a_condition_is_given_and_told(shell: Shell) -> None:
    condition = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'"
    give = ["access", "assign", *WHO, "--type", "user", *READER, "--scope", f"vault/{VAULT}"]
    assert "condition: character 1" in shell.refused(*give, "--condition", "nonsense")
    assert shell.good(*give, "--condition", condition, "--json").json["condition"] == condition
    assert "always, under a condition" in shell.good("access", "list").text
    assert (
        "its condition does not hold"
        in shell.good("access", "explain", SOMEBODY, "secrets/list", f"{VAULT}/secrets/api").text
    )


def test_a_denial_is_added_listed_and_removed(shell: Shell) -> None:
    read = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
    added = shell.good(
        "access", "deny", "add", "frozen", "--scope", f"vault/{VAULT}", "--data-action", read, "--except", "operator"
    )
    assert added.text.startswith(f"`frozen` denies {read} at vault/{VAULT} (")
    assert f"frozen vault/{VAULT} everybody operator {read}" in shell.good("access", "deny", "list").words
    shell.good("secret", "show", f"{VAULT}/db-password")
    shell.good("access", "deny", "remove", "frozen")
    shell.good("access", "deny", "add", "frozen", "--scope", f"vault/{VAULT}", "--data-action", read)
    assert "The deny assignment `frozen` at" in shell.refused(
        "secret", "download", f"{VAULT}/db-password", "--file", "x"
    )
    assert "`frozen` at vault" in shell.good("access", "explain", "operator", "secrets/get", VAULT).text
    assert shell.good("access", "deny", "remove", "frozen", "--json").json["except"] == []
    assert "there is no deny assignment" in shell.refused("access", "deny", "remove", "frozen")


def know(shell: Shell, **people: str) -> None:
    """Tell the vault names, as an apply does with a stack's principals."""
    unlocked = unlock(shell.folder)
    service = VaultService(unlocked)
    for name, identifier in people.items():
        service.put_principal(service.operator, Principal(identifier, "user", name))
    unlocked.close()


def test_a_role_is_taken_up_approved_and_given_back(shell: Shell) -> None:
    know(shell, alice=SOMEBODY, bob=BOB)
    added = shell.good(
        *("access", "eligible", "add", "--principal", "alice", "--role", "Key Vault Secrets User"),
        *("--scope", f"vault/{VAULT}", "--at-most", "PT4H", "--approver", "bob"),
    )
    assert added.text.startswith(f"alice is now eligible for `Key Vault Secrets User` at vault/{VAULT} (")
    assert "4 h a justification, approval by bob" in shell.good("access", "eligible", "list").words
    alice, bob = ("--as", "alice"), ("--as", "bob")

    def read(name: str) -> int:
        return shell(*alice, "secret", "download", f"{VAULT}/db-password", "--file", str(shell.folder / name)).code

    activate = (*alice, "access", "activate", "Key Vault Secrets User")
    assert "is not eligible" in shell.refused(*bob, "access", "activate", "Key Vault Secrets User")
    assert "needs a justification" in shell.refused(*activate)
    asked = shell.good(*activate, "--justification", "INC-1", "--for", "PT1H", "--json").json
    assert (asked["status"], asked["duration_seconds"]) == ("pending", 3600)
    assert read("before") == 1
    assert "pending INC-1" in shell.good(*bob, "access", "requests", "--pending").words
    assert "is no approver" in shell.refused(*alice, "access", "approve", asked["id"])
    approved = shell.good(*bob, "access", "approve", asked["id"], "--reason", "go on")
    assert "has `Key Vault Secrets User` at" in approved.text
    assert read("while") == 0
    assert "is active already" in shell.refused(*bob, "access", "deny-request", asked["id"])
    assert shell.good(*alice, "access", "deactivate", asked["id"]).text.startswith(f"{SOMEBODY} no longer has")
    assert read("after") == 1
    identifier = shell.good("access", "eligible", "list", "--json").json["eligible"][0]["id"]
    assert "no longer eligible" in shell.good("access", "eligible", "remove", identifier).text
    assert shell.good("access", "requests", "--json").json == {"requests": []}


def test_a_span_of_time_is_days_hours_and_minutes(shell: Shell) -> None:
    add = ("access", "eligible", "add", *WHO, *READER, "--type", "user", "--scope", "subscription", "--at-most")
    assert "`P1M` has months or years" in shell.refused(*add, "P1M")
    assert "is not an ISO 8601 duration" in shell.refused(*add, "4h")
    assert "5 minutes to 24 hours" in shell.refused(*add, "P2D")
