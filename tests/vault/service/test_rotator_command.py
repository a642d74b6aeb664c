"""A rotator that is a program: what it gets and says, how it is ended, and that nothing it prints tells a value."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kvstack.terms.rotator import Phase
from kvstack.terms.secret import SecretValue
from kvstack.vault.rotation_attempt import Answer
from kvstack.vault.rotator_call import RotatorCall
from kvstack.vault.rotator_command import RotatorCommand

PROGRAM = Path(__file__).with_name("rotator_program.py")
CURRENT, PENDING, DRAWN = "Cur/rent+canary&1", 'Pen"ding\\canäry/2+x', "Dra-wn canary%3"


def call(phase: Phase, pending: str | bytes = PENDING) -> RotatorCall:
    return RotatorCall(
        phase, "dev", "db", "0123", ("old", SecretValue(CURRENT)), SecretValue(pending), SecretValue(DRAWN)
    )


class Ran:
    """What became of one call. log: what the program wrote down of it."""

    def __init__(self, folder: Path, what: RotatorCall, mode: str, seconds: float) -> None:
        log = folder / "log"
        program = RotatorCommand((sys.executable, str(PROGRAM), "log", f"{what.phase}={mode}"), folder, seconds)
        self.answer = program.ask(what)
        self.log: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    def asked(phase: Phase, mode: str, *, pending: str | bytes = PENDING, seconds: float = 20) -> Ran:
        return Ran(tmp_path, call(phase, pending), mode, seconds)

    return asked


def test_it_reads_all_it_needs_and_nothing_is_an_argument(ask: Any) -> None:
    ran = ask("set", "takes")
    assert ran.answer == Answer("taken")
    assert {name: ran.log[name] for name in ("phase", "vault", "secret", "id", "current", "pending")} == {
        "phase": "set",
        "vault": "dev",
        "secret": "db",
        "id": "0123",
        "current": {"version": "old", "value": CURRENT},
        "pending": {"version": "0123", "value": PENDING},
    }
    elsewhere = json.dumps([ran.log["argv"], ran.log["environ"]])
    assert "canary" not in elsewhere
    assert "can\\u00e4ry" not in elsewhere


def test_a_value_that_is_no_text_comes_as_base64(ask: Any) -> None:
    assert ask("set", "takes", pending=b"\xff\x00").log["pending"]["value"] == {"base64": "/wA="}


def test_in_create_it_may_say_another_value_and_otherwise_not(ask: Any) -> None:
    assert ask("create", "takes", pending="drawn").answer == Answer("taken", value=SecretValue("made-drawn"))
    assert ask("create", "quiet").answer == Answer("taken")
    assert ask("set", "garbage").answer == Answer("taken")


@pytest.mark.parametrize(
    ("mode", "outcome", "why"),
    [
        ("garbage", "failed", "answered what is no JSON document"),
        ("list", "failed", "answered no JSON object"),
        ("number", "failed", 'answered a `value` that is neither a text nor {"base64": ...}'),
        ("empty", "failed", "answered a value of 0 bytes: a secret has 1-25600"),
        ("huge", "failed", "answered a value of 26000 bytes: a secret has 1-25600"),
        ("floods", "failed", "answered more than 204800 bytes"),
        ("fails", "failed", "ended with 1"),
        ("refuses", "refused", "ended with 65"),
        ("dies", "failed", "was ended by signal 9"),
        ("deaf", "taken", ""),
    ],
)
def test_what_it_says_that_is_no_answer_is_a_failure_in_words_of_ours(
    ask: Any, mode: str, outcome: str, why: str
) -> None:
    answer = ask("create", mode).answer
    assert (answer.outcome, answer.why) == (outcome, why)


@pytest.mark.parametrize("phase", ["create", "set", "test", "finish", "rollback"])
def test_of_its_errors_the_last_line_is_told_without_a_value_in_any_spelling(ask: Any, phase: Phase) -> None:
    answer = ask(phase, "tells").answer
    assert answer.outcome == "failed"
    assert answer.why.startswith("ended with 1: set the password to **** or ")
    assert answer.why.endswith(" in vain")
    for part in ("canary", "canär", "ding", "rent", "%22", "Y2Fu", "Nhb", "jYW5", "63616e"):
        assert part not in answer.why, answer.why


def test_of_a_line_too_long_to_be_masked_for_certain_nothing_is_told(ask: Any) -> None:
    assert ask("set", "long").answer.why == "ended with 1"


def test_what_hangs_is_ended_with_all_it_started(ask: Any) -> None:
    began = time.monotonic()
    ran = ask("test", "hangs", seconds=1.5)
    assert time.monotonic() - began < 10
    assert ran.answer.why == "did not finish in 1.5 seconds: waiting with ****"
    # What has ended may still be listed, as a zombie, where nobody asks what became of it.
    listed = subprocess.run(["ps", "-e", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    left = [line.split() for line in listed.splitlines() if line.split()[0] == str(ran.log["pid"])]
    assert [stat for _, stat in left if not stat.startswith("Z")] == []


def test_what_it_leaves_running_with_its_output_open_holds_nobody_up(ask: Any) -> None:
    began = time.monotonic()
    assert ask("set", "leaves", seconds=30).answer.outcome == "taken"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("/nowhere/at-all",), "cannot be run: No such file or directory"),
        (("/",), "cannot be run: Permission denied"),
        (("true", "\udcff\ud800"), "cannot be run: its name or an argument holds a character no program is given"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path: Path, command: tuple[str, ...], why: str) -> None:
    assert RotatorCommand(command, tmp_path, 5).ask(call("set")) == Answer("failed", why)
