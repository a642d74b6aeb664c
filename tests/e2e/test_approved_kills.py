"""Killed at any step of an approved apply, the same plan applied again ends where an undisturbed one does."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.cli.planning.approving import STACK
from tests.e2e.command_line import ERROR, OK, copied, write
from tests.e2e.forks import Forks

KILLED = -9
TRIES = 16

BEFORE = (
    STACK
    + """
      third: {value_from: {generate: {length: 20}}}
      fourth: {value_from: {generate: {length: 20}}, lifecycle: {purge_on_delete: true}}
  shop-dev: {approval: {by: [on-call], for: [delete]}, secrets: {only: {value_from: {generate: {length: 20}}}}}
"""
)
# A deletion, a purge, the end of a vault, roles given and taken, a new secret, other approvers, another rule.
AFTER = (
    STACK.replace("signing: {type: EC}", "signing: {type: EC}\n      slow: {type: RSA}")
    .replace("      second: {value_from: {generate: {length: 20}}}\n", "")
    .replace("role: Key Vault Reader", "role: Key Vault Secrets User")
    .replace("members: [alice]", "members: [bob]")
    .replace("for: [delete, purge, access]", "for: [delete, purge]")
    + """
      third: {value_from: {generate: {length: 20}}}
      fifth: {value_from: {generate: {length: 20}}}
"""
)


def things(forks: Forks, folder: Path) -> Any:
    found = forks.facts(folder)
    assert found["audit"] is None
    return found["things"]


@pytest.mark.slow
def test_the_same_approved_plan_goes_on_where_it_was_killed(forks: Forks, folder: Path, tmp_path: Path) -> None:
    def run(where: Path, *arguments: str, **more: Any) -> Any:
        return forks.run("-C", str(where), *arguments, **more)

    write(folder, BEFORE)
    assert run(folder, "apply", "--yes").code == OK
    write(folder, AFTER)
    assert run(folder, "plan", "--out", str(folder / "saved.plan")).code == OK
    assert run(folder, "--as", "alice", "approve", str(folder / "saved.plan"), "--yes").code == OK

    undisturbed = copied(folder, tmp_path / "undisturbed")
    ran = run(undisturbed, "apply", str(undisturbed / "saved.plan"), steps=0)
    assert ran.code == OK, str(ran)
    steps = len(forks.steps)
    expected = things(forks, undisturbed)
    assert "shop-dev (deleted)" in expected
    assert "shop-prod/secrets/fourth (deleted)" not in expected

    for step in sorted(random.Random(7).sample(range(1, steps + 1), TRIES)):
        disturbed = copied(folder, tmp_path / f"step-{step}")
        killed = run(disturbed, "apply", str(disturbed / "saved.plan"), steps=step)
        assert killed.code == KILLED, f"step {step}\n{killed}"
        again = run(disturbed, "apply", str(disturbed / "saved.plan"))
        when = f"killed before step {step} of {steps}\n{again}"
        if again.code == ERROR:
            # The very last of it was done: the plan is used up, and nothing is left to do.
            assert "stale" in again.told, when
        else:
            assert again.code == OK, when
        assert things(forks, disturbed) == expected, when
        left = run(disturbed, "plan", "--detailed-exitcode")
        assert left.code == OK, f"{when}\n{left}"
        listed = run(disturbed, "approvals", "list", "--json").json["approvals"]
        assert [one["status"] for one in listed] == ["used"], when
