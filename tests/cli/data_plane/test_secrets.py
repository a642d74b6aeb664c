"""`kvstack secret`: values go in by standard input or a file, and come out only where they are asked for."""

import base64
import stat
from pathlib import Path

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

SECRET = f"{VAULT}/db-password"


@pytest.mark.parametrize(
    "value", [b"", b"hunter2", b"two\nlines\n", b"newline\n", bytes(range(256)), "schlüssel".encode()]
)
def test_a_value_comes_back_byte_for_byte(shell: Shell, tmp_path: Path, value: bytes) -> None:
    shell.good("secret", "set", SECRET, stdin=value)
    assert shell.good("secret", "show", SECRET, "--value").out == value
    (tmp_path / "value").write_bytes(value)
    shell.good("secret", "set", f"{VAULT}/from-file", "--file", str(tmp_path / "value"))
    target = tmp_path / "out"
    shell.good("secret", "download", f"{VAULT}/from-file", "--file", str(target))
    assert target.read_bytes() == value
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_newline_is_kept_and_mentioned(shell: Shell) -> None:
    assert "ends with a newline" in shell.good("secret", "set", SECRET, stdin=b"hunter2\n").err
    assert shell.good("secret", "set", SECRET, stdin=b"line\nline\n").err == ""
    assert shell.good("secret", "set", SECRET, "--trim-newline", stdin=b"hunter2\r\n").err == ""
    assert shell.good("secret", "show", SECRET, "--value").out == b"hunter2"


def test_a_value_is_shown_only_when_asked_for(shell: Shell) -> None:
    for options in ([], ["--json"]):
        assert b"hunter2" not in shell.good("secret", "show", SECRET, *options).out
        assert b"hunter2" not in shell.good("secret", "list", VAULT, *options).out
        assert b"hunter2" not in shell.good("secret", "list-versions", SECRET, *options).out
    assert shell.good("secret", "show", SECRET, "--value").out == b"hunter2"
    assert shell.good("secret", "show", SECRET, "--value", "--json").json["value"] == "hunter2"


def test_a_value_that_is_no_text_is_base64_in_json(shell: Shell) -> None:
    shell.good("secret", "set", SECRET, stdin=b"\xff\x00")
    value = shell.good("secret", "show", SECRET, "--value", "--json").json["value"]
    assert base64.b64decode(value["base64"]) == b"\xff\x00"


def test_attributes_are_set_changed_and_taken_away(shell: Shell) -> None:
    made = shell.good(
        "secret", "set", SECRET, "--content-type", "text/plain", "--expires", "2030-01-31T01:00:00+01:00",
        "--not-before", "2029-01-01T00:00:00Z", "--tag", "team=payments", "--tag", "empty=", "--json", stdin=b"v",
    ).json  # fmt: skip
    assert made["expires"] == "2030-01-31T00:00:00Z"
    assert made["tags"] == {"team": "payments", "empty": ""}
    changed = shell.good(
        "secret", "set-attributes", SECRET, "--disabled", "--expires", "none", "--tag", "team=other",
        "--untag", "empty", "--json",
    ).json  # fmt: skip
    assert (changed["enabled"], changed["expires"], changed["tags"]) == (False, None, {"team": "other"})
    assert changed["not_before"] == "2029-01-01T00:00:00Z"
    assert changed["content_type"] == "text/plain"
    assert "enabled yes" in shell.good("secret", "set-attributes", SECRET, "--enabled").words


def test_versions_are_listed_and_read(shell: Shell) -> None:
    first = shell.good("secret", "show", SECRET, "--json").json["version"]
    second = shell.good("secret", "set", SECRET, "--json", stdin=b"new").json["version"]
    listed = shell.good("secret", "list-versions", SECRET, "--json").json["versions"]
    assert [one["version"] for one in listed] == [first, second]
    assert shell.good("secret", "show", SECRET, "--version", first, "--value").out == b"hunter2"
    assert [line.split()[0] for line in shell.good("secret", "list-versions", SECRET).text.splitlines()[1:]] == [
        first,
        second,
    ]


def test_a_secret_from_its_deletion_to_its_end(shell: Shell) -> None:
    assert f"kvstack secret recover {SECRET}" in shell.good("secret", "delete", SECRET).text
    assert shell.good("secret", "list", VAULT).text == "No secrets.\n"
    assert "db-password" in shell.good("secret", "list-deleted", VAULT).text
    for command in (["show", SECRET], ["set", SECRET], ["list-versions", SECRET], ["delete", SECRET]):
        assert f"`kvstack secret recover {SECRET}`" in shell.refused("secret", *command, stdin=b"x")
    assert shell.good("secret", "recover", SECRET).text == f"recovered secret {SECRET}\n"
    assert shell.good("secret", "show", SECRET, "--value").out == b"hunter2"
    shell.good("secret", "delete", SECRET)
    assert "nobody to ask" in shell.refused("secret", "purge", SECRET)
    assert shell.good("secret", "purge", SECRET, "--yes").text == f"purged secret {SECRET}\n"
    assert shell.good("secret", "list-deleted", VAULT).text == "No soft-deleted secrets.\n"


def test_what_is_protected_is_not_purged(shell: Shell) -> None:
    shell.good("vault", "create", "safe-vault", "--purge-protection")
    shell.good("secret", "set", "safe-vault/x", stdin=b"x")
    shell.good("secret", "delete", "safe-vault/x")
    assert "vault `safe-vault` is purge-protected" in shell.refused("secret", "purge", "safe-vault/x", "--yes")


