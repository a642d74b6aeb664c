"""Declared roles, eligible and deny assignments, from the file to what somebody may do, and back."""

from typing import Any

import pytest

from tests.cli.data_plane.shell import Shell

LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
ALICE, BOB, CARL = (f"91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c1{number}" for number in (0, 1, 2))
STACK = f"""\
stack: s
principals:
  alice: {{type: user, id: {ALICE}}}
  bob: {{type: user, id: {BOB}}}
  carl: {{type: user, id: {CARL}}}
roles:
  lister: {{name: Secret Lister, assignable_scopes: [vault/dev], data_actions: [{LIST}]}}
vaults:
  dev:
    name: dev-vault
    secrets: {{s: {{value_from: {{generate: {{length: 8}}}}}}}}
    access:
      - {{principal: alice, role: lister}}
      - {{principal: alice, role: Key Vault Secrets User, eligible: {{approvers: [bob]}}}}
    deny:
      - {{name: no reading, principals: [bob], data_actions: [{GET}]}}
"""
ADDRESSES = {
    "roles/lister",
    "dev/access/alice/lister",
    "dev/access/alice/key-vault-secrets-user",
    "dev/deny/no reading",
}
EMPTY = "No changes. What is there is what is declared.\n"


def declare(shell: Shell, text: str) -> Shell:
    (shell.folder / "kvstack.yaml").write_text(text)
    return shell


@pytest.fixture
def applied(shell: Shell) -> Shell:
    declare(shell, STACK).good("apply", "--yes")
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
    return shell


def actions(shell: Shell, *arguments: str) -> dict[str, str]:
    """Return what a plan does, by address."""
    made: dict[str, Any] = shell("plan", "--json", *arguments).json
    return {change["address"]: change["action"] for change in made["changes"]}


def test_what_is_declared_holds(applied: Shell) -> None:
    listed = applied.good("--as", "alice", "secret", "list", "dev-vault", "--json").json
    assert [one["name"] for one in listed["secrets"]] == ["s"]
    applied.refused("--as", "alice", "secret", "show", "dev-vault/s", "--value")
    asked = applied.good(
        *("--as", "alice", "access", "activate", "Key Vault Secrets User", "--justification", "why", "--json")
    ).json
    assert asked["status"] == "pending"
    applied.good("--as", "bob", "access", "approve", asked["id"])
    applied.good("--as", "alice", "secret", "show", "dev-vault/s", "--value")
    # What is taken up for a while is nobody's change.
    assert applied.good("plan", "--detailed-exitcode").text == EMPTY
    applied.good("drift")


def test_a_denial_goes_before_every_role(applied: Shell) -> None:
    access = "    access:\n      - {principal: bob, role: Key Vault Administrator}\n"
    declare(applied, STACK.replace("    access:\n", access)).good("apply", "--yes")
    applied.good("--as", "bob", "secret", "list", "dev-vault")
    assert "no reading" in applied.refused("--as", "bob", "secret", "show", "dev-vault/s", "--value")


def test_a_plan_shows_terms_and_who_is_denied(shell: Shell) -> None:
    declare(shell, STACK)
    for format_ in ((), ("--markdown",)):
        shown = shell.good("plan", *format_).text
        for words in ("eligible.approvers", "no reading", "assignable_scopes", "vault/dev-vault", BOB):
            assert words in shown


def test_what_is_given_is_replaced_by_what_may_be_taken_up_and_back(applied: Shell) -> None:
    terms = ", eligible: {approvers: [bob]}"
    address = "dev/access/alice/key-vault-secrets-user"
    for text in (STACK.replace(terms, ""), STACK):
        declare(applied, text)
        assert actions(applied) == {address: "replace"}
        applied.good("apply", "--yes")
        assert applied.good("plan", "--detailed-exitcode").text == EMPTY
        given = applied.good("access", "list", "alice", "--json").json
        assert ("Key Vault Secrets User" in str(given)) == (text != STACK)


def test_a_lost_state_is_made_anew_with_them(applied: Shell) -> None:
    for file in (applied.folder / ".kvstack" / "state").iterdir():
        file.unlink()
    applied.good("state", "rebuild", "--yes")
    assert applied.good("plan", "--detailed-exitcode").text == EMPTY
    assert {line.split()[0] for line in applied.good("state", "list").text.splitlines()} >= {"roles/lister"}


