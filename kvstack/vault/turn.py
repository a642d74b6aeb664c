"""Whose turn it is to change the store, where several processes want to: one at a time, in the order they came.

SQLite lets one change at a time, too, but a process that has to wait for another looks again after ever longer pauses,
and whoever changes much gets in before it each time. So processes take turns by two locks of files, before SQLite is
asked: who holds the first one changes the store; who wants to waits with the second one held, and is the next. Both end
with their process, whatever becomes of it.
"""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kvstack.vault import faults

# A change takes some hundred microseconds. What a process has read holds until another one changes something: it is let
# do several before the next one has its turn.
_LOOK_AGAIN: Final = 0.0003
_TENURE: Final = 0.010


class Turn:
    """One process's part. Used by one thread at a time. database: its file; seconds: to wait at most; now: seconds on a
    clock that only goes forward; pause: waits so many."""

    def __init__(
        self,
        database: Path,
        seconds: float,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._now = now
        self._pause = pause
        self._paths = [database.with_name(f"{database.name}-{part}") for part in ("turn", "next")]
        self._seconds = seconds
        self._mine, self._next = -1, -1
        self._until = 0.0

    def take(self) -> None:
        """Return when it is this process's turn. Raises StoreFault."""
        if self._mine < 0:
            self._open()
        if self._now() < self._until and self._had(self._mine):
            return
        self._wait(self._next)
        try:
            self._wait(self._mine)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)
        self._until = self._now() + _TENURE

    def give(self) -> None:
        """Let the next one have it."""
        fcntl.flock(self._mine, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the files. Doing it twice is no error."""
        for file in (self._mine, self._next):
            if file >= 0:
                os.close(file)
        self._mine, self._next = -1, -1

    def _open(self) -> None:
        for path in self._paths:
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if os.fstat(file).st_mode & 0o777 != 0o600:  # whatever the umask made of it
                    os.fchmod(file, 0o600)
            except OSError as error:
                self.close()
                raise faults.of_file(error, path) from error
            if self._mine < 0:
                self._mine = file
            else:
                self._next = file

    def _had(self, file: int) -> bool:
        """Lock a file where nobody else has it locked. Returns whether it is."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, file: int) -> None:
        if self._had(file):
            return
        until = self._now() + self._seconds
        while not self._had(file):
            if self._now() > until:
                raise faults.busy(self._database)
            self._pause(_LOOK_AGAIN)
