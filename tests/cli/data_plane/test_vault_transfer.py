"""`kvstack vault export` and `import`: a vault on another machine, by what is typed there."""

from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell
from tests.vault.service.pools import custodian_pair

PASSWORD = "correct horse battery"


@pytest.fixture
def there(tmp_path: Path) -> Shell:
    """Another machine, with a store of its own."""
    folder = tmp_path / "there"
    folder.mkdir()
    shell = Shell(folder)
    shell.good("init", "--no-hsm")
    return shell


@pytest.fixture
def password(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return str(file)


def test_a_vault_moves(shell: Shell, there: Shell, tmp_path: Path, password: str) -> None:
    file = tmp_path / "moving"
    said = shell.good("vault", "export", VAULT, "--file", str(file), "--password-file", password)
    assert said.err.strip().endswith("the vault payments-dev with 1 key, 1 secret, 0 certificates")
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"hunter2" not in file.read_bytes()
    done = there.good("vault", "import", "--file", str(file), "--password-file", password)
    assert done.text.startswith("imported vault payments-dev with 1 key, 1 secret, 0 certificates")
    assert there.good("secret", "show", f"{VAULT}/db-password", "--value").out == b"hunter2"
    assert "already" in there.refused("vault", "import", "--file", str(file), "--password-file", password)


def test_the_answers_are_json_too(
    shell: Shell, there: Shell, tmp_path: Path, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "moving")
    monkeypatch.setenv("MOVING", PASSWORD)
    made = shell.good("vault", "export", VAULT, "--file", file, "--password-env", "MOVING", "--json").json
    assert made == {
        "vault": VAULT,
        "file": file,
        "keys": 1,
        "secrets": 1,
        "certificates": 0,
        "access_policies": 0,
        "left": [],
    }
    done = there.good("vault", "import", "--file", file, "--password-env", "MOVING", "--json").json
    assert (done["vault"]["name"], done["keys"], done["left"]) == (VAULT, 1, [])


def test_what_is_wrong_is_said_and_holds_no_value(shell: Shell, there: Shell, tmp_path: Path, password: str) -> None:
    file = tmp_path / "moving"
    assert "password is needed" in shell.refused("vault", "export", VAULT, "--file", str(file))
    assert not file.exists()
    assert "Did you mean" in shell.refused(
        "vault", "export", "payments-dve", "--file", str(file), "--password-file", password
    )
    shell.good("vault", "export", VAULT, "--file", str(file), "--password-file", password)
    assert "already" in shell.refused("vault", "export", VAULT, "--file", str(file), "--password-file", password)
    changed = tmp_path / "changed"
    changed.write_bytes(file.read_bytes()[:-1])
    said = there.refused("vault", "import", "--file", str(changed), "--password-file", password)
    assert "the file does not open" in said
    assert "hunter2" not in said
    assert PASSWORD not in said
    assert there.good("vault", "list").text == "No vaults.\n"


def test_keys_in_another_token_stay_behind(hsm: Shell, there: Shell, tmp_path: Path, password: str) -> None:
    file = str(tmp_path / "moving")
    hsm.good("vault", "export", VAULT, "--file", file, "--password-file", password)
    said = there.refused("vault", "import", "--file", file, "--password-file", password)
    assert "keys/signing" in said
    assert there.good("vault", "list").text == "No vaults.\n"
    done = there.good("vault", "import", "--file", file, "--password-file", password, "--without-hsm-keys")
    assert done.text.startswith("imported vault payments-dev with 0 keys, 1 secret")
    assert "left out keys/signing" in done.err
    assert there.good("secret", "show", f"{VAULT}/db-password", "--value").out == b"hunter2"


@pytest.mark.skipif(find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2")
def test_keys_in_an_hsm_move_with_their_security_domain(tmp_path: Path, password: str) -> None:
    shells, quorum = [], []
    named: list[str] = []
    for number in range(3):
        public, private = custodian_pair(number)
        (tmp_path / f"{number}.pem").write_bytes(public)
        (tmp_path / f"{number}.key").write_bytes(private)
        named += ["--custodian", str(tmp_path / f"{number}.pem")]
        quorum += ["--custodian-key", str(tmp_path / f"{number}.key")]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shells.append(Shell(tmp_path / name))
        shells[-1].good("init", "--hsm", *named, "--quorum", "2")
    first, second = shells
    domain, file = str(tmp_path / "domain"), str(tmp_path / "moving")
    first.good("hsm", "security-domain", "download", "--file", domain)
    first.good("vault", "create", VAULT, "--sku", "premium")
    first.good("key", "create", f"{VAULT}/signing", "--type", "EC-HSM")
    first.good("vault", "export", VAULT, "--file", file, "--password-file", password)
    moving = ("vault", "import", "--file", file, "--password-file", password)
    assert "keys/signing" in second.refused(*moving)
    upload = ("hsm", "security-domain", "upload", "--file", domain, *quorum[:4])
    assert "--of-another-store" in second.refused(*upload)
    assert "is not for treasury" in second.refused(*upload, "treasury", "--of-another-store")
    second.good(*upload, "--of-another-store")
    assert "with 1 key" in second.good(*moving).text
    second.good("key", "sign", f"{VAULT}/signing", "--algorithm", "ES256", "--digest", "00" * 32)
