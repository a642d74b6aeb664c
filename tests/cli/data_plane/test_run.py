"""`kvstack run`: the program gets the secrets and nothing else changes; its exit code is the answer."""

import sys

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

SECRET = f"{VAULT}/db-password"


def test_a_program_gets_chosen_secrets_and_its_exit_code_passes_through(shell: Shell) -> None:
    script = "import os, sys; print(os.environ['DB'], sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    result = shell.process(
        "run", "--secret", f"DB={SECRET}", "--", sys.executable, "-c", script, "--json", "x y", stdin=b"in"
    )
    assert (result.code, result.text) == (7, "hunter2 ['--json', 'x y'] in\n")
    assert not [path for path in shell.files() if b"hunter2" in path.read_bytes()]


def test_a_program_has_pythons_way_with_broken_pipes_taken_back(shell: Shell) -> None:
    result = shell.process("run", "--", "sh", "-c", "kill -PIPE $$; echo survived")
    assert (result.code, result.text) == (-13, "")


def test_the_environment_stays_and_a_secret_takes_precedence(shell: Shell) -> None:
    result = shell.process(
        "run", "--secret", f"DB={SECRET}", "--", "sh", "-c", 'printf "%s %s" "$DB" "$KEPT"',
        environment={"DB": "before", "KEPT": "kept"},
    )  # fmt: skip
    assert result.text == "hunter2 kept"


@pytest.mark.parametrize(
    ("value", "words"),
    [(b"a\0b", "holds a NUL"), (b"\xff\xfe", "is binary: few programs read an environment variable")],
)
def test_what_an_environment_cannot_carry_is_refused_and_nothing_started(
    shell: Shell, value: bytes, words: str
) -> None:
    shell.good("secret", "set", f"{VAULT}/odd", stdin=value)
    said = shell.refused("run", "--secret", f"ODD={VAULT}/odd", "--", "touch", str(shell.folder / "started"))
    assert words in said
    assert "`kvstack secret download`" in said
    assert not (shell.folder / "started").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--secret", "DB", "--", "true"), "`--secret DB` is not VARIABLE=VAULT/NAME"),
        (("--secret", f"1A={SECRET}", "--", "true"), "cannot name an environment variable"),
        (("--secret", f"={SECRET}", "--", "true"), "cannot name an environment variable"),
        (("--secret", f"A={SECRET}", "--secret", f"A={SECRET}", "--", "true"), "a variable is given two secrets"),
        (("--secret", f"A={VAULT}/nothing", "--", "true"), "there is no secret `nothing`"),
        (("--secret", "A=x", "--", "true"), "`x` is no secret"),
        ((), "Missing"),
    ],
)
def test_what_is_written_wrongly_is_told(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    assert words in shell.refused("run", *arguments)


def test_a_program_that_is_not_there_is_told(shell: Shell) -> None:
    result = shell.process("run", "--", "no-such-program-of-ours")
    assert (result.code, result.text) == (1, "")
    assert "there is no program no-such-program-of-ours" in result.err
