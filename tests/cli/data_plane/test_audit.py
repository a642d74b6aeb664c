"""`kvstack audit`: what was done is told, and that the record of it was changed is found."""

import sqlite3

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell


def test_the_newest_records_are_shown_last(shell: Shell) -> None:
    shell.good("secret", "show", f"{VAULT}/db-password", "--value")
    shell("secret", "show", f"{VAULT}/nothing")
    lines = shell.good("audit", "tail", "-n", "2").text.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[2:] == ["SecretGet", f"vault/{VAULT}/secrets/db-password", "operator", "Success"] or (
        "SecretGet" in lines[1]
    )
    assert "SecretNotFound: there is no secret `nothing`" in lines[2]
    records = shell.good("audit", "tail", "--json").json["records"]
    assert [record["operation"] for record in records[-2:]] == ["SecretGet", "SecretGetProperties"]
    assert len(shell.good("audit", "tail", "-n", "1", "--json").json["records"]) == 1


def test_a_whole_audit_is_said_to_be_whole(shell: Shell) -> None:
    assert shell.good("audit", "verify").text.startswith("the audit is whole: ")
    report = shell.good("audit", "verify", "--json").json
    assert (report["whole"], report["problem"]) == (True, None)


def test_the_first_bad_record_is_named(shell: Shell) -> None:
    with sqlite3.connect(shell.folder / ".kvstack" / "vault" / "vault.db") as database:
        database.execute("UPDATE audit SET mac = zeroblob(32) WHERE position = 3")
    database.close()
    result = shell("audit", "verify")
    assert result.code == 1
    assert result.text.startswith("record 3 was edited, or does not belong here (it says ")
    report = shell("audit", "verify", "--json")
    assert (report.code, report.json["whole"], report.json["problem"]["position"]) == (1, False, 3)


def test_it_is_the_operators(shell: Shell) -> None:
    for verb in ("tail", "verify"):
        assert "for the vault's operator alone" in shell.refused("--as", "operator", "audit", verb)


def test_a_number_of_records_is_a_number(shell: Shell) -> None:
    for number in ("0", "-1", "x", "9" * 5000):
        assert "-n" in shell("audit", "tail", "-n", number).err or shell("audit", "tail", "-n", number).code == 0