def test_an_address_is_taken_for_the_thing_it_names(shell: Shell) -> None:
    assert shell.good("secret", "show", f"{VAULT}/secrets/db-password", "--value").out == b"hunter2"
    (shell.folder / "kvstack.yaml").write_text(
        "stack: s\nvaults:\n  pay:\n    name: payments-dev\n    secrets:\n      db: {name: db-password}\n"
    )
    assert shell.good("secret", "show", "pay/secrets/db", "--value").out == b"hunter2"
    (shell.folder / "kvstack.yaml").write_text("stack: s\nvaulst: {}\n")
    assert "vaulst" in shell.refused("secret", "show", "pay/secrets/db")
    assert shell.good("secret", "show", SECRET, "--value").out == b"hunter2"


@pytest.mark.parametrize(
    ("command", "stdin", "words"),
    [
        (["show", "payments-dve/db-password"], b"", "there is no vault `payments-dve` Did you mean `payments-dev`?"),
        (["show", f"{VAULT}/db-pasword"], b"", "Did you mean `db-password`?"),
        (["list-versions", f"{VAULT}/nothing"], b"", "there is no secret `nothing`"),
        (["show", SECRET, "--version", "0" * 32], b"", "there is no version of the secret"),
        (["show", SECRET, "--version", "newest"], b"", "there is no version of the secret"),
        (["show", "db-password"], b"", "is no secret"),
        (["show", f"{VAULT}/a/b/c"], b"", "is no secret"),
        (["show", f"{VAULT}/keys/signing"], b"", "is a key"),
        (["show", f"{VAULT}/a_b"], b"", "cannot name a key, secret or certificate"),
        (["set", SECRET], b"x" * 25601, "the value has more than 25600 bytes"),
        (["set", SECRET, "--file", "/nowhere"], b"", "/nowhere: No such file or directory"),
        (["set", SECRET, "--file", "/"], b"", "/: Is a directory"),
        (["set", SECRET, "hunter2"], b"", "unexpected extra argument"),
        (["set", SECRET, "--expires", "tomorrow"], b"", "`tomorrow` is no time"),
        (["set", SECRET, "--expires", "2030-01-31T00:00:00"], b"", "has no time zone"),
        (["set", SECRET, "--expires", "0001-01-01T00:00:00+12:00"], b"", "is no time"),
        (
            ["set", SECRET, "--expires", "2020-01-01T00:00Z", "--not-before", "2021-01-01T00:00Z"],
            b"",
            "not after not_before",
        ),
        (["set", SECRET, "--tag", "team"], b"", "is not NAME=VALUE"),
        (["set", SECRET, "--tag", "a=b", "--tag", "a=c"], b"", "is given twice"),
        (["set", SECRET, "--content-type", "x" * 256], b"", "at most 255 characters"),
        (["set", SECRET, "--content-type", "\udcff"], b"", "it is not UTF-8"),
        (["set", SECRET, *(f"--tag=t{n}=v" for n in range(16))], b"", "16 tags: a vault takes 15"),
        (["purge", SECRET, "--yes"], b"", "there is no soft-deleted secret"),
        (["recover", SECRET], b"", "there is no soft-deleted secret"),
        (["download", SECRET], b"", "Missing option '--file'"),
        (["download", SECRET, "--file", "/nowhere/x"], b"", "/nowhere"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, command: list[str], stdin: bytes, words: str) -> None:
    assert words in shell.refused("secret", *command, stdin=stdin)


def test_the_longest_value_is_taken(shell: Shell) -> None:
    shell.good("secret", "set", SECRET, stdin=b"x" * 25600)


def test_a_file_is_never_overwritten(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.write_text("precious")
    assert "there already" in shell.refused("secret", "download", SECRET, "--file", str(target))
    assert target.read_text() == "precious"


def test_a_disabled_secret_keeps_its_value(shell: Shell, tmp_path: Path) -> None:
    shell.good("secret", "set-attributes", SECRET, "--disabled")
    assert "is disabled" in shell.refused("secret", "show", SECRET, "--value")
    assert "is disabled" in shell.refused("secret", "download", SECRET, "--file", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()
    assert "enabled no" in shell.good("secret", "show", SECRET).words


def test_what_a_vault_holds_cannot_move_the_cursor(shell: Shell) -> None:
    evil = "\x1b[2J\u202ehidden\nline"
    shell.good("secret", "set", SECRET, "--content-type", evil, "--tag", f"a={evil}", stdin=b"v")
    for command in (["show", SECRET], ["list", VAULT]):
        shown = shell.good("secret", *command).text
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\x1b[2J\\u202ehidden\\nline" in shown


def test_errors_are_json_where_json_was_asked_for(shell: Shell) -> None:
    result = shell("secret", "show", f"{VAULT}/nothing", "--json")
    assert (result.code, result.err) == (1, "")
    assert "there is no secret `nothing`" in result.json["diagnostics"][0]["summary"]


def test_another_principal_may_only_what_it_may(shell: Shell) -> None:
    reader = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
    assert "there is no principal" in shell.refused("--as", reader, "secret", "show", SECRET)
    assert "knows no principal `alice`" in shell.refused("--as", "alice", "secret", "show", SECRET)
    (shell.folder / "kvstack.yaml").write_text(
        f"stack: s\nprincipals:\n  alice: {{type: user, id: {reader}}}\naccess:\n"
        f"  - {{principal: alice, role: Key Vault Reader, scope: vault/{VAULT}}}\n"
    )
    shell.good("apply", "--yes")
    assert "db-password" in shell.good("--as", "alice", "secret", "list", VAULT).text
    assert shell.refused("--as", "alice", "secret", "show", SECRET, "--value").startswith("error: ")
    assert "hunter2" not in shell("--as", "alice", "secret", "show", SECRET, "--value").text
