"""Events handed to a program on this machine, each on its standard input."""

import contextlib
import os
import signal
from pathlib import Path

from kvstack.vault.delivery_policy import TAKEN, Answer

SECONDS = 60.0


class EventCommand:
    """A program with its arguments. folder: where it runs, the stack's; seconds: until it is ended."""

    def __init__(self, command: tuple[str, ...], folder: Path, *, seconds: float = SECONDS) -> None:
        self._command = command
        self._folder = folder
        self._seconds = seconds

    def close(self) -> None:
        """Nothing is kept open."""

    def validated(self) -> Answer:
        """The operator has said that it is to be run."""
        return TAKEN

    def post(self, identifier: str, event: bytes) -> Answer:
        """Run it for one event. What it prints is not kept: it may hold the secret it went to get."""
        import subprocess  # running what the operator applied is the point, and only delivering does it

        try:
            started = subprocess.Popen(  # no shell: the arguments are a list
                self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return Answer("later", f"cannot be run: {error.strerror}")
        except ValueError:
            return Answer("later", "cannot be run: its name or an argument holds a character no program is given")
        with started:
            try:
                started.communicate(event, timeout=self._seconds)
            except subprocess.TimeoutExpired:
                _end(started.pid)
                return Answer("later", f"did not finish in {self._seconds:g} seconds")
            except BaseException:
                _end(started.pid)
                raise
        return TAKEN if not started.returncode else Answer("later", f"ended with {started.returncode}")


def _end(session: int) -> None:
    """End a program with all it has started: the session it was put into."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
