"""A rotator that is a program on this machine: the call on its standard input, and never in its arguments."""

import os
import signal
import threading
from pathlib import Path
from typing import IO

from kvstack.terms.masking import masked
from kvstack.vault.rotation_attempt import Answer
from kvstack.vault.rotator_call import MOST_BYTES, RotatorCall, answered

REFUSED = 65  # EX_DATAERR: trying the same again makes no sense
_KEPT_OF_ERRORS = 8192
_DRAINED_WITHIN = 1.0  # seconds, once the program has ended


class RotatorCommand:
    """A program with its arguments. folder: where it runs, the stack's; seconds: until it is ended, with all it
    started."""

    def __init__(self, command: tuple[str, ...], folder: Path, seconds: float) -> None:
        self._command = command
        self._folder = folder
        self._seconds = seconds

    def ask(self, call: RotatorCall) -> Answer:
        """Run it once. Of what it prints an answer to `create` is kept, and of its errors the last line, masked."""
        import subprocess  # running what the operator applied is the point, and only rotating does it

        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(  # no shell: the arguments are a list
                self._command, cwd=self._folder, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            return Answer("failed", f"cannot be run: {error.strerror}")
        except ValueError:
            return Answer("failed", "cannot be run: its name or an argument holds a character no program is given")
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        printed, errors = _Kept(process.stdout, MOST_BYTES + 1), _Kept(process.stderr, _KEPT_OF_ERRORS, newest=True)
        threading.Thread(target=_feed, args=(process.stdin, call.document), daemon=True).start()
        try:
            process.wait(self._seconds)
            over = False
        except subprocess.TimeoutExpired:
            over = True
            _end(process.pid)
            process.wait()
        except BaseException:
            _end(process.pid)
            raise
        if not (printed.drained() and errors.drained()):
            _end(process.pid)  # something it started still holds its output open
            printed.drained()
            errors.drained()
        if over:
            return Answer("failed", f"did not finish in {self._seconds:g} seconds{_last(call, printed, errors)}")
        match process.returncode:
            case 0 if len(printed.content) > MOST_BYTES:
                return Answer("failed", f"answered more than {MOST_BYTES} bytes")
            case 0:
                return answered(call, printed.content)
            case code:
                ended = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
                return Answer("refused" if code == REFUSED else "failed", ended + _last(call, printed, errors))


class _Kept:
    """Reads a stream to its end, and keeps some of it. newest: its end, else its beginning."""

    def __init__(self, stream: IO[bytes], most: int, *, newest: bool = False) -> None:
        self.content = b""
        self.cut = False
        self._stream = stream
        self._most = most
        self._newest = newest
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def drained(self) -> bool:
        """Wait a while for its end. Returns whether it is there."""
        self._thread.join(_DRAINED_WITHIN)
        return not self._thread.is_alive()

    def _read(self) -> None:
        with self._stream:
            while chunk := self._stream.read1(65_536):  # type: ignore[attr-defined]  # a buffered reader's own
                whole = self.content + chunk
                self.cut = self.cut or len(whole) > self._most
                self.content = whole[-self._most :] if self._newest else whole[: self._most]


def _feed(stream: IO[bytes], document: bytes) -> None:
    try:
        with stream:
            stream.write(document)
    except OSError:
        return  # it does not read what it is asked, and may know it


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # all of it has ended


def _last(call: RotatorCall, printed: _Kept, errors: _Kept) -> str:
    """Return the last line of errors to be appended, without any value."""
    content = errors.content
    if errors.cut:
        content = content.partition(b"\n")[2]  # of a line whose beginning is gone nothing could be masked for certain
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        return ""
    # What it wanted the value to be is known to nobody else yet.
    return f": {masked(lines[-1], (*call.secrets, printed.content))}"
