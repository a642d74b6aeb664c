"""A full or a read-only disk: told, nothing half done, and once it is mended the next apply completes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import ERROR, OK, Ran, copied, write
from tests.e2e.disks import Disk, disk
from tests.e2e.forks import Forks

SECRETS = "\n".join(f"      s{n}: {{value_from: {{env: VALUE}}}}" for n in range(60))
KEYS = "\n".join(f"      k{n}: {{type: EC%s}}" for n in range(6))
STACK = f"stack: disk\nvaults:\n  disk-one:\n    sku: premium\n    keys:\n{KEYS}\n    secrets:\n{SECRETS}\n"
VALUE = {"VALUE": "v" * 3000}
FULL = ("no space is left", "No space left", "The disk is full")


@pytest.fixture
def whole(software_vault: Path, tmp_path: Path) -> Iterator[Disk]:
    """A disk with all of a stack's folder on it."""
    with disk(tmp_path / "disk", megabytes=8) as found:
        copied(software_vault, found.folder)
        write(found.folder, STACK.replace("%s", ""))
        yield found


@pytest.fixture
def of_state(folder: Path) -> Iterator[Disk]:
    """A disk with only the state on it."""
    with disk(folder / "state", megabytes=1) as found:
        write(folder, STACK.replace("%s", "") + "state: {path: state}\n")
        yield found


def verb(forks: Forks, folder: Path, *arguments: str) -> Ran:
    return forks.run("-C", str(folder), *arguments, environ=VALUE)


def require_completed(forks: Forks, folder: Path) -> None:
    ran = verb(forks, folder, "apply", "--yes")
    assert ran.code == OK, str(ran)
    assert verb(forks, folder, "plan", "--detailed-exitcode").code == OK
    facts = forks.facts(folder)
    assert facts["audit"] is None
    assert len(facts["things"]) == 67
    assert set(facts["things"].values()) == {1}


@pytest.mark.parametrize("leaving", [0, 4096, 40_000, 80_000, 150_000, 300_000])
def test_a_full_disk_is_told_and_the_apply_completed_later(leaving: int, whole: Disk, forks: Forks) -> None:
    whole.fill(leaving=leaving)
    ran = verb(forks, whole.folder, "apply", "--yes")
    assert ran.code == ERROR, str(ran)
    assert any(words in ran.told for words in FULL), str(ran)
    again = verb(forks, whole.folder, "plan")
    assert again.code in (OK, ERROR)
    whole.empty()
    require_completed(forks, whole.folder)


@pytest.mark.parametrize("leaving", [0, 4096, 8192, 12_288])
def test_a_full_disk_for_the_state_is_told_and_nothing_made_twice(
    leaving: int, of_state: Disk, folder: Path, forks: Forks
) -> None:
    of_state.fill(leaving=leaving)
    ran = verb(forks, folder, "apply", "--yes")
    assert ran.code == ERROR, str(ran)
    assert "the state cannot be" in ran.told
    assert "No space left" in ran.told
    of_state.empty()
    require_completed(forks, folder)


def test_a_read_only_disk_is_told(whole: Disk, forks: Forks) -> None:
    whole.read_only(True)
    for arguments in (["plan"], ["apply", "--yes"], ["drift"], ["state", "list"], ["plan", "--json"]):
        ran = verb(forks, whole.folder, *arguments)
        assert ran.code == ERROR
        assert "ead-only" in ran.told or "readonly" in ran.told or "nothing is recorded" in ran.told, str(ran)
    assert verb(forks, whole.folder, "validate").code == OK
    whole.read_only(False)
    require_completed(forks, whole.folder)


def test_a_read_only_disk_for_the_state_is_told_before_anything_is_done(
    of_state: Disk, folder: Path, forks: Forks
) -> None:
    of_state.read_only(True)
    ran = verb(forks, folder, "apply", "--yes")
    assert ran.code == ERROR
    assert "the state cannot be locked: Read-only file system" in ran.told
    assert verb(forks, folder, "plan").code == OK, "to look needs no state that can be written"
    assert forks.facts(folder)["things"] == {}
    of_state.read_only(False)
    require_completed(forks, folder)


def test_a_plan_on_a_full_disk_is_not_half_there(whole: Disk, forks: Forks, tmp_path: Path) -> None:
    with disk(tmp_path / "plans", megabytes=1) as plans:
        plans.fill(leaving=4096)
        file = plans.folder / "a.plan"
        ran = verb(forks, whole.folder, "plan", "--out", str(file))
        assert ran.code == ERROR
        assert f"the plan {file} cannot be written: No space left" in ran.told
        assert [path.name for path in plans.folder.iterdir()] == ["ballast"]


@pytest.mark.slow
def test_a_full_disk_under_the_token_is_told(hsm_vault: Path, tmp_path: Path, forks: Forks) -> None:
    with disk(tmp_path / "disk", megabytes=8) as found:
        copied(hsm_vault, found.folder)
        write(found.folder, STACK.replace("%s", "-HSM"))
        for leaving in (0, 4096, 20_000, 60_000):
            found.fill(leaving=leaving)
            ran = verb(forks, found.folder, "apply", "--yes")
            assert ran.code == ERROR, str(ran)
            found.empty()
        require_completed(forks, found.folder)
