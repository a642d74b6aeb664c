"""Issuers and contacts from the command line: taken over when asked; unread is neither changed nor as declared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import CHANGES, ERROR, INCOMPLETE, OK, Ran, write

Kvstack = Callable[..., Ran]
STACK = """
stack: mail
principals:
  alice: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
vaults:
  mail-dev:
    access:
      - {principal: alice, role: Reader}
      - {principal: alice, role: Key Vault Certificate User}
    contacts: [{email: pki@example.com}]
    issuers: {digicert: {provider: DigiCert, account_id: "7"}}
"""
ISSUER, CONTACTS = "mail-dev/issuers/digicert", "mail-dev/contacts"


@pytest.fixture
def applied(folder: Path, kvstack: Kvstack) -> Path:
    write(folder, STACK)
    assert kvstack("apply", "--yes").code == OK
    assert kvstack("plan", "--detailed-exitcode").code == OK
    return folder


def addresses(listed: list[dict[str, Any]]) -> set[str]:
    return {one["address"] for one in listed}


def test_who_may_not_read_issuers_is_told_and_changes_none(applied: Path, kvstack: Kvstack) -> None:
    for verb in (
        ("certificate", "issuer", "create", "mail-dev", "digicert", "--provider", "Mallory"),
        ("certificate", "contact", "add", "mail-dev", "--email", "mallory@example.com"),
    ):
        assert kvstack(*verb).code == OK
    assert addresses(kvstack("drift", "--json").json["drift"]) == {ISSUER, CONTACTS}
    # A user of certificates sees who is told, and not who issues.
    ran = kvstack("--as", "alice", "plan", "--json", "--detailed-exitcode")
    assert ran.code == INCOMPLETE
    assert ISSUER in addresses(ran.json["unread"])
    assert addresses(ran.json["changes"]) == {CONTACTS}
    assert addresses(kvstack("--as", "alice", "drift", "--json").json["drift"]) == {CONTACTS}
    write(applied, STACK.replace("      - {principal: alice, role: Key Vault Certificate User}\n", ""))
    assert kvstack("apply", "--yes", "--target", "mail-dev/access").code == OK
    ran = kvstack("--as", "alice", "plan", "--json")
    assert {ISSUER, CONTACTS} <= addresses(ran.json["unread"])
    assert ran.json["changes"] == []
    # Who may, brings both back, with what else drifted there.
    shown = kvstack("plan", "--json").json
    assert {change["address"]: change["action"] for change in shown["changes"]} == {
        ISSUER: "update",
        CONTACTS: "update",
    }
    assert kvstack("apply", "--yes").code == OK
    assert kvstack("certificate", "issuer", "show", "mail-dev", "digicert", "--json").json["provider"] == "DigiCert"
    assert kvstack("drift").code == OK


@pytest.mark.parametrize("address", [ISSUER, CONTACTS])
def test_what_is_there_already_is_taken_over_when_asked(applied: Path, kvstack: Kvstack, address: str) -> None:
    assert kvstack("state", "forget", address).code == OK
    ran = kvstack("plan", "--json", "--detailed-exitcode")
    assert (ran.code, [change["action"] for change in ran.json["changes"]]) == (ERROR, ["refuse"])
    assert any(f"kvstack import {address}" in reason for reason in ran.json["changes"][0]["reasons"])
    assert kvstack("import", address).code == OK
    assert kvstack("plan", "--detailed-exitcode").code == OK
    assert kvstack("drift").code == OK


def test_a_new_address_for_an_issuer_is_a_move(applied: Path, kvstack: Kvstack) -> None:
    write(applied, STACK.replace("digicert: {", "company: {name: digicert, "))
    ran = kvstack("plan", "--json", "--detailed-exitcode")
    assert (ran.code, [change["action"] for change in ran.json["changes"]]) == (CHANGES, ["move"])
    assert kvstack("apply", "--yes").code == OK
    assert kvstack("plan", "--detailed-exitcode").code == OK


def test_a_lost_state_knows_again_what_is_as_declared_and_no_other(applied: Path, kvstack: Kvstack) -> None:
    assert kvstack("certificate", "contact", "add", "mail-dev", "--email", "mallory@example.com").code == OK
    (applied / ".kvstack" / "state" / "mail.json").unlink()
    assert kvstack("state", "rebuild", "--yes").code == OK
    ran = kvstack("plan", "--json")
    assert {change["address"]: change["action"] for change in ran.json["changes"]} == {CONTACTS: "refuse"}


def test_all_that_was_destroyed_comes_back(applied: Path, kvstack: Kvstack) -> None:
    assert kvstack("destroy", "--yes").code == OK
    assert kvstack("apply", "--yes").code == OK
    assert kvstack("plan", "--detailed-exitcode").code == OK
    listed = kvstack("certificate", "contact", "list", "mail-dev", "--json").json["contacts"]
    assert [one["email"] for one in listed] == ["pki@example.com"]
