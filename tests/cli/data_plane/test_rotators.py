"""Rotation by a rotator at the command line: set, run, shown, declared, imported, and never a value."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

PROGRAM = Path(__file__).parents[2] / "vault" / "service" / "rotator_program.py"
NAME = f"{VAULT}/db-password"


def words(*modes: str) -> list[str]:
    return [sys.executable, str(PROGRAM), "log", *modes]


def rotated_by(shell: Shell, *modes: str) -> None:
    shell.good(
        *("secret", "rotation-policy", "update", NAME, "--every", "P30D", "--length", "24"),
        *("--rotator-command", " ".join(words(*modes))),
    )


def asked(shell: Shell) -> list[dict[str, object]]:
    log = shell.folder / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def in_days(shell: Shell, days: int, minutes: int = 0) -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(days=days, minutes=minutes)).isoformat()


def test_a_rotator_is_set_and_shown(shell: Shell) -> None:
    rotated_by(shell)
    shown = shell.good("secret", "rotation-policy", "show", NAME, "--json").json
    assert shown == {"rotation": {"every": "P30D", "rotator": {"command": words()}}}
    assert "rotator_program.py log" in shell.good("secret", "rotation-policy", "show", NAME).words
    hook = ("--rotator-webhook", "https://x.example.com/", "--rotator-secret", f"{VAULT}/hook")
    shell.good("secret", "rotation-policy", "update", NAME, "--every", "P30D", *hook)
    shown = shell.good("secret", "rotation-policy", "show", NAME, "--json").json
    rotator = {"webhook": "https://x.example.com/", "secret": f"{VAULT}/secrets/hook"}
    assert shown == {"rotation": {"every": "P30D", "rotator": rotator}}
    assert f"signed by {VAULT}/secrets/hook" in shell.good("secret", "rotation-policy", "show", NAME).words


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rotator-command", "a 'b"), "No closing quotation"),
        (("--rotator-command", "a", "--rotator-webhook", "https://x.example.com"), "one of both"),
        (("--rotator-webhook", "https://x.example.com"), "has to know who asks"),
        (("--rotator-command", "a", "--rotator-secret", f"{VAULT}/k"), "signs what is posted to a webhook"),
    ],
)
def test_what_no_rotator_can_be_is_refused(shell: Shell, options: tuple[str, ...], told: str) -> None:
    result = shell("secret", "rotation-policy", "update", NAME, "--every", "P30D", "--length", "9", *options)
    assert result.code != 0
    assert told in " ".join(result.err.split())
    assert shell.good("secret", "rotation-policy", "show", NAME, "--json").json == {"rotation": None}


def test_by_hand_and_how_it_stands(shell: Shell) -> None:
    rotated_by(shell, "finish=fails")
    assert "nothing on its way" in shell.good("secret", "rotation-status", NAME).words
    made = shell.good("secret", "rotate", NAME)
    assert "did not take `finish` yet: ended with 1" in made.err
    assert [one["phase"] for one in asked(shell)] == ["create", "set", "test", "finish"]
    assert shell.good("secret", "show", NAME, "--value").text.startswith("made-")
    status = shell.good("secret", "rotation-status", NAME, "--json").json
    assert (status["phase"], status["tries"]) == ("finish", 1)
    assert status["failure"] == {"phase": "finish", "why": "ended with 1"}
    assert status["id"] in made.text
    assert "finish: ended with 1" in shell.good("secret", "rotation-status", NAME).words


def test_what_fails_is_told_by_run_due_without_a_value(simulated: Shell) -> None:
    rotated_by(simulated, "test=tells")
    assert simulated.good("run-due", "--json").json["done"] == []
    for turn in range(3):
        ran = simulated("run-due", "--at", in_days(simulated, 31, turn * 5))
        assert ran.code == 1
        told = " ".join(ran.err.split())
        assert "did not take `test`: ended with 1: set the password to **** or" in told
        assert ("It was given up: the version before stays" in told) == (turn == 2)
        values = {str(one[which]["value"]) for one in asked(simulated) for which in ("current", "pending")}  # type: ignore[index]
        assert len(values) == 3
        everything = [ran.out.decode(), ran.err, simulated.good("audit", "tail", "-n", "100", "--json").text]
        everything += [simulated.good("secret", "rotation-status", NAME, *more).text for more in ((), ("--json",))]
        for value in values:
            assert not any(value in one for one in everything)
            kept = [path for path in simulated.files() if path.name != "log" and value.encode() in path.read_bytes()]
            assert kept == []
    assert simulated.good("secret", "show", NAME, "--value").text == "hunter2"
    assert [one["phase"] for one in asked(simulated)] == ["create", "set", "test", "test", "test", "rollback"]
    assert len(simulated.good("secret", "list-versions", NAME, "--json").json["versions"]) == 1


def test_what_hangs_is_ended_as_the_operator_says(shell: Shell) -> None:
    rotated_by(shell, "set=hangs")
    file = shell.folder / ".kvstack" / "events.json"
    file.write_text('{"rotator_seconds": 0.5}')
    file.chmod(0o600)
    assert "did not finish in 0.5 seconds: waiting with ****" in shell.refused("secret", "rotate", NAME)
    assert shell.good("secret", "show", NAME, "--value").text == "hunter2"


STACK = """\
stack: shop
vaults:
  {vault}:
    secrets:
      db-password:
        value_from: {{generate: {{length: {length}}}}}
        rotation: {{every: P30D, rotator: {{command: {command}}}}}
