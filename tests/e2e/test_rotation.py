"""A stack's rotation, from its declaration to the value a program gets: never drift, and changed by apply."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.e2e.command_line import ERROR, OK, Ran, write
from tests.e2e.forks import Forks

NOW = datetime.now(UTC)
STACK = """
stack: timed
vaults:
  timed-one:
    keys:
      sign: {{type: EC, rotation: {{every: P30D, expire_after: P90D, keep_previous: P10D{off}}}}}
    secrets:
      drawn: {{value_from: {{generate: {{length: {length}, characters: hex}}}}, rotation: {{every: P30D{off}}}}}
"""


class Stack:
    """A stack in a vault whose clock is moved."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        initialise(folder, hsm=False, prepare=initialise_access, simulated_clock=True).close()
        self._folder = folder
        self._forks = forks
        self._days = 0

    def run(self, *arguments: str) -> Ran:
        return self._forks.run("-C", str(self._folder), *arguments)

    def good(self, *arguments: str) -> Ran:
        ran = self.run(*arguments)
        assert ran.code == OK, str(ran)
        return ran

    def declare(self, *, length: int = 20, off: str = "") -> None:
        write(self._folder, STACK.format(length=length, off=off))

    def after(self, days: int) -> list[tuple[str, str]]:
        """Let days pass. Returns what was done."""
        self._days += days
        at = NOW + timedelta(days=self._days, hours=1)
        done = self.good("run-due", "--at", at.isoformat(), "--json").json["done"]
        return sorted((one["action"], one["name"]) for one in done)

    def require_unchanged(self) -> None:
        self.good("plan", "--detailed-exitcode")
        self.good("drift")

    @property
    def value(self) -> str:
        return self.good("secret", "show", "timed-one/drawn", "--value").out


@pytest.fixture
def stack(tmp_path: Path, forks: Forks) -> Stack:
    made = Stack(tmp_path, forks)
    made.declare()
    made.good("apply", "--yes")
    return made


def test_what_is_declared_is_rotated_and_nothing_has_drifted(stack: Stack) -> None:
    values = [stack.value]
    for _ in range(3):
        assert {("rotate", "drawn"), ("rotate", "sign")} <= set(stack.after(31))
        stack.require_unchanged()
        values.append(stack.value)
    assert len(set(values)) == 4
    assert all(re.fullmatch("[0-9a-f]{20}", value) for value in values)


def test_what_is_changed_counts_from_the_next_apply(stack: Stack) -> None:
    stack.declare(length=24)
    stack.good("apply", "--yes")
    stack.after(31)
    assert re.fullmatch("[0-9a-f]{24}", stack.value)
    stack.declare(length=24, off=", enabled: false")
    stack.good("apply", "--yes")
    stack.require_unchanged()
    # What was followed while it was on still ends.
    assert stack.after(31) == [("disable-previous", "sign")]
    stack.declare(length=24)
    stack.good("apply", "--yes")
    assert stack.after(1) == [("rotate", "drawn"), ("rotate", "sign")]


def test_what_cannot_be_is_refused_with_its_line(stack: Stack) -> None:
    stack.declare(off=", before_expiry: P7D")
    refused = stack.run("plan")
    assert refused.code == ERROR
    assert "kvstack.yaml:5:" in refused.told
    assert "not by both" in refused.told
