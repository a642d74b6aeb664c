"""Keys by files: imported, backed up, restored; secrets that keys give."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

KEY = f"{VAULT}/signing"


def openssl(*arguments: str, folder: Path) -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True).stdout


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """An RSA key in encrypted PKCS#8, its public half beside it."""
    openssl("genrsa", "-out", "plain.pem", "2048", folder=tmp_path)
    openssl("rsa", "-in", "plain.pem", "-pubout", "-out", "public.pem", folder=tmp_path)
    openssl("pkcs8", "-topk8", "-in", "plain.pem", "-passout", "pass:word", "-out", "key.pem", folder=tmp_path)
    return tmp_path / "key.pem"


def test_openssl_verifies_what_an_imported_key_signed(hsm: Shell, pem: Path) -> None:
    (pem.parent / "word").write_text("word\n")
    hsm.good(
        "key", "import", f"{VAULT}/k", "--file", str(pem), "--hsm", "--password-file", str(pem.parent / "word")
    )  # fmt: skip
    shown = hsm.good("key", "show", f"{VAULT}/k", "--json").json
    assert (shown["type"], shown["size"], shown["provider"]) == ("RSA-HSM", 2048, "pkcs11-wrapped")
    assert hsm.good("key", "show", f"{VAULT}/k", "--public").out == (pem.parent / "public.pem").read_bytes()
    (pem.parent / "data").write_bytes(b"payment")
    hsm.good("key", "sign", f"{VAULT}/k", "--file", str(pem.parent / "data"), "--out", str(pem.parent / "signature"))
    command = ("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "data")
    assert openssl(*command, folder=pem.parent) == b"Verified OK\n"


def test_a_wrong_or_missing_password_is_told_and_nothing_is_stored(
    shell: Shell, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is encrypted: give its password" in shell.refused("key", "import", f"{VAULT}/k", "--file", str(pem))
    monkeypatch.setenv("THE_PASSWORD", "wrong")
    said = shell.refused("key", "import", f"{VAULT}/k", "--file", str(pem), "--password-env", "THE_PASSWORD")
    assert "or the password is wrong" in said
    assert "there is no key `k`" in shell.refused("key", "show", f"{VAULT}/k")


def test_a_file_others_can_read_is_noted(shell: Shell, pem: Path) -> None:
    plain = pem.parent / "plain.pem"
    plain.chmod(0o644)
    assert "others on this machine can read" in shell.good("key", "import", f"{VAULT}/k", "--file", str(plain)).err
    plain.chmod(0o600)
    assert shell.good("key", "import", f"{VAULT}/k", "--file", str(plain)).err == ""


def test_a_key_is_backed_up_and_restored(shell: Shell, tmp_path: Path) -> None:
    shell.good("key", "rotate", KEY)
    before = shell.good("key", "list-versions", KEY, "--json").json
    signature = shell.good("key", "sign", KEY, stdin=b"data").text.strip()
    file = tmp_path / "backup"
    assert shell.good("key", "backup", KEY, "--file", str(file)).out == b""
    assert file.stat().st_mode & 0o777 == 0o600
    assert "there is a file" in shell.refused("key", "backup", KEY, "--file", str(file))
    assert "only where its name is free" in shell.refused("key", "restore", VAULT, "--file", str(file))
    shell.good("key", "delete", KEY)
    assert "soft-deleted" in shell.refused("key", "restore", VAULT, "--file", str(file))
    shell.good("key", "purge", KEY, "--yes")
    assert shell.good("key", "restore", VAULT, "--file", str(file)).text == f"restored key {KEY} with 2 versions\n"
    assert shell.good("key", "list-versions", KEY, "--json").json == before
    shell.good("key", "verify", KEY, "--signature", signature, stdin=b"data")


def test_a_secret_is_backed_up_and_restored_and_a_changed_backup_is_refused(shell: Shell, tmp_path: Path) -> None:
    file, wrong = tmp_path / "backup", tmp_path / "wrong"
    shell.good("secret", "backup", f"{VAULT}/db-password", "--file", str(file))
    assert b"hunter2" not in file.read_bytes()
    shell.good("vault", "create", "other-dev")
    wrong.write_bytes(file.read_bytes()[:-1] + b"x")
    assert "does not open" in shell.refused("secret", "restore", "other-dev", "--file", str(wrong))
    assert "this is no backup" in shell.refused("secret", "restore", "other-dev", "--file", "-", stdin=b"garbage")
    restored = shell.good("secret", "restore", "other-dev", "--file", str(file), "--json").json
    assert (restored["vault"], restored["name"], restored["versions"]) == ("other-dev", "db-password", 1)
    assert shell.good("secret", "show", "other-dev/db-password", "--value").out == b"hunter2"


def test_random_bytes_are_printed(shell: Shell) -> None:
    drawn = shell.good("key", "random", VAULT, "--bytes", "24").text.strip()
    assert len(drawn) == 32
    assert "1 to 128 random bytes" in shell.refused("key", "random", VAULT, "--bytes", "129")


def test_a_secret_is_encapsulated_to_a_post_quantum_key(shell: Shell, tmp_path: Path) -> None:
    shell.good("key", "create", f"{VAULT}/kem", "--type", "ML-KEM-768")
    secret = shell.good("key", "encapsulate", f"{VAULT}/kem", "--out", str(tmp_path / "sent")).out
    assert shell.good("key", "decapsulate", f"{VAULT}/kem", "--file", str(tmp_path / "sent")).out == secret
    assert len(secret) == 32
    shell.good("key", "decapsulate", f"{VAULT}/kem", "--file", str(tmp_path / "sent"), "--out", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == secret
    assert "cannot encapsulate" in shell.refused("key", "encapsulate", KEY, "--out", str(tmp_path / "x"))


def test_data_is_signed_by_a_post_quantum_key(shell: Shell) -> None:
    shell.good("key", "create", f"{VAULT}/pq", "--type", "ML-DSA-65")
    signature = shell.good("key", "sign", f"{VAULT}/pq", stdin=b"data").text.strip()
    shell.good("key", "verify", f"{VAULT}/pq", "--signature", signature, stdin=b"data")
    assert shell("key", "verify", f"{VAULT}/pq", "--signature", signature, stdin=b"other").code == 1
    said = shell.refused("key", "sign", f"{VAULT}/pq", "--algorithm", "ML-DSA-44", stdin=b"data")
    assert "needs a key of type ML-DSA-44" in said


def test_data_gets_an_authentication_code(shell: Shell) -> None:
    shell.good("key", "create", f"{VAULT}/mac", "--type", "oct")
    code = shell.good("key", "sign", f"{VAULT}/mac", "--json", stdin=b"data").json
    assert code["algorithm"] == "HS256"
    shell.good("key", "verify", f"{VAULT}/mac", "--signature", code["signature"], stdin=b"data")
