"""The command line as a test types it: in this process where a process is not the point, else in one of its own."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from kvstack.cli.main import run

ROOT = Path(__file__).parents[3]


class Result(msgspec.Struct, frozen=True):
    """What came of one command."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def words(self) -> str:
        """The answer in one line, however its columns are aligned."""
        return " ".join(self.text.split())

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Shell:
    """A folder to type commands in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Run one command in this process."""
        before = sys.stdin, sys.stdout, sys.stderr
        out, err = io.BytesIO(), io.BytesIO()
        streams = [
            io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in (io.BytesIO(stdin), out, err)
        ]
        sys.stdin, sys.stdout, sys.stderr = streams
        try:
            code = run(["-C", str(self.folder), *arguments])
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        for stream in streams:
            stream.detach()  # else it closes what was written into
        return Result(code, out.getvalue(), err.getvalue().decode())

    def good(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Run one command that has to succeed."""
        result = self(*arguments, stdin=stdin)
        assert result.code == 0, (arguments, result)
        return result

    def refused(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run one command that has to be refused. Returns what was said, in one line."""
        result = self(*arguments, stdin=stdin)
        assert (result.code, result.out) == (1, b""), (arguments, result)
        assert result.err.startswith("error:"), result
        return " ".join(result.err.split())

    def process(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Result:
        """Run one command in a process of its own."""
        finished = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            check=False,
            timeout=60,
        )
        return Result(finished.returncode, finished.stdout, finished.stderr.decode())

    def command(self, *arguments: str) -> list[str]:
        """Return the command of a process."""
        return [sys.executable, "-m", "kvstack.cli.main", "-C", str(self.folder), *arguments]

    def files(self) -> list[Path]:
        """Return every file below the folder."""
        return [path for path in self.folder.rglob("*") if path.is_file()]
