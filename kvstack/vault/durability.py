"""When a commit has reached the disk: one fsync for all who wait."""

import fcntl
import os
import threading
from pathlib import Path

from kvstack.vault import faults


class GroupSync:
    """Makes commits durable. Committers wait; one of them flushes for all that had committed when it began.

    SQLite commits with synchronous=NORMAL, which writes to the log without flushing it: that survives the death of the
    process. Whoever changed something flushes the log afterwards, outside the writer's lock.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file = -1
        self._condition = threading.Condition()
        self._committed = 0
        self._durable = 0
        self._flushing = False
        self._failure: OSError | None = None

    def committed(self) -> int:
        """Note a commit. Returns its number to wait for. The writer's lock is held."""
        self._committed += 1
        return self._committed

    def wait(self, number: int) -> None:
        """Return when this commit is on the disk. Raises StoreFault; the store must then be opened anew."""
        with self._condition:
            while self._flushing and self._durable < number and self._failure is None:
                self._condition.wait()
            if self._failure is not None:
                # After a failed fsync the kernel may have dropped the pages: a second one proves nothing.
                raise faults.of_file(self._failure, self._log)
            if self._durable >= number:
                return
            self._flushing = True
            goal = self._committed
        failure: OSError | None = None
        try:
            self._flush()
        except OSError as error:
            failure = error
        with self._condition:
            self._flushing = False
            if failure is None:
                self._durable = goal
            else:
                self._failure = failure
            self._condition.notify_all()
        if failure is not None:
            raise faults.of_file(failure, self._log) from failure

    @property
    def broken(self) -> bool:
        """Whether a flush has failed."""
        return self._failure is not None

    def _flush(self) -> None:
        if self._file < 0:
            self._file = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
            directory = os.open(self._log.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)  # the log's name, too, has to be there after a power failure
            finally:
                os.close(directory)
        flush(self._file)

    def close(self) -> None:
        """Let go of the log. No other file of the database may be closed like this: it would drop SQLite's locks on
        it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


# macOS: fsync alone stops at the disk's own cache.
_FULL_FLUSH: int | None = getattr(fcntl, "F_FULLFSYNC", None)
_FLUSH = getattr(os, "fdatasync", os.fsync)


def flush(file: int) -> None:
    """Flush a file to the disk itself."""
    if _FULL_FLUSH is not None:
        fcntl.fcntl(file, _FULL_FLUSH)
    else:
        _FLUSH(file)
