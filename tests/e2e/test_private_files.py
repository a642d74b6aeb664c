"""Whatever the umask, what kvstack writes is its owner's alone from the first byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from tests.cli.planning.small import STACK, TOKEN
from tests.e2e.command_line import OK, write
from tests.e2e.forks import Forks


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("hsm", ["--no-hsm", "--hsm"])
def test_every_file_is_private(umask: int, hsm: str, tmp_path: Path, forks: Forks) -> None:
    if hsm == "--hsm" and find_module() is None:
        pytest.skip("no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE")
    write(
        tmp_path,
        STACK
        if hsm == "--no-hsm"
        else STACK.replace("{type: EC}", "{type: EC-HSM}").replace("access:", "sku: premium\n    access:"),
    )
    plan = tmp_path / "saved.plan"

    def run(*arguments: str, steps: int | None = None) -> int:
        return forks.run("-C", str(tmp_path), *arguments, environ={"TOKEN": TOKEN}, umask=umask, steps=steps).code

    assert run("init", hsm) == OK
    assert run("plan", "--out", str(plan)) == OK
    assert run("apply", str(plan)) == OK
    assert plan.stat().st_mode & 0o777 == 0o600
    assert run("state", "rebuild", "--yes") == OK
    assert run("destroy", "--yes") == OK
    run("apply", "--yes", steps=60)  # killed with its journal and its database's log there
    modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / ".kvstack", *(tmp_path / ".kvstack").rglob("*"))}
    assert len(modes) > 10
    wrong = {
        str(path.relative_to(tmp_path)): oct(mode)
        for path, mode in modes.items()
        if mode & 0o077 or (path.is_dir() and mode != 0o700)
    }
    assert not wrong


def test_the_state_of_a_path_of_its_own_is_private_too(
    folder: Path, kvstack: Callable[..., object], forks: Forks
) -> None:
    write(folder, STACK + "state: {path: kept/here}\n")
    assert forks.run("-C", str(folder), "apply", "--yes", environ={"TOKEN": TOKEN}, umask=0).code == OK
    for path in (folder / "kept/here").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
    assert (folder / "kept/here").stat().st_mode & 0o777 == 0o700
