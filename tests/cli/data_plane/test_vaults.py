"""`kvstack vault`: made, shown, soft-deleted, recovered, purged."""

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell


def test_a_vault_from_its_making_to_its_end(shell: Shell) -> None:
    assert shell.good("vault", "create", "other-vault", "--retention-days", "7").text == "created vault other-vault\n"
    listed = shell.good("vault", "list").text.splitlines()
    assert listed[0].split("  ")[0] == "NAME"
    assert [line.split()[0] for line in listed[1:]] == ["other-vault", VAULT]
    assert "7 days" in shell.good("vault", "show", "OTHER-vault").text
    said = shell.good("vault", "delete", "other-vault").text
    assert said.startswith("deleted vault other-vault; it can be recovered until ")
    assert "other-vault" in shell.good("vault", "list-deleted").text
    assert shell.good("vault", "recover", "other-vault").text.startswith("recovered vault other-vault")
    shell.good("vault", "delete", "other-vault")
    assert shell.good("vault", "purge", "other-vault", "--yes").text == "purged vault other-vault\n"
    assert shell.good("vault", "list-deleted").text == "No soft-deleted vaults.\n"


def test_every_answer_is_json_too(shell: Shell) -> None:
    made = shell.good("vault", "create", "other-vault", "--purge-protection", "--json").json
    assert (made["name"], made["purge_protection"], made["recovery_level"]) == ("other-vault", True, "Recoverable")
    assert shell.good("vault", "show", "other-vault", "--json").json == {**made, "access_policies": []}
    assert [one["name"] for one in shell.good("vault", "list", "--json").json["vaults"]] == ["other-vault", VAULT]
    assert shell.good("vault", "delete", VAULT, "--json").json["deletion"]["scheduled_purge"]
    assert [one["name"] for one in shell.good("vault", "list-deleted", "--json").json["vaults"]] == [VAULT]
    assert shell.good("vault", "recover", VAULT, "--json").json["deletion"] is None
    shell.good("vault", "delete", VAULT)
    assert shell.good("vault", "purge", VAULT, "--yes", "--json").json["purged"]["vault"] == VAULT


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["show", "payments-dve"], "there is no vault `payments-dve` Did you mean `payments-dev`?"),
        (["create", VAULT], "there is a vault `payments-dev` already"),
        (["create", "a--b"], "cannot name a vault"),
        (["create", "new-vault", "--retention-days", "6"], "kept 7-90 days, not 6"),
        (["create", "new-vault", "--retention-days", "9" * 40], "7-90 days"),
        (["create", "new-vault", "--sku", "gold"], "'gold' is not one of"),
        (["recover", VAULT], "there is no soft-deleted vault"),
        (["purge", VAULT, "--yes"], "there is no soft-deleted vault"),
        (["purge", VAULT], "there is nobody to ask"),
        (["shwo", VAULT], "has no verb `shwo`; did you mean `show`?"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, command: list[str], words: str) -> None:
    assert words in shell.refused("vault", *command)


def test_without_a_verb_it_says_how_it_is_used(shell: Shell) -> None:
    for command in ([], ["vault"]):
        result = shell(*command)
        assert (result.code, result.out) == (1, b"")
        assert result.err.startswith("Usage: kvstack")


def test_a_deleted_vault_says_how_it_comes_back(shell: Shell) -> None:
    shell.good("vault", "delete", VAULT)
    for command in (
        ["vault", "show", VAULT],
        ["vault", "create", VAULT],
        ["secret", "list", VAULT],
        ["secret", "show", f"{VAULT}/db-password"],
        ["key", "list", VAULT],
    ):
        assert f"`kvstack vault recover {VAULT}`" in shell.refused(*command)


def test_a_protected_vault_is_purged_by_nobody(shell: Shell) -> None:
    shell.good("vault", "create", "safe-vault", "--purge-protection")
    shell.good("vault", "delete", "safe-vault")
    said = shell.refused("vault", "purge", "safe-vault", "--yes")
    assert "cannot be purged before" in said
    assert "Nobody can switch purge protection off" in said
