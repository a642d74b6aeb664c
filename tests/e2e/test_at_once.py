"""Two at once, and signals: the second is told who is first; whoever is asked to stop finishes what is in flight."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import INTERRUPTED, LOCKED, OK, Ran, begun, ended, write
from tests.e2e.forks import Forks
from tests.e2e.pseudo_terminal import on_a_terminal

Kvstack = Callable[..., Ran]
# More than are begun at once on any machine.
MANY = 2 * (os.cpu_count() or 2) + 2


class Slow:
    """A stack whose values are made by commands that say when they began, and wait to be let go on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began = folder / "began"
        os.mkfifo(self.began)
        self._listening = os.open(self.began, os.O_RDWR)
        wait = "echo x > began; echo run >> runs; while ! [ -e go ]; do sleep 0.02; done; echo a value"
        secrets = "\n".join(f'      s{n}: {{value_from: {{command: [sh, -c, "{wait}"]}}}}' for n in range(MANY))
        write(folder, f"stack: slow\nvaults:\n  slow-one:\n    secrets:\n{secrets}\n")

    def wait_until_begun(self) -> None:
        ready, _, _ = select.select([self._listening], [], [], 30)
        assert ready, "no command began"

    def let_go(self) -> None:
        (self.folder / "go").touch()

    @property
    def runs(self) -> int:
        file = self.folder / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def close(self) -> None:
        self.let_go()
        os.close(self._listening)


@pytest.fixture
def slow(folder: Path) -> Iterator[Slow]:
    found = Slow(folder)
    yield found
    found.close()


@pytest.fixture
def first(slow: Slow) -> Iterator["subprocess.Popen[str]"]:
    process = begun(slow.folder, "apply", "--yes")
    slow.wait_until_begun()
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def require_completed(slow: Slow, kvstack: Kvstack, forks: Forks) -> None:
    assert kvstack("apply", "--yes").code == OK
    assert kvstack("plan", "--detailed-exitcode").code == OK
    facts = forks.facts(slow.folder)
    assert facts["audit"] is None
    assert facts["things"] == {"slow-one": 1} | {f"slow-one/secrets/s{n}": 1 for n in range(MANY)}


def test_the_second_of_two_applies_is_told_at_once_who_is_first(
    slow: Slow, first: "subprocess.Popen[str]", kvstack: Kvstack, forks: Forks
) -> None:
    for verb in (["apply", "--yes"], ["destroy", "--yes"], ["state", "rebuild", "--yes"], ["state", "unlock"]):
        ran = kvstack(*verb)
        assert ran.code == LOCKED
        assert f"process {first.pid}" in ran.told
        assert "`kvstack apply`" in ran.told
    assert first.poll() is None
    assert kvstack("plan").code == OK, "whoever only looks does not wait"
    slow.let_go()
    assert ended(first).code == OK
    require_completed(slow, kvstack, forks)
    assert slow.runs == MANY, "no command ran twice"


def test_a_lock_whose_holder_was_killed_is_taken_over(
    slow: Slow, first: "subprocess.Popen[str]", kvstack: Kvstack, forks: Forks
) -> None:
    first.kill()
    first.communicate()
    assert kvstack("state", "unlock").code == OK
    slow.let_go()
    require_completed(slow, kvstack, forks)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_is_asked_to_stop_finishes_what_is_in_flight(
    number: signal.Signals, slow: Slow, first: "subprocess.Popen[str]", kvstack: Kvstack, forks: Forks
) -> None:
    first.send_signal(number)
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("Stopping"):
            break
    slow.let_go()
    ran = ended(first)
    assert ran.code == INTERRUPTED
    assert "Applied: " in ran.out
    done = slow.runs
    assert 0 < done < MANY, "what was not begun is not begun any more"
    assert len(kvstack("state", "list").out.split()) == 1 + done, "what was in flight is recorded"
    require_completed(slow, kvstack, forks)
    assert slow.runs == MANY, "no command ran twice"


def test_whoever_is_asked_twice_ends_at_once(
    slow: Slow, first: "subprocess.Popen[str]", kvstack: Kvstack, forks: Forks
) -> None:
    first.send_signal(signal.SIGINT)
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("Stopping"):
            break
    first.send_signal(signal.SIGINT)
    # The commands hold its standard error no longer than it does: they have pipes of their own.
    assert first.wait(timeout=20) == INTERRUPTED
    slow.let_go()
    require_completed(slow, kvstack, forks)


def test_an_interrupted_apply_says_so_in_json(slow: Slow, kvstack: Kvstack) -> None:
    process = begun(slow.folder, "apply", "--yes", "--json")
    slow.wait_until_begun()
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    process.stderr.readline()
    assert process.stderr.readline().startswith("Stopping")
    slow.let_go()
    ran = ended(process)
    assert ran.code == INTERRUPTED
    assert ran.json["interrupted"] is True
    assert ran.json["skipped"] > 0


def test_ctrl_c_on_a_terminal_does_not_end_the_commands_in_flight(slow: Slow, kvstack: Kvstack, forks: Forks) -> None:
    at_once = max(2, os.cpu_count() or 2)
    ran = on_a_terminal(
        slow.folder,
        "apply",
        "--yes",
        typed=None,
        waits_for="running sh",
        ready=lambda: slow.runs == at_once,
        stopping=slow.let_go,
    )
    assert ran.code == INTERRUPTED, ran.out
    assert "failed" not in ran.out
    assert len(kvstack("state", "list").out.split()) == 1 + at_once
    require_completed(slow, kvstack, forks)
    assert slow.runs == MANY, "no command ran twice"


@pytest.mark.slow
def test_many_applies_at_once_are_one_after_another_or_refused(folder: Path, kvstack: Kvstack, forks: Forks) -> None:
    secrets = "\n".join(f"      s{n}: {{value_from: {{generate: {{length: 20}}}}}}" for n in range(50))
    write(folder, f"stack: many\nvaults:\n  many-one:\n    secrets:\n{secrets}\n")
    ran = [ended(process) for process in [begun(folder, "apply", "--yes") for _ in range(6)]]
    assert {one.code for one in ran} <= {OK, LOCKED}
    assert OK in {one.code for one in ran}
    facts = forks.facts(folder)
    assert set(facts["things"].values()) == {1}
    assert len(facts["things"]) == 51
    assert kvstack("plan", "--detailed-exitcode").code == OK
