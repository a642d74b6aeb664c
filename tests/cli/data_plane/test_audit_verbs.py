"""`kvstack audit` by command: found, verified, anchored, archived, written out for other programs."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from kvstack.terms.principal import Principal
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import ROOT, Shell
from tests.vault.foundation.things import by_hand

ALICE = "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10"


def operations(shell: Shell, *options: str) -> list[str]:
    return [one["operation"] for one in shell.good("audit", "search", "--json", *options).json["records"]]


@pytest.fixture
def used(shell: Shell) -> Shell:
    """Alice was given a role, read the secret, and was refused to set it."""
    unlocked = unlock(shell.folder)
    service = VaultService(unlocked)
    service.put_principal(service.operator, Principal(ALICE, "user", "alice"))
    unlocked.close()
    shell.good("access", "assign", "--principal", ALICE, "--type", "user", "--role", "Key Vault Secrets User",
               "--scope", f"vault/{VAULT}")  # fmt: skip
    shell.good("--as", ALICE, "secret", "download", f"{VAULT}/db-password", "--file", str(shell.folder / "value"))
    shell.refused("--as", ALICE, "secret", "set", f"{VAULT}/db-password", stdin=b"x")
    return shell


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--principal", ALICE), ["SecretGet", "SecretSet"]),
        (("--principal", "Alice"), ["SecretGet", "SecretSet"]),
        (("--principal", ALICE, "--result", "forbidden*"), ["SecretSet"]),
        (("--operation", "SecretGet"), ["SecretGet"]),
        (("--operation", "secret?et", "--result", "Success"), ["SecretSet", "SecretGet"]),
        (("--resource", f"{VAULT}/secrets/db-password"), ["SecretSet", "SecretGet", "SecretSet"]),
        (("--resource", f"vault/{VAULT}/keys", "--operation", "Key*"), ["KeyCreate"]),
        (("--resource", f"{VAULT}/secrets/db"), []),
        (("--operation", "Secret*", "--limit", "1"), ["SecretSet"]),
        (("--since", "2100-01-01T00:00:00Z"), []),
        (("--until", "2000-01-01T00:00:00Z"), []),
        (("--principal", "nobody"), []),
    ],
)
def test_records_are_found_by_all_that_is_asked_for(used: Shell, options: tuple[str, ...], found: list[str]) -> None:
    assert operations(used, *options) == found


def test_a_record_names_the_assignment_that_allowed_it_and_none_where_it_was_refused(used: Shell) -> None:
    got, refused = used.good("audit", "search", "--json", "--principal", ALICE).json["records"]
    (assignment,) = (
        one["id"]
        for one in used.good("access", "list", "--json").json["role_assignments"]
        if one["principal_id"] == ALICE
    )
    assert (got["authorised_by"], refused["authorised_by"]) == ([assignment], [])
    assert got["duration_ms"] > 0
    assert refused["status"] == 403


def test_an_export_is_one_document_a_line_and_a_file_only_its_owner_reads(used: Shell, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    said = used.good("audit", "export", "--file", str(file)).text
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["position"] for line in lines] == list(range(1, len(lines) + 1))
    assert said.strip().endswith(f"{len(lines)} records")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "already" in used.refused("audit", "export", "--file", str(file))
    assert used.good("audit", "export").text.splitlines()[: len(lines)] == file.read_text().splitlines()


def test_an_export_for_azure_has_the_fields_of_an_audit_event(used: Shell) -> None:
    events: list[dict[str, Any]] = [
        json.loads(line) for line in used.good("audit", "export", "--format", "azure").text.splitlines()
    ]
    got = next(one for one in events if one["operationName"] == "SecretGet")
    refused = next(one for one in events if one["properties"]["httpStatusCode"] == 403)
    assert list(got) == [
        "time", "resourceId", "operationName", "operationVersion", "category", "resultType", "resultSignature",
        "resultDescription", "durationMs", "callerIpAddress", "correlationId", "identity", "properties",
    ]  # fmt: skip
    assert list(got["properties"]) == [
        "clientInfo", "requestUri", "id", "httpStatusCode", "isRbacAuthorized", "tlsVersion",
    ]  # fmt: skip
    assert got["resourceId"].endswith(f"/providers/Microsoft.KeyVault/vaults/{VAULT}")
    assert got["properties"]["id"].endswith(f"/vaults/{VAULT}/secrets/db-password")
    assert got["identity"]["claim"] == {"oid": ALICE, "appid": "", "upn": ""}
    assert (got["category"], got["resultType"], got["resultSignature"]) == ("AuditEvent", "Success", "OK")
    assert (refused["resultType"], refused["resultSignature"]) == ("Failed", "Forbidden")
    assert [one["properties"]["isRbacAuthorized"] for one in (got, refused)] == [True, False]


def test_verify_says_what_is_signed_and_an_anchor_what_was_put_back(used: Shell, tmp_path: Path) -> None:
    database = next(used.folder.rglob("vault.db"))
    before = database.read_bytes()
    used.good("secret", "set", f"{VAULT}/another", stdin=b"x")
    anchor = tmp_path / "anchor.json"
    used.good("audit", "anchor", "--file", str(anchor))
    assert anchor.stat().st_mode & 0o777 == 0o600
    assert "signed up to record" in used.good("audit", "verify").text
    assert used.good("audit", "verify", "--anchor", str(anchor), "--json").json["whole"] is True
    for log in database.parent.glob("vault.db-*"):
        log.unlink()
    database.write_bytes(before)
    assert used.good("audit", "verify", "--json").json["whole"] is True
    found = used("audit", "verify", "--anchor", str(anchor))
    assert found.code == 1
    assert "put back to an earlier time" in found.text


def test_a_record_that_was_edited_is_named_by_verify(used: Shell) -> None:
    with by_hand(next(used.folder.rglob("vault.db"))) as database:
        database.execute("UPDATE audit SET time = time + 1 WHERE position = 4")
    found = used("audit", "verify")
    assert found.code == 1
    assert found.text.startswith("record 4 was edited")
    problem = used("audit", "verify", "--json").json["problem"]
    assert (problem["position"], problem["operation"]) == (4, "SecretSet")


def test_what_is_archived_is_searched_and_verified_from_the_segment(used: Shell, tmp_path: Path) -> None:
    segment = str(tmp_path / "segment")
    before = operations(used, "--operation", "Secret*")
    said = used.good("audit", "archive", "--keep", "PT0S", "--file", segment).words
    assert said.startswith(f"wrote {segment}:")
    assert operations(used, "--operation", "Secret*") == []
    assert operations(used, "--operation", "Secret*", "--segment", segment) == before
    report = used.good("audit", "verify", "--segment", segment, "--json").json
    assert (report["whole"], report["first"]) == (True, 1)
    assert "from record" in used.good("audit", "verify").text
    exported = used.good("audit", "export", "--segment", segment).text.splitlines()
    assert [json.loads(line)["position"] for line in exported] == list(range(1, len(exported) + 1))


@pytest.mark.parametrize("options", [(), ("--keep", "P1D", "--until", "2030-01-01T00:00:00Z")])
def test_how_much_is_archived_has_to_be_said_once(shell: Shell, options: tuple[str, ...], tmp_path: Path) -> None:
    assert "say up to when" in shell.refused("audit", "archive", *options, "--file", str(tmp_path / "x"))


@pytest.mark.parametrize("verb", ["tail", "search", "export", "verify"])
def test_the_audit_is_not_for_others(shell: Shell, verb: str) -> None:
    assert "operator alone" in shell.refused("--as", ALICE, "audit", verb)


@pytest.mark.parametrize("as_json", [False, True])
def test_following_shows_what_comes_and_ends_when_interrupted(shell: Shell, as_json: bool) -> None:
    command = shell.command("audit", "tail", "-n", "1", "--follow", *(("--json",) if as_json else ()))
    following = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert following.stdout is not None
    try:
        shown = [following.stdout.readline()]
        if not as_json:
            shown.append(following.stdout.readline())
        shell.good("secret", "set", f"{VAULT}/followed", stdin=b"x")
        deadline = time.monotonic() + 20
        while b"SecretSet" not in (line := following.stdout.readline()) and time.monotonic() < deadline:
            shown.append(line)
        assert b"followed" in line
        if as_json:
            assert json.loads(line)["operation"] == "SecretSet"
    finally:
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=20)
    assert following.returncode == 130
    assert b"Traceback" not in err


def test_a_review_marks_what_nobody_used_in_every_form(used: Shell) -> None:
    used.good("access", "assign", "--principal", ALICE, "--type", "user", "--role", "Key Vault Crypto User",
              "--scope", f"vault/{VAULT}")  # fmt: skip
    found = used.good("access", "review", "--vault", VAULT, "--json").json
    mine = {one["role"]: one for one in found["access"] if one["principal_id"] == ALICE}
    assert {role: one["unused"] for role, one in mine.items()} == {
        "Key Vault Secrets User": False,
        "Key Vault Crypto User": True,
    }
    assert mine["Key Vault Crypto User"]["last_used"] is None
    assert found["uses_known_since"] is not None
    markdown = used.good("access", "review").text
    row = next(line for line in markdown.splitlines() if "Crypto User" in line)
    assert row.endswith("| `never` | `UNUSED` |")
    rows = used.good("access", "review", "--format", "csv", "--unused-for", "P90D").text.splitlines()
    assert rows[0].startswith("Who,Role,Scope")
    assert not any(row.endswith("UNUSED") for row in rows)


def forward_to(shell: Shell, *places: Path) -> None:
    file = shell.folder / ".kvstack" / "forward.json"
    there = [{"name": place.name, "to": f"file://{place}"} for place in places]
    file.write_text(json.dumps({"destinations": there}))
    file.chmod(0o600)


def test_records_are_forwarded_to_each_whatever_becomes_of_the_others(used: Shell, tmp_path: Path) -> None:
    assert "nowhere to forward to" in used.refused("audit", "forward")
    forward_to(used, tmp_path / "no-such-folder" / "gone", tmp_path / "there")
    found = used("audit", "forward")
    assert found.code == 1
    assert "`gone`" in found.err
    lines = (tmp_path / "there").read_text().splitlines()
    assert found.text.splitlines() == ["gone: 0 records, up to 0", f"there: {len(lines)} records, up to {len(lines)}"]
    forward_to(used, tmp_path / "there")
    assert used.good("audit", "forward", "--once", "--json").json == {"forwarded": [{"name": "there", "records": 0}]}
    assert "exclude" in used.refused("audit", "forward", "--once", "--follow")


def test_forwarding_goes_on_until_it_is_interrupted(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "target"
    forward_to(shell, tmp_path / "no-such-folder" / "gone", target)
    following = subprocess.Popen(
        shell.command("audit", "forward", "--follow"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert following.stdout is not None
    try:
        assert following.stdout.readline().startswith(b"target: ")
        shell.good("secret", "set", f"{VAULT}/followed", stdin=b"x")
        assert following.stdout.readline().startswith(b"target: 1 record")
    finally:
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=20)
    assert following.returncode == 130
    assert err.count(b"`gone`") == 1
    assert json.loads(target.read_text().splitlines()[-1])["operation"] == "SecretSet"