"""


@pytest.fixture
def declared(empty: Shell) -> Callable[..., Shell]:
    empty.good("init", "--no-hsm")

    def declare(length: int = 24, *modes: str) -> Shell:
        text = STACK.format(vault=VAULT, length=length, command=json.dumps(words(*modes)))
        (empty.folder / "kvstack.yaml").write_text(text)
        return empty

    return declare


def test_a_declared_one_is_applied_run_and_never_drift(declared: Callable[..., Shell]) -> None:
    shell = declared()
    shell.good("plan")
    assert asked(shell) == []
    shell.good("apply", "--yes")
    assert asked(shell) == []
    for _ in range(2):
        shell.good("secret", "rotate", NAME)
        assert "No changes" in shell.good("plan", "--detailed-exitcode").text
        assert "No drift" in shell.good("drift").text


def test_another_one_is_a_change_that_a_plan_shows_and_no_rotation(declared: Callable[..., Shell]) -> None:
    declared().good("apply", "--yes")
    shell = declared(24, "test=fails")
    planned = shell("plan", "--detailed-exitcode")
    assert planned.code == 2
    assert "rotation.rotator.command" in planned.text
    shell.good("apply", "--yes")
    assert asked(shell) == []
    assert "test=fails" in shell.good("secret", "rotation-policy", "show", NAME).text
    shell.good("secret", "rotation-policy", "update", NAME, "--every", "P30D")
    drifted = shell("drift")
    assert drifted.code == 2
    assert "rotator" in drifted.text


def test_another_specification_is_applied_by_the_rotator_too(declared: Callable[..., Shell]) -> None:
    declared().good("apply", "--yes")
    before = declared(30).good("secret", "show", NAME, "--value").text
    shell = declared(30, "test=fails")
    failed = shell("apply", "--yes")
    assert failed.code == 1
    assert "did not take `test`: ended with 1" in " ".join(failed.err.split())
    assert shell.good("secret", "show", NAME, "--value").text == before
    shell = declared(30)
    shell.good("apply", "--yes")
    assert [one["phase"] for one in asked(shell)] == ["create", "set", "test", "test", "finish"]
    assert len(shell.good("secret", "show", NAME, "--value").text) == len("made-") + 30
    assert "No changes" in shell.good("plan", "--detailed-exitcode").text
    assert "No drift" in shell.good("drift").text


def test_it_is_imported_with_its_vault(shell: Shell) -> None:
    rotated_by(shell)
    (shell.folder / "kvstack.yaml").unlink(missing_ok=True)
    shell.good("import", "--all", VAULT)
    written = yaml.safe_load((shell.folder / "kvstack.yaml").read_text())["vaults"][VAULT]["secrets"]
    commands = [one["rotation"]["rotator"]["command"] for one in written.values() if "rotation" in one]
    assert [command[-1] for command in commands] == ["log"]
    assert "No changes" in shell.good("plan", "--detailed-exitcode").text


def test_it_does_not_travel_with_its_vault(shell: Shell, tmp_path: Path) -> None:
    rotated_by(shell)
    (tmp_path / "password").write_text("correct horse battery staple")
    (tmp_path / "password").chmod(0o600)
    file, password = str(tmp_path / "vault"), ("--password-file", str(tmp_path / "password"))
    shell.good("vault", "export", VAULT, "--file", file, *password)
    other = Shell(tmp_path / "other")
    other.folder.mkdir()
    other.good("init", "--no-hsm")
    arrived = other.good("vault", "import", "--file", file, *password)
    assert "its rotator is declared anew" in " ".join((arrived.text + arrived.err).split())
    shown = other.good("secret", "rotation-policy", "show", NAME, "--json").json
    assert shown == {"rotation": {"every": "P30D", "enabled": False}}
