"""The command line as its users have it: a folder, a process, what it printed, and how it ended."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

ROOT = Path(__file__).parents[2]
OK, ERROR, CHANGES, INCOMPLETE, LOCKED, INTERRUPTED = 0, 1, 2, 3, 4, 130
# What nobody may ever see: neither as Python tells it, nor as the last resort of the command line does.
DEFECTS = ("Traceback (most recent call last)", "a defect in kvstack", "Exception ignored", "Fatal Python error")


class Ran(NamedTuple):
    """How a run ended. code: the exit code, negative where a signal ended it."""

    code: int
    out: str
    err: str

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n--- standard error\n{self.err}"

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it has to be."""
        return msgspec.json.decode(self.out)

    @property
    def told(self) -> str:
        """Everything that was printed, in one line, so that where a line was broken does not count."""
        return " ".join(f"{self.out} {self.err}".split())


def environment(**more: str) -> dict[str, str]:
    """Return what a run finds around it: little, and nothing of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "KVSTACK_PKCS11_MODULE") if name in os.environ}
    return (
        kept | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "COLUMNS": "1000", "PYTHONDONTWRITEBYTECODE": "1"} | more
    )


def begun(folder: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    """Start a run and leave it running."""
    return subprocess.Popen(
        [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder), *arguments],
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def ended(process: "subprocess.Popen[str]", *, seconds: float = 60) -> Ran:
    """Wait for a run's end."""
    out, err = process.communicate(timeout=seconds)
    ran = Ran(process.returncode, out, err)
    without_defects(ran)
    return ran


def without_defects(ran: Ran) -> Ran:
    """Return a run that was told about properly, whatever happened in it."""
    for defect in DEFECTS:
        assert defect not in ran.out, ran.out
        assert defect not in ran.err, ran.err
    return ran


def write(folder: Path, text: str, name: str = "kvstack.yaml") -> None:
    """Write a file of a stack."""
    (folder / name).write_text(textwrap.dedent(text).lstrip("\n"))


def copied(prepared: Path, folder: Path) -> Path:
    """Copy a prepared folder, as a backup would: what is in `.kvstack` may lie anywhere."""
    shutil.copytree(prepared, folder, symlinks=True, dirs_exist_ok=True)
    return folder
