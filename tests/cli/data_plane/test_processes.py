"""What only a process of its own shows: a terminal, closed streams, a pipe nobody reads, and what is imported."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import ROOT, Shell

SECRET = f"{VAULT}/db-password"


def typed(shell: Shell, *arguments: str, keys: bytes) -> tuple[int, str]:
    """Run a command on a terminal and type something. Returns its exit code, and all the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        shell.command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # what Linux answers once the other side is closed
                break
            if not piece:
                break
            shown += piece
            if keys and shown.rstrip().endswith(b":"):
                os.write(ours, keys)
                keys = b""
    finally:
        os.close(ours)
    return process.wait(30), shown.decode()


def test_a_purge_asks_on_a_terminal(shell: Shell) -> None:
    shell.good("secret", "delete", SECRET)
    code, shown = typed(shell, "secret", "purge", SECRET, keys=b"no\n")
    assert code == 1
    assert f"Destroy the secret {SECRET} with all its versions, for good?" in shown
    assert "nothing was done" in shown
    code, shown = typed(shell, "secret", "purge", SECRET, keys=b"yes\n")
    assert code == 0
    assert f"purged secret {SECRET}" in shown


def test_a_value_is_typed_and_not_shown(shell: Shell) -> None:
    code, shown = typed(shell, "secret", "set", SECRET, keys=b"typed-in-secret\n")
    assert code == 0, shown
    assert "typed-in-secret" not in shown
    assert shell.good("secret", "show", SECRET, "--value").out == b"typed-in-secret"


def test_a_value_that_could_change_a_terminal_is_not_shown_on_one(shell: Shell) -> None:
    shell.good("secret", "set", SECRET, stdin=b"\x1b[2J")
    code, shown = typed(shell, "secret", "show", SECRET, "--value", keys=b"")
    assert code == 1
    assert "\x1b[2J" not in shown
    assert "control characters" in " ".join(shown.split())


def test_bytes_pass_through_real_pipes(hsm: Shell) -> None:
    value = bytes(range(256)) * 100
    assert hsm.process("secret", "set", SECRET, stdin=value).code == 0
    shown = hsm.process("secret", "show", SECRET, "--value")
    assert (shown.code, shown.out, shown.err) == (0, value, "")
    signature = hsm.process("key", "sign", f"{VAULT}/signing", stdin=b"data").text.strip()
    assert hsm.process("key", "verify", f"{VAULT}/signing", "--signature", signature, stdin=b"data").text == "valid\n"


@pytest.mark.parametrize("closing", ["<&-", "2>&-", "| true"])
@pytest.mark.parametrize("verb", [f"secret set {SECRET}", f"secret show {SECRET} --value", "vault list"])
def test_a_closed_stream_is_no_traceback(shell: Shell, tmp_path: Path, verb: str, closing: str) -> None:
    told = tmp_path / "told"
    script = f'"{sys.executable}" -m kvstack.cli.main -C "{shell.folder}" {verb} {closing}'
    redirect = "" if closing == "2>&-" else f' 2>"{told}"'
    subprocess.run(
        ["/bin/sh", "-c", script.replace("| true", f"{redirect} | true") if "|" in closing else script + redirect],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    assert not told.exists() or "Traceback" not in told.read_text()


def test_showing_a_secret_imports_only_what_it_needs(shell: Shell) -> None:
    code = (
        "import sys; from kvstack.cli.main import run; "
        f"run(['-C', {str(shell.folder)!r}, 'secret', 'show', {SECRET!r}]); "
        "print(*sorted({name.split('.')[0] for name in sys.modules} | set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    imported = set(finished.stderr.decode().split())
    heavy = {"rich", "yaml", "jsonschema_rs", "asyncio", "logging", "dataclasses", "subprocess", "kvstack.plan.plan"}
    assert imported & heavy == set()
