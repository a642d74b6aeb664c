"""Work that one process does at a time: whoever comes second is told so at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault import faults


@contextmanager
def alone(lock: Path) -> Iterator[bool]:
    """Hold a lock file in the block; give whether it is held: False where another process has it. The lock ends with
    the process, whatever becomes of it."""
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise faults.of_file(error, lock) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


@contextmanager
def exclusive(lock: Path, taken: str, mend: str) -> Iterator[None]:
    """Hold a lock file in the block. Raises KvstackError, in these words, where another process has it."""
    with alone(lock) as held:
        if not held:
            raise KvstackError(taken, mend)
        yield


@contextmanager
def making(lock: Path) -> Iterator[None]:
    """Make or recover the vault of this lock file in the block, and nobody else does."""
    with exclusive(lock, f"another kvstack is making or recovering the vault in {lock.parent.parent}", _WAIT):
        yield


_WAIT = "Wait until it is done."
