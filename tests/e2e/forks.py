"""Runs of the command line by a process that has imported it already: a fork each, so that a run costs what it does.

Reads one request a line, answers one a line. Each run is a process of its own: what kills it kills nothing else.
"""

import contextlib
import importlib
import os
import pkgutil
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from tests.e2e.command_line import ROOT, Ran, environment, without_defects

_OTHERS = ("kvstack.server", "kvstack.pulumi", "kvstack.backends.azure")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run. arguments: as the system passes them; facts: tell what is in the vault instead of running the command
    line; steps: count steps, and die before this one where it is not 0; kill_after: seconds until it is killed; umask,
    cwd: of the process."""

    arguments: list[bytes] = []
    facts: str = ""
    environ: dict[str, str]
    out: str
    err: str
    steps: int | None = None
    kill_after: float | None = None
    umask: int = 0o022
    cwd: str = "."


class Answer(msgspec.Struct, frozen=True):
    """How it ended. seconds: how long it took."""

    code: int
    seconds: float


class Forks:
    """The other side: asks for runs. scratch: a folder for what they print."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forks"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.seconds = 0.0  # the last run took
        self.steps: list[str] = []  # the last run made, where they were counted

    def run(
        self,
        *arguments: str,
        environ: dict[str, str] | None = None,
        steps: int | None = None,
        kill_after: float | None = None,
        facts: str = "",
        umask: int = 0o022,
        cwd: str = ".",
    ) -> Ran:
        """Run the command line to its end."""
        out, err = self._scratch / "out", self._scratch / "err"
        request = Request(
            arguments=[os.fsencode(argument) for argument in arguments],
            facts=facts,
            environ=environment(**(environ or {})),
            out=str(out),
            err=str(err),
            steps=steps,
            kill_after=kill_after,
            umask=umask,
            cwd=cwd,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(request) + b"\n")
        self._process.stdin.flush()
        answer = msgspec.json.decode(self._process.stdout.readline(), type=Answer)
        self.seconds = answer.seconds
        counted = out.with_name("out.steps")
        self.steps = counted.read_text().splitlines() if counted.exists() else []
        counted.unlink(missing_ok=True)
        return without_defects(Ran(answer.code, out.read_text("utf-8", "replace"), err.read_text("utf-8", "replace")))

    def facts(self, folder: Path) -> Any:
        """Tell what is in the vault of a folder: every version, and a digest of every value."""
        ran = self.run(facts=str(folder))
        assert ran.code == 0, ran.err
        return ran.json

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def serve() -> None:
    """Answer requests until there are no more."""
    _import_everything()
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.set_inheritable(answers, False)
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Request)
        began = time.monotonic()
        process = os.fork()
        if not process:
            os.close(answers)
            _child(request)
        if request.kill_after is not None:
            handle = os.pidfd_open(process)
            ready, _, _ = select.select([handle], [], [], request.kill_after)
            if not ready:
                os.kill(process, signal.SIGKILL)
            os.close(handle)
        _, status = os.waitpid(process, 0)
        answer = Answer(os.waitstatus_to_exitcode(status), time.monotonic() - began)
        os.write(answers, msgspec.json.encode(answer) + b"\n")


def _import_everything() -> None:
    import kvstack

    for module in pkgutil.walk_packages(kvstack.__path__, "kvstack."):
        # The other front doors and backends need what is not in every installation.
        if not module.name.startswith(_OTHERS):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


def _child(request: Request) -> NoReturn:
    code = 1
    try:
        os.umask(request.umask)
        os.chdir(os.fsencode(request.cwd))
        for number, path in ((1, request.out), (2, request.err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(request.environ)
        code = _told(request) if request.facts else _run(request)
    except BaseException:  # noqa: BLE001  # the child ends here, whatever it was
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(request: Request) -> int:
    from kvstack.cli.main import main

    steps = None
    if request.steps is not None:
        from tests.e2e.steps import walk

        steps = walk(request.steps)
    try:
        main([os.fsdecode(argument) for argument in request.arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        if steps is not None:
            Path(request.out + ".steps").write_text("\n".join(steps.taken))
    return 1


def _told(request: Request) -> int:
    from tests.e2e.facts import facts

    sys.stdout.buffer.write(msgspec.json.encode(facts(Path(request.facts))))
    return 0


if __name__ == "__main__":
    serve()
