"""Killed while making a vault, rebuilding or moving records: the same verb again ends it, and nothing is lost."""

import shutil
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from tests.cli.planning.small import ADDRESSES, STACK, TOKEN
from tests.e2e.command_line import OK, copied, write
from tests.e2e.forks import Forks

ENVIRONMENT = {"TOKEN": TOKEN}


@pytest.fixture
def applied(folder: Path, forks: Forks) -> Path:
    write(folder, STACK)
    assert forks.run("-C", str(folder), "apply", "--yes", environ=ENVIRONMENT).code == OK
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("hsm", ["--no-hsm", "--hsm"])
def test_init_killed_at_every_step_is_run_again(hsm: str, tmp_path: Path, forks: Forks) -> None:
    if hsm == "--hsm" and find_module() is None:
        pytest.skip("no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE")
    whole = tmp_path / "whole"
    whole.mkdir()
    assert forks.run("-C", str(whole), "init", hsm, steps=0).code == OK
    steps = forks.steps
    for step in range(1, len(steps) + 1):
        folder = tmp_path / f"killed-{step}"
        folder.mkdir()
        assert forks.run("-C", str(folder), "init", hsm, steps=step).code == -9
        again = forks.run("-C", str(folder), "init", hsm)
        if again.code != OK:
            assert "there is a vault in" in again.told, f"{step}: {steps[step - 1]}\n{again}"
        planned = forks.run("-C", str(folder), "plan")
        assert planned.code == OK, f"{step}: {steps[step - 1]}\n{planned}"
        assert not forks.facts(folder)["audit"]
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_rebuild_killed_at_every_step_loses_nothing(applied: Path, tmp_path: Path, forks: Forks) -> None:
    def verb(folder: Path, *arguments: str, steps: int | None = None) -> int:
        return forks.run("-C", str(folder), *arguments, environ=ENVIRONMENT, steps=steps).code

    undisturbed = copied(applied, tmp_path / "undisturbed")
    assert verb(undisturbed, "state", "rebuild", "--yes", steps=0) == OK
    for step in range(1, len(forks.steps) + 1):
        folder = copied(applied, tmp_path / "killed")
        assert verb(folder, "state", "rebuild", "--yes", steps=step) == -9
        # Whatever there is of it, it is good enough to plan with, and the rebuild can be run again.
        assert verb(folder, "plan", "--detailed-exitcode") == OK
        assert verb(folder, "state", "rebuild", "--yes") == OK
        assert forks.run("-C", str(folder), "state", "list").out.split() == _listed(forks, undisturbed)
        assert verb(folder, "plan", "--detailed-exitcode") == OK
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_move_killed_at_every_step_is_done_or_not(applied: Path, tmp_path: Path, forks: Forks) -> None:
    move = ("state", "move", "small-dev/secrets/drawn", "small-dev/secrets/other")
    undisturbed = copied(applied, tmp_path / "undisturbed")
    assert forks.run("-C", str(undisturbed), *move, steps=0).code == OK
    after = sorted(_listed(forks, undisturbed))
    for step in range(1, len(forks.steps) + 1):
        folder = copied(applied, tmp_path / "killed")
        assert forks.run("-C", str(folder), *move, steps=step).code == -9
        assert sorted(_listed(forks, folder)) in (sorted(ADDRESSES), after)
        shutil.rmtree(folder)


def _listed(forks: Forks, folder: Path) -> list[str]:
    return forks.run("-C", str(folder), "state", "list").out.split()
