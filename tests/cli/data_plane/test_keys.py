"""`kvstack key`: keys made, and used on bytes that come and go by standard input, standard output and files."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

KEY = f"{VAULT}/signing"


def test_what_is_signed_is_verified(shell: Shell, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"x" * 3_000_000)
    signature = shell.good("key", "sign", KEY, "--file", str(data)).text.strip()
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    for options, stdin in (
        (["--file", str(data)], b""),
        ([], data.read_bytes()),
        (["--digest", digest], b""),
        (["--algorithm", "ES256"], data.read_bytes()),
    ):
        result = shell.good("key", "verify", KEY, "--signature", signature, *options, stdin=stdin)
        assert result.text == "valid\n"
    wrong = shell("key", "verify", KEY, "--signature", signature, stdin=b"other")
    assert (wrong.code, wrong.text) == (1, "invalid\n")
    wrong = shell("key", "verify", KEY, "--signature", signature, "--json", stdin=b"other")
    assert (wrong.code, wrong.json["valid"]) == (1, False)


@pytest.mark.parametrize(
    ("options", "algorithm"),
    [
        (["--type", "EC", "--curve", "P-384"], "ES384"),
        (["--type", "EC", "--curve", "P-521"], "ES512"),
        (["--type", "EC", "--curve", "P-256K"], "ES256K"),
        ([], "RS256"),
    ],
)
def test_the_algorithm_fits_the_key(shell: Shell, options: list[str], algorithm: str) -> None:
    shell.good("key", "create", f"{VAULT}/k", *options)
    made = shell.good("key", "sign", f"{VAULT}/k", "--json", stdin=b"data").json
    assert made["algorithm"] == algorithm
    shell.good("key", "verify", f"{VAULT}/k", "--signature", made["signature"], stdin=b"data")


def test_openssl_verifies_what_an_hsm_key_signed(hsm: Shell, tmp_path: Path) -> None:
    for name, content in (("data", b"payment"), ("public.pem", hsm.good("key", "show", KEY, "--public").out)):
        (tmp_path / name).write_bytes(content)
    hsm.good("key", "sign", KEY, "--file", str(tmp_path / "data"), "--out", str(tmp_path / "signature"))
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "data"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"Verified OK\n"
    hsm.good(
        "key", "verify", KEY, "--file", str(tmp_path / "data"), "--signature-file", str(tmp_path / "signature")
    )  # fmt: skip


@pytest.mark.parametrize("key", [["--type", "RSA"], ["--type", "oct"], ["--type", "oct", "--size", "128"]])
@pytest.mark.parametrize(("close", "open_"), [("encrypt", "decrypt"), ("wrap", "unwrap")])
@pytest.mark.parametrize("by_file", [True, False])
def test_what_is_encrypted_is_decrypted(
    shell: Shell, tmp_path: Path, key: list[str], close: str, open_: str, by_file: bool
) -> None:
    name, plaintext = f"{VAULT}/k", bytes(range(32))
    shell.good("key", "create", name, *key)
    if by_file:
        sealed, opened = tmp_path / "sealed", tmp_path / "opened"
        assert shell.good("key", close, name, "--out", str(sealed), stdin=plaintext).out == b""
        assert shell.good("key", open_, name, "--file", str(sealed), "--out", str(opened)).out == b""
        assert opened.read_bytes() == plaintext
        assert opened.stat().st_mode & 0o077 == 0
        assert "opened already" in shell.refused("key", open_, name, "--file", str(sealed), "--out", str(opened))
    else:
        text = shell.good("key", close, name, stdin=plaintext).out
        assert shell.good("key", open_, name, stdin=text).out == plaintext


def test_padded_cbc_is_one_piece_too(shell: Shell) -> None:
    shell.good("key", "create", f"{VAULT}/k", "--type", "oct")
    text = shell.good("key", "encrypt", f"{VAULT}/k", "--algorithm", "A256CBCPAD", stdin=b"plain").out
    assert shell.good("key", "decrypt", f"{VAULT}/k", "--algorithm", "A256CBCPAD", stdin=text).out == b"plain"


def test_a_rotated_key_opens_by_its_old_version(shell: Shell) -> None:
    shell.good("key", "create", f"{VAULT}/k", "--type", "oct", "--size", "256")
    sealed = shell.good("key", "encrypt", f"{VAULT}/k", "--json", stdin=b"plain").json
    text = shell.good("key", "encrypt", f"{VAULT}/k", stdin=b"plain").out
    said = shell.good("key", "rotate", f"{VAULT}/k").text
    assert said.startswith(f"rotated key {VAULT}/k (oct 256), version ")
    assert "cannot be decrypted" in shell.refused("key", "decrypt", f"{VAULT}/k", stdin=text)
    assert shell.good("key", "decrypt", f"{VAULT}/k", "--version", sealed["version"], stdin=text).out == b"plain"
    listed = shell.good("key", "list-versions", f"{VAULT}/k").text.splitlines()
    assert listed[1].split()[0] == sealed["version"]
    assert listed[2].endswith("rotation")


def test_what_is_known_of_a_key_is_shown(shell: Shell) -> None:
    assert "type EC P-256 operations sign, verify kept in the vault, encrypted" in shell.good("key", "show", KEY).words
    document = shell.good("key", "show", KEY, "--json", "--public").json
    assert (document["type"], document["curve"], document["public"]["crv"]) == ("EC", "P-256", "P-256")
    assert document["public_pem"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert "signing EC P-256 yes" in shell.good("key", "list", VAULT).words
    (listed,) = shell.good("key", "list", VAULT, "--json").json["keys"]
    assert (listed["name"], listed["versions"], listed["rotation"]) == ("signing", 1, None)


def test_attributes_are_changed(shell: Shell) -> None:
    changed = shell.good(
        "key", "set-attributes", KEY, "--operation", "verify", "--expires", "2030-01-01T00:00:00Z", "--tag", "a=b",
        "--json",
    ).json  # fmt: skip
    assert (changed["operations"], changed["expires"], changed["tags"]) == (
        ["verify"],
        "2030-01-01T00:00:00Z",
        {"a": "b"},
    )
    assert "may not sign" in shell.refused("key", "sign", KEY, stdin=b"x")
    shell.good("key", "set-attributes", KEY, "--disabled", "--operation", "sign")
    assert "is disabled" in shell.refused("key", "sign", KEY, stdin=b"x")


def test_a_key_from_its_deletion_to_its_end(shell: Shell) -> None:
    assert f"kvstack key recover {KEY}" in shell.good("key", "delete", KEY).text
    assert "signing" in shell.good("key", "list-deleted", VAULT).text
    assert f"`kvstack key recover {KEY}`" in shell.refused("key", "sign", KEY, stdin=b"x")
    shell.good("key", "recover", KEY)
    shell.good("key", "delete", KEY)
    assert "nobody to ask" in shell.refused("key", "purge", KEY)
    shell.good("key", "purge", KEY, "--yes")
    assert shell.good("key", "list", VAULT).text == "No keys.\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["create", f"{VAULT}/k", "--type", "RSA-HSM"], "standard vault and takes no RSA-HSM key"),
        (["create", f"{VAULT}/k", "--size", "1024"], "2048, 3072 or 4096 bits, not 1024"),
        (["create", f"{VAULT}/k", "--type", "EC", "--size", "256"], "has a `curve`, not a `size`"),
        (["create", f"{VAULT}/k", "--type", "DSA"], "'DSA' is not one of"),
        (["create", f"{VAULT}/k", "--type", "EC", "--operation", "encrypt"], "cannot encrypt"),
        (["sign", KEY, "--algorithm", "MD5"], "`MD5` is no algorithm to sign with"),
        (["sign", KEY, "--algorithm", "RS256"], "RS256 needs a key of type RSA"),
        (["sign", KEY, "--digest", "xyz"], "the digest is not hexadecimal"),
        (["sign", KEY, "--digest", "00"], "a digest of 32 bytes"),
        (["sign", KEY, "--digest", "00" * 32, "--file", "x"], "not both"),
        (["sign", KEY, "--file", "/nowhere"], "/nowhere: No such file"),
        (["sign", f"{VAULT}/sining"], "Did you mean `signing`?"),
        (["sign", f"{VAULT}/secrets/signing"], "is a secret"),
        (["verify", KEY], "give the signature"),
        (["verify", KEY, "--signature", "#"], "the signature is not base64url"),
        (["verify", KEY, "--signature", "é"], "the signature is not base64url"),
        (["encrypt", KEY], "an EC key cannot encrypt"),
        (["decrypt", KEY, "--algorithm", "A256GCM"], "A256GCM needs at least 28"),
        (["decrypt", KEY, "--algorithm", "RSA-OAEP"], "may not decrypt"),
        (["unwrap", KEY, "--algorithm", "A256GCM"], "no algorithm to wrap with"),
        (["show", KEY, "--version", "0" * 32], "there is no version of the key"),
        (["rotate", f"{VAULT}/nothing"], "there is no key `nothing`"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, command: list[str], words: str) -> None:
    assert words in shell.refused("key", *command)


def test_a_symmetric_key_has_no_public_half(shell: Shell) -> None:
    shell.good("key", "create", f"{VAULT}/k", "--type", "oct")
    assert "it has no public half" in shell.refused("key", "show", f"{VAULT}/k", "--public")


def test_more_than_a_key_is_for_is_refused(shell: Shell) -> None:
    shell.good("key", "create", f"{VAULT}/k", "--type", "oct")
    assert "more than 1048576 bytes" in shell.refused("key", "encrypt", f"{VAULT}/k", stdin=bytes(1048577))
    assert "bytes" in shell.refused("key", "wrap", f"{VAULT}/k", stdin=b"x" * 7)


def test_what_does_not_decrypt_says_no_more_than_that(shell: Shell) -> None:
    shell.good("key", "create", f"{VAULT}/k", "--type", "oct")
    assert "cannot be decrypted" in shell.refused("key", "decrypt", f"{VAULT}/k", stdin=b"A" * 80)
    assert "is not base64url" in shell.refused("key", "decrypt", f"{VAULT}/k", stdin=b"\xff\xfe")
