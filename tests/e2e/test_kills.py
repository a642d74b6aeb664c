"""Killed at any step of an apply, the next apply ends where an undisturbed one does: nothing lost, nothing twice."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import copied, write
from tests.e2e.forks import Forks
from tests.e2e.stacks import CHANGED, FIRST, WITHOUT, stack

KILLED = -9


class Story:
    """A stack in a folder before its change, and what there is after a change that nothing disturbed."""

    def __init__(self, forks: Forks, before: Path, aside: Path) -> None:
        self.forks = forks
        self.before = before
        self.undisturbed = copied(before, aside)
        ran = forks.run("-C", str(aside), "apply", "--yes", environ=ENVIRONMENT, steps=0)
        assert ran.code == 0, str(ran)
        self.steps = forks.steps
        self.seconds = forks.seconds
        self.facts = forks.facts(aside)
        assert self.facts["audit"] is None
        ran = self.plan(aside)
        assert ran.code == 0, str(ran)

    def plan(self, folder: Path) -> Any:
        return self.forks.run("-C", str(folder), "plan", "--detailed-exitcode", environ=ENVIRONMENT)

    def require_mended(self, folder: Path, when: str) -> None:
        """Apply again, and find everything as in the undisturbed one."""
        again = self.forks.run("-C", str(folder), "apply", "--yes", environ=ENVIRONMENT)
        assert again.code == 0, f"{when}\n{again}"
        found = self.forks.facts(folder)
        assert found["audit"] is None, when
        assert found["things"] == self.facts["things"], when
        # What was given from outside is there; what was drawn is whole.
        for place in ("pay-one/secrets/from-env", "pay-one/secrets/from-file"):
            assert found["values"][place] == self.facts["values"][place], when
        empty = self.plan(folder)
        assert empty.code == 0, f"{when}\n{empty}"
        drift = self.forks.run("-C", str(folder), "drift", environ=ENVIRONMENT)
        assert drift.code == 0, f"{when}\n{drift}"


ENVIRONMENT = {"PAY_ENV": "second value"}


def first(forks: Forks, prepared: Path, folder: Path, *, hsm: bool) -> Path:
    copied(prepared, folder)
    write(folder, stack(FIRST, hsm=hsm))
    write(folder, "from a file", "value.txt")
    return folder


def to_be_changed(forks: Forks, prepared: Path, folder: Path, *, hsm: bool) -> Path:
    first(forks, prepared, folder, hsm=hsm)
    environ = {"PAY_ENV": "first value"}
    assert forks.run("-C", str(folder), "apply", "--yes", environ=environ).code == 0
    write(folder, stack(WITHOUT, hsm=hsm))
    assert forks.run("-C", str(folder), "apply", "--yes", environ=environ).code == 0
    assert forks.run("-C", str(folder), "state", "forget", "pay-one/secrets/adopted").code == 0
    write(folder, stack(CHANGED, hsm=hsm))
    return folder


@pytest.fixture(scope="module")
def creation(forks: Forks, hsm_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    base = tmp_path_factory.mktemp("creation")
    return Story(forks, first(forks, hsm_vault, base / "before", hsm=True), base / "undisturbed")


@pytest.fixture(scope="module")
def change(forks: Forks, hsm_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    base = tmp_path_factory.mktemp("change")
    return Story(forks, to_be_changed(forks, hsm_vault, base / "before", hsm=True), base / "undisturbed")


@pytest.fixture(params=["creation", "change"])
def story(request: pytest.FixtureRequest) -> Story:
    found: Story = request.getfixturevalue(request.param)
    return found


def test_the_change_needs_every_action(change: Story) -> None:
    shown = change.forks.run("-C", str(change.before), "plan", "--json", environ=ENVIRONMENT).json["summary"]
    assert {action for action, count in shown.items() if not count} == {"refuse"}


@pytest.mark.slow
def test_killed_at_every_step(story: Story, tmp_path: Path) -> None:
    # Two threads step through it in another order each time: a few steps more or fewer than one run has taken.
    killed = 0
    for step in range(1, len(story.steps) + 3):
        folder = copied(story.before, tmp_path / "stack")
        ran = story.forks.run("-C", str(folder), "apply", "--yes", environ=ENVIRONMENT, steps=step)
        assert ran.code in (0, KILLED), f"{step}\n{ran}"
        killed += ran.code == KILLED
        story.require_mended(folder, f"killed before step {step}: {story.steps[step - 1 : step]}")
        shutil.rmtree(folder)
    assert killed >= len(story.steps) * 9 // 10


@pytest.mark.slow
def test_killed_twice_at_steps_of_both_runs(change: Story, tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(10):
        folder = copied(change.before, tmp_path / "stack")
        steps = [chance.randrange(1, len(change.steps)) for _ in range(3)]
        for step in steps:
            change.forks.run("-C", str(folder), "apply", "--yes", environ=ENVIRONMENT, steps=step)
        change.require_mended(folder, f"killed at {steps}")
        shutil.rmtree(folder)


@pytest.mark.slow
def test_killed_at_random_instants(story: Story, tmp_path: Path) -> None:
    chance = random.Random(7)
    killed = 0
    for _ in range(20):
        folder = copied(story.before, tmp_path / "stack")
        after = chance.uniform(0, story.seconds)
        ran = story.forks.run("-C", str(folder), "apply", "--yes", environ=ENVIRONMENT, kill_after=after)
        killed += ran.code == KILLED
        story.require_mended(folder, f"killed after {after:.4f} s")
        shutil.rmtree(folder)
    assert killed > 3