def test_a_vault_of_another_name_takes_the_role_and_everything_given_along(applied: Shell) -> None:
    declare(applied, STACK.replace("name: dev-vault", "name: dev-other"))
    applied.good("apply", "--yes")
    assert applied.good("plan", "--detailed-exitcode").text == EMPTY
    (role,) = [one for one in applied.good("access", "role", "list", "--json").json["roles"] if one["kind"] == "own"]
    assert role["assignable_scopes"] == ["vault/dev-other"]


def test_everything_goes_with_the_stack_and_can_be_made_again(applied: Shell) -> None:
    applied.good("destroy", "--yes")
    assert applied.good("access", "deny", "list", "--json").json == {"deny_assignments": []}
    assert applied.good("access", "eligible", "list", "--json").json == {"eligible": []}
    assert {one["kind"] for one in applied.good("access", "role", "list", "--json").json["roles"]} == {"built in"}
    applied.good("vault", "purge", "dev-vault", "--yes")
    applied.good("apply", "--yes")
    assert applied.good("plan", "--detailed-exitcode").text == EMPTY


def test_what_was_made_by_command_is_refused_until_it_is_imported(shell: Shell) -> None:
    declare(shell, STACK).good("apply", "--yes", "--target", "dev/secrets/s")
    where = ("--scope", "vault/dev-vault")
    shell.good("access", "role", "define", "Secret Lister", *where, "--data-action", LIST)
    whom = ("--principal", ALICE, "--type", "user", *where)
    shell.good("access", "assign", *whom, "--role", "Secret Lister")
    shell.good("access", "eligible", "add", *whom, "--role", "Key Vault Secrets User", "--approver", BOB)
    shell.good("access", "deny", "add", "no reading", *where, "--principal", BOB, "--data-action", GET)
    assert actions(shell) == dict.fromkeys(ADDRESSES, "refuse")
    for address in sorted(ADDRESSES):
        assert f"kvstack import {address}" in shell("plan").text.replace("\n      #", "")
        shell.good("import", address)
    assert shell.good("plan", "--detailed-exitcode").text == EMPTY
    assert "this stack's already" in shell.refused("import", "roles/lister")


def test_a_role_that_somebody_has_by_command_is_not_taken_away(applied: Shell) -> None:
    applied.good(
        *("access", "assign", "--principal", BOB, "--type", "user", "--role", "Secret Lister"),
        *("--scope", "vault/dev-vault"),
    )
    without = STACK[: STACK.index("roles:")] + STACK[STACK.index("vaults:") :]
    declare(applied, without.replace("      - {principal: alice, role: lister}\n", ""))
    assert actions(applied) == {"roles/lister": "refuse", "dev/access/alice/lister": "delete"}
    assert "it cannot end while something needs it" in applied("plan").text
    applied.good("access", "revoke", "--principal", BOB, "--role", "Secret Lister", "--scope", "vault/dev-vault")
    applied.good("apply", "--yes")
    assert applied.good("plan", "--detailed-exitcode").text == EMPTY


@pytest.mark.parametrize(
    ("allowed", "unread"),
    [
        (["Microsoft.KeyVault/vaults/read"], ADDRESSES),
        # Whose role cannot be named is not called gone.
        (["Microsoft.KeyVault/vaults/read", "Microsoft.Authorization/roleAssignments/read"], ADDRESSES),
        (
            ["Microsoft.KeyVault/vaults/read", "Microsoft.Authorization/roleDefinitions/read"],
            ADDRESSES - {"roles/lister"},
        ),
        (["*/read"], set()),
    ],
)
def test_what_whoever_plans_may_not_read_is_unread(applied: Shell, allowed: list[str], unread: set[str]) -> None:
    options = [option for action in allowed for option in ("--action", action)]
    applied.good("access", "role", "define", "Onlooker", "--scope", "subscription", "--data-action", LIST, *options)
    applied.good("access", "assign", "--principal", "carl", "--role", "Onlooker", "--scope", "subscription")
    made = applied("--as", "carl", "plan", "--json", "--detailed-exitcode")
    assert made.code == (3 if unread else 0)
    assert made.json["changes"] == []
    assert {thing["address"] for thing in made.json["unread"]} == unread
    assert applied("--as", "carl", "drift").code == (3 if unread else 0)


def test_a_role_outside_its_scopes_is_refused_by_validate(shell: Shell) -> None:
    declare(shell, STACK + "access: [{principal: bob, role: lister, scope: subscription}]\n")
    said = shell.refused("validate")
    assert "kvstack.yaml:17:48: the role `Secret Lister` may not be given at `subscription`" in said
