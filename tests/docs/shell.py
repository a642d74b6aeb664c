"""A shell in a folder of its own that runs a page's commands, one after the other, and says what each showed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_MARK = "\x1dEND\x1d"


def put_kvstack(programs: Path) -> Path:
    """Make a folder with the command `kvstack`, the one that is tested, and its Python. Returns the folder."""
    programs.mkdir()
    for name, arguments in (("kvstack", " -m kvstack.cli.main"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        program.chmod(0o755)
    return programs


class Shell:
    """One bash, so that `cd` and `export` last. folder: where it starts; the command `kvstack` is the one tested."""

    def __init__(self, folder: Path) -> None:
        programs = put_kvstack(folder.with_name("bin"))
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("KVSTACK_VAR_")},
                "PATH": f"{programs}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "KVSTACK_ROOT": str(ROOT),
                "COLUMNS": "100",
                "LC_ALL": "C.UTF-8",
            },
        )

    def run(self, command: str) -> tuple[int, tuple[str, ...]]:
        """Run a command. Returns its exit code and the lines it showed, errors and all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Without this a command that reads its standard input would eat the next one.
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{_MARK}%d\\n' $?\n")
        self._process.stdin.flush()
        shown: list[str] = []
        for line in self._process.stdout:
            if line.startswith(_MARK):
                return int(line.removeprefix(_MARK)), _trimmed(shown)
            shown.append(line.rstrip("\n"))
        raise AssertionError(f"the shell ended in `{command}`:\n" + "\n".join(shown))

    def close(self) -> None:
        """End the shell."""
        self._process.communicate("exit\n", timeout=30)


def _trimmed(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines without empty ones at the end: the mark stands on a line of its own."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return tuple(line.rstrip() for line in lines[:end])
