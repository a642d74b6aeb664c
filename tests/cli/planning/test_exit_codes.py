"""The exit codes pipelines rely on: design section 9."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.planning.small import STACK, TOKEN
from tests.e2e.command_line import CHANGES, ERROR, INCOMPLETE, LOCKED, OK, Ran, environment, write
from tests.e2e.holder import holding

Kvstack = Callable[..., Ran]


@pytest.fixture
def applied(folder: Path, kvstack: Kvstack) -> Path:
    write(folder, STACK)
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    return folder


def changed(folder: Path) -> None:
    write(folder, STACK.replace("text/plain", "application/json"))


def drifted(kvstack: Kvstack) -> None:
    assert kvstack("secret", "delete", "small-dev/drawn").code == OK


def refused(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK.replace("access:", "soft_delete_retention_days: 7\n    access:"))


READS = [
    # verb, before anything was applied, applied, changed, drifted, refused
    (["plan"], OK, OK, OK, OK, ERROR),
    (["plan", "--detailed-exitcode"], CHANGES, OK, CHANGES, CHANGES, ERROR),
    (["plan", "--json", "--detailed-exitcode"], CHANGES, OK, CHANGES, CHANGES, ERROR),
    (["plan", "--markdown", "--detailed-exitcode"], CHANGES, OK, CHANGES, CHANGES, ERROR),
    (["plan", "--destroy", "--detailed-exitcode"], OK, CHANGES, CHANGES, CHANGES, CHANGES),
    (["drift"], OK, OK, OK, CHANGES, OK),
    (["drift", "--json"], OK, OK, OK, CHANGES, OK),
    (["validate"], OK, OK, OK, OK, OK),
    (["show", "small-dev/secrets/drawn"], OK, OK, OK, OK, OK),
    (["state", "list"], ERROR, OK, OK, OK, OK),
    (["state", "show", "small-dev/secrets/drawn"], ERROR, OK, OK, OK, OK),
    (["schema"], OK, OK, OK, OK, OK),
]


@pytest.mark.parametrize(("verb", "before", "after", "changes", "drift", "refusal"), READS, ids=lambda case: str(case))
def test_every_verb_that_reads_answers_with_its_code(
    verb: list[str],
    before: int,
    after: int,
    changes: int,
    drift: int,
    refusal: int,
    folder: Path,
    kvstack: Kvstack,
) -> None:
    write(folder, STACK)
    assert kvstack(*verb, TOKEN=TOKEN).code == before
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    assert kvstack(*verb, TOKEN=TOKEN).code == after
    changed(folder)
    assert kvstack(*verb, TOKEN=TOKEN).code == changes
    write(folder, STACK)
    drifted(kvstack)
    assert kvstack(*verb, TOKEN=TOKEN).code == drift
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    refused(folder, kvstack)
    assert kvstack(*verb, TOKEN=TOKEN).code == refusal


def test_apply_without_a_terminal_and_without_yes_changes_nothing(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK)
    for verb in (["apply"], ["apply", "--json"], ["destroy"]):
        ran = kvstack(*verb, TOKEN=TOKEN)
        if verb == ["destroy"]:
            assert ran.code == OK, "there is nothing to destroy, and so nobody to ask"
        else:
            assert ran.code == ERROR
            assert "there is nobody to ask" in ran.told
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == CHANGES


def test_destroy_without_a_terminal_and_without_yes_changes_nothing(applied: Path, kvstack: Kvstack) -> None:
    assert kvstack("destroy").code == ERROR
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == OK


def test_a_closed_standard_input_is_nobody_to_ask(applied: Path) -> None:
    changed(applied)
    ran = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m kvstack.cli.main -C "{applied}" apply <&-'],
        env=environment(TOKEN=TOKEN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == ERROR
    assert "there is nobody to ask" in ran.stderr


def test_apply_with_nothing_to_do_asks_nobody(applied: Path, kvstack: Kvstack) -> None:
    ran = kvstack("apply", TOKEN=TOKEN)
    assert (ran.code, ran.err) == (OK, "")


def test_what_fails_in_an_apply_is_an_error(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK.replace("{env: TOKEN}", '{command: [sh, -c, "exit 3"]}'))
    ran = kvstack("apply", "--yes")
    assert ran.code == ERROR
    assert "failed with exit code 3" in ran.told
    again = kvstack("state", "list", "--json").json
    assert "small-dev/secrets/drawn" in [record["address"] for record in again], "what did not fail was done"


@pytest.mark.parametrize("verb", [["apply", "--yes"], ["destroy", "--yes"], ["import", "small-dev/keys/signing"]])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_locked_state_is_told_at_once_with_its_holder(
    verb: list[str], form: list[str], applied: Path, kvstack: Kvstack
) -> None:
    with holding(applied / ".kvstack/state/small.lock", command="apply"):
        ran = kvstack(*verb, *form, TOKEN=TOKEN)
        assert ran.code == LOCKED
        assert f"locked by tester@here, process {os.getpid()}" in ran.told
        assert "`kvstack apply`" in ran.told
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK


@pytest.mark.parametrize(
    "verb", [["forget", "small-dev/keys/signing"], ["move", "small-dev", "other"], ["rebuild", "--yes"], ["unlock"]]
)
def test_a_locked_state_is_told_by_the_verbs_of_state(verb: list[str], applied: Path, kvstack: Kvstack) -> None:
    before = (applied / ".kvstack/state/small.json").read_bytes()
    with holding(applied / ".kvstack/state/small.lock", command="apply"):
        assert kvstack("state", *verb).code == LOCKED
    assert (applied / ".kvstack/state/small.json").read_bytes() == before
    assert kvstack("state", "unlock").out == "The state is not locked.\n"


def test_whoever_only_reads_needs_no_lock(applied: Path, kvstack: Kvstack) -> None:
    with holding(applied / ".kvstack/state/small.lock", command="apply"):
        for verb in (["plan"], ["drift"], ["show", "small-dev"], ["state", "list"], ["validate"]):
            assert kvstack(*verb, TOKEN=TOKEN).code == OK


# Who acts with fewer rights reads less.


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (["plan"], OK),
        (["plan", "--detailed-exitcode"], INCOMPLETE),
        (["plan", "--detailed-exitcode", "--json"], INCOMPLETE),
        (["drift"], INCOMPLETE),
        (["drift", "--json"], INCOMPLETE),
        (["apply", "--yes"], OK),
    ],
)
def test_what_could_not_be_read_has_a_code_of_its_own(
    verb: list[str], code: int, applied: Path, kvstack: Kvstack
) -> None:
    ran = kvstack("--as", "alice", *verb, TOKEN=TOKEN)
    assert ran.code == code
    if "--json" in verb:
        assert ran.json["complete"] is False
        assert "small-dev/keys/signing" in [thing["address"] for thing in ran.json["unread"]]
    else:
        assert "small-dev/keys/signing" in ran.told


def test_unread_goes_before_changes_and_a_refusal_before_both(applied: Path, kvstack: Kvstack) -> None:
    changed(applied)
    assert kvstack("--as", "alice", "plan", "--detailed-exitcode", TOKEN=TOKEN).code == INCOMPLETE
    assert kvstack("--as", "alice", "plan", "--detailed-exitcode", "--target", "nothing", TOKEN=TOKEN).code == ERROR


def test_apply_of_an_incomplete_plan_touches_only_what_was_read(applied: Path, kvstack: Kvstack) -> None:
    officer = "      - {principal: alice, role: Key Vault Secrets Officer}\n"
    reader = "      - {principal: alice, role: Reader}\n"
    stack = STACK.replace(officer, officer + reader)
    write(applied, stack)
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    write(
        applied,
        stack.replace("text/plain", "application/json").replace("{type: EC}", "{type: EC, operations: [verify]}"),
    )
    assert kvstack("--as", "alice", "apply", "--yes", TOKEN=TOKEN).code == OK
    left = kvstack("plan", "--json", TOKEN=TOKEN).json["changes"]
    assert [change["address"] for change in left] == ["small-dev/keys/signing"]
    assert len(kvstack("state", "list", "--json").json) == 6, "what was not read is still recorded"


def test_a_plan_of_somebody_who_may_read_nothing_is_incomplete_and_not_empty(applied: Path, kvstack: Kvstack) -> None:
    write(applied, STACK.replace("role: Key Vault Secrets Officer", "role: Key Vault Secrets User"))
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    ran = kvstack("--as", "alice", "plan", "--json", "--detailed-exitcode", TOKEN=TOKEN)
    assert ran.code == INCOMPLETE
    assert len(ran.json["unread"]) == 5
    assert not ran.json["changes"]
    assert kvstack("--as", "alice", "drift").code == INCOMPLETE


def test_refresh_only_by_somebody_who_may_not_read_forgets_nothing(applied: Path, kvstack: Kvstack) -> None:
    assert kvstack("--as", "alice", "plan", "--refresh-only", "--out", str(applied / "plan")).code == OK
    assert kvstack("--as", "alice", "apply", str(applied / "plan")).code == OK
    assert len(kvstack("state", "list", "--json").json) == 5


def test_a_principal_nobody_knows_is_an_error(applied: Path, kvstack: Kvstack) -> None:
    ran = kvstack("--as", "alicia", "plan")
    assert ran.code == ERROR
    assert "did you mean `alice`?" in ran.told
