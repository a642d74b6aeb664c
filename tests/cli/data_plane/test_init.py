"""`kvstack init` makes a vault, whole or not at all, and never touches one that is there."""

import stat
from pathlib import Path

import pytest

from kvstack.cli.first_files import stack_name, stack_text
from tests.cli.data_plane.shell import Shell

MODULE_VARIABLE = "KVSTACK_PKCS11_MODULE"


def snapshot(shell: Shell) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in shell.files()}


def test_a_vault_is_made_and_told_where(empty: Shell) -> None:
    result = empty.good("init", "--no-hsm")
    assert f"Made a vault in {empty.folder}/.kvstack." in result.text
    assert "Wrote .gitignore and kvstack.yaml." in result.text
    assert "-HSM keys are unavailable" in result.err
    assert "apt install softhsm2" in result.err.replace("\n    ", " ")
    assert "no recovery key" in result.err
    assert empty.good("vault", "list").text == "No vaults.\n"


def test_an_hsm_is_used_where_there_is_one(hsm: Shell) -> None:
    assert "softhsm" in hsm.good("hsm", "info").text
    assert "sku: premium" in (hsm.folder / "kvstack.yaml").read_text()


def test_json_tells_the_same(empty: Shell) -> None:
    result = empty.good("init", "--no-hsm", "--json", "--subscription", "0C3C2C6E-1b1f-4c3e-8f58-7a9f2f0b6c22")
    made = result.json
    assert made["keys"]["kind"] == "software"
    assert made["subscription_id"] == "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
    assert made["written"] == [".gitignore", "kvstack.yaml"]
    assert len(made["diagnostics"]) == 2
    assert result.err == ""


def test_the_folder_is_its_owners_alone(hsm: Shell) -> None:
    root = hsm.folder / ".kvstack"
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_init_again_changes_nothing(shell: Shell) -> None:
    (shell.folder / ".gitignore").unlink()
    (shell.folder / "kvstack.yaml").unlink()
    before = snapshot(shell)
    assert "there is a vault in" in shell.refused("init", "--no-hsm")
    assert snapshot(shell) == before


def test_what_is_there_is_kept(empty: Shell) -> None:
    (empty.folder / "kvstack.yaml").write_text("stack: mine\n")
    assert "Wrote .gitignore.\n" in empty.good("init", "--no-hsm").text
    assert (empty.folder / "kvstack.yaml").read_text() == "stack: mine\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ".kvstack/\n"),
        ("*.pyc\n", "*.pyc\n.kvstack/\n"),
        ("*.pyc", "*.pyc\n.kvstack/\n"),
        ("/.kvstack\n", "/.kvstack\n"),
        (".kvstack/\n!.kvstack/\n", ".kvstack/\n!.kvstack/\n.kvstack/\n"),
        ("# .kvstack/\n", "# .kvstack/\n.kvstack/\n"),
    ],
)
def test_git_ignores_the_vault_and_is_told_once(empty: Shell, before: str | None, after: str) -> None:
    if before is not None:
        (empty.folder / ".gitignore").write_text(before)
    empty.good("init", "--no-hsm")
    assert (empty.folder / ".gitignore").read_text() == after


def test_a_repository_that_ignores_it_already_is_left_alone(empty: Shell) -> None:
    (empty.folder / ".git").mkdir()
    (empty.folder / ".gitignore").write_text(".kvstack/\n")
    below = Shell(empty.folder / "stacks" / "payments")
    below.folder.mkdir(parents=True)
    below.good("init", "--no-hsm")
    assert not (below.folder / ".gitignore").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--no-hsm", "--module", "/nowhere.so"], "goes with no module"),
        (["--module", "/nowhere.so"], "there is no PKCS#11 module /nowhere.so"),
        (["--token-label", "mine"], "an existing token needs its PIN"),
        (["--pin-env", "A", "--pin-file", "b"], "not in both"),
        (["--pin-file", "/nowhere/pin"], "there is no PIN file"),
        (["--no-hsm", "--recovery-key", "/nowhere.pem"], "/nowhere.pem: No such file"),
        (["--no-hsm", "--recovery-key", __file__], "no public key in PEM"),
        (["--no-hsm", "--subscription", "mine"], "is no subscription id"),
        (["--no-hsm", "--resource-group", "a/b"], "cannot name a resource group"),
        (["--as", "alice"], "No such option"),
    ],
)
def test_bad_input_makes_nothing(empty: Shell, options: list[str], words: str) -> None:
    assert words in empty.refused("init", *options)
    assert [path for path in empty.files() if path.name != "init.lock"] == []


def test_a_module_that_is_none_is_refused(empty: Shell) -> None:
    said = empty.refused("init", "--module", __file__)
    assert "test_init.py" in said
    assert "Traceback" not in said
    assert not (empty.folder / "kvstack.yaml").exists()


def test_without_a_module_an_hsm_cannot_be_asked_for(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODULE_VARIABLE, "/nowhere.so")
    assert "/nowhere.so" in empty.refused("init", "--hsm")


def test_only_the_operator_makes_vaults(empty: Shell) -> None:
    assert "for the vault's operator alone" in Shell(empty.folder).refused("--as", "alice", "init")


@pytest.mark.parametrize("hsm", [True, False])
@pytest.mark.parametrize(
    "name", ["payments", "My Project_2", "2fast", "grüße", "x" * 60, "a-----------------------b", "日本"]
)
def test_the_first_stack_is_valid(tmp_path: Path, name: str, hsm: bool) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "kvstack.yaml").write_text(stack_text(stack_name(folder), hsm=hsm))
    result = Shell(folder)("validate")
    assert (result.code, result.err) == (0, ""), result


def test_the_first_stack_plans_and_applies_cleanly(empty: Shell) -> None:
    empty.good("init", "--no-hsm")
    assert "3 to create" in empty.good("plan").text
    empty.good("apply", "--yes")
    assert empty("plan", "--detailed-exitcode").code == 0
