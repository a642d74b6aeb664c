"""An HSM that is not as it was: a wrong PIN, a token that is missing, reset, or gone in the middle of an apply."""

import os
import select
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.e2e.command_line import ERROR, OK, Ran, begun, copied, ended, write
from tests.e2e.forks import Forks

Kvstack = Callable[..., Ran]
STACK = """
stack: held
vaults:
  held-one:
    sku: premium
    keys:
      signing: {type: EC-HSM}
    secrets:
      drawn: {value_from: {generate: {length: 20}}}
"""


@pytest.fixture
def applied(hsm_folder: Path, hsm_kvstack: Kvstack) -> Path:
    write(hsm_folder, STACK)
    assert hsm_kvstack("apply", "--yes").code == OK
    return hsm_folder


def wrong_pin(hsm: Path) -> None:
    (hsm / "pin").write_text("0" * 32)


def empty_pin(hsm: Path) -> None:
    (hsm / "pin").write_text("")


def missing_pin(hsm: Path) -> None:
    (hsm / "pin").unlink()


def binary_pin(hsm: Path) -> None:
    (hsm / "pin").write_bytes(b"\xff\xfe\0")


def open_pin(hsm: Path) -> None:
    (hsm / "pin").chmod(0o644)


def missing_tokens(hsm: Path) -> None:
    shutil.rmtree(hsm / "tokens")


def empty_tokens(hsm: Path) -> None:
    shutil.rmtree(hsm / "tokens")
    (hsm / "tokens").mkdir()


def emptied_objects(hsm: Path) -> None:
    for path in (hsm / "tokens").glob("*/*.object"):
        if path.name != "token.object":
            path.unlink()


def truncated_objects(hsm: Path) -> None:
    for path in (hsm / "tokens").glob("*/*.object"):
        if path.name != "token.object":
            path.write_bytes(path.read_bytes()[:100])


def missing_module(hsm: Path) -> None:
    configuration = msgspec.json.decode((hsm / "hsm.json").read_bytes())
    (hsm / "hsm.json").write_bytes(msgspec.json.encode({**configuration, "module": "/nowhere/module.so"}))


def foreign_module(hsm: Path) -> None:
    (hsm / "module.so").write_text("not a library")
    configuration = msgspec.json.decode((hsm / "hsm.json").read_bytes())
    (hsm / "hsm.json").write_bytes(msgspec.json.encode({**configuration, "module": str(hsm / "module.so")}))


def missing_configuration(hsm: Path) -> None:
    (hsm / "hsm.json").unlink()


def damaged_configuration(hsm: Path) -> None:
    (hsm / "hsm.json").write_bytes(b'{"module": 7')


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (wrong_pin, "PIN"),
        (empty_pin, "is empty"),
        (missing_pin, "PIN file"),
        (binary_pin, "PIN"),
        (open_pin, "can be read by everybody"),
        (missing_tokens, "is missing"),
        (empty_tokens, "is missing"),
        (emptied_objects, "does not have the vault's key-encryption key"),
        (truncated_objects, "HSM"),
        (missing_module, "/nowhere/module.so"),
        (foreign_module, "module.so"),
        (missing_configuration, "hsm.json"),
        (damaged_configuration, "hsm.json"),
    ],
    ids=lambda case: getattr(case, "__name__", "").replace("_", " "),
)
def test_what_is_wrong_with_the_hsm_is_told(
    fault: Callable[[Path], None], words: str, applied: Path, hsm_kvstack: Kvstack
) -> None:
    hsm = applied / ".kvstack/hsm"
    whole = copied(hsm, applied / "whole")
    fault(hsm)
    for verb in (["plan"], ["apply", "--yes"], ["drift"], ["plan", "--json"], ["state", "rebuild", "--yes"]):
        ran = hsm_kvstack(*verb)
        assert ran.code == ERROR
        assert words in ran.told, str(ran)
    shutil.rmtree(hsm)
    shutil.copytree(whole, hsm)
    assert hsm_kvstack("plan", "--detailed-exitcode").code == OK, "mended, all is as before"


def test_a_token_made_anew_is_refused(applied: Path, tmp_path: Path, forks: Forks, hsm_kvstack: Kvstack) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert forks.run("-C", str(other), "init", "--hsm").code == OK
    hsm = applied / ".kvstack/hsm"
    shutil.rmtree(hsm / "tokens")
    shutil.copytree(other / ".kvstack/hsm/tokens", hsm / "tokens")
    ran = hsm_kvstack("plan")
    assert ran.code == ERROR
    assert "is another one: its serial is" in ran.told


def test_a_token_lost_in_the_middle_of_an_apply_is_told_and_mended(
    hsm_folder: Path, hsm_kvstack: Kvstack, forks: Forks
) -> None:
    many = 2 * (os.cpu_count() or 2) + 2
    wait = "echo x > began; while ! [ -e go ]; do sleep 0.02; done; echo value"
    secrets = "\n".join(f'      s{n}: {{value_from: {{command: [sh, -c, "{wait}"]}}}}' for n in range(many))
    keys = "\n".join(f"      k{n}: {{type: EC-HSM}}" for n in range(8))
    write(
        hsm_folder,
        f"stack: held\nvaults:\n  held-one:\n    secrets:\n{secrets}\n"
        f"  held-two:\n    sku: premium\n    keys:\n{keys}\n",
    )
    os.mkfifo(hsm_folder / "began")
    listening = os.open(hsm_folder / "began", os.O_RDWR)
    process = begun(hsm_folder, "apply", "--yes")
    try:
        assert select.select([listening], [], [], 30)[0]
        tokens = hsm_folder / ".kvstack/hsm/tokens"
        tokens.rename(tokens.with_name("elsewhere"))
        (hsm_folder / "go").touch()
        ran = ended(process)
    finally:
        process.kill()
        os.close(listening)
    # Whether a module notices that its files are gone is its own affair; what is told and recorded is ours.
    assert ran.code in (OK, ERROR), str(ran)
    assert hsm_kvstack("plan").code == ERROR
    tokens.with_name("elsewhere").rename(tokens)
    assert hsm_kvstack("apply", "--yes").code == OK
    assert hsm_kvstack("plan", "--detailed-exitcode").code == OK
    facts = forks.facts(hsm_folder)
    assert facts["audit"] is None
    assert set(facts["things"].values()) == {1}
    assert len(facts["things"]) == 2 + many + 8
    for n in range(8):
        signed = hsm_kvstack("key", "sign", f"held-two/k{n}", "--file", str(hsm_folder / "kvstack.yaml"))
        assert signed.code == OK, "every key that was recorded can be used"
