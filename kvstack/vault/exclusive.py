"""Making or recovering a vault alone: whoever comes second is told so at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault import faults


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file in the block. The lock ends with the process, whatever becomes of it. Raises KvstackError."""
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise faults.of_file(error, lock) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KvstackError(
                f"another kvstack is making or recovering the vault in {lock.parent.parent}", "Wait until it is done."
            ) from None
        yield
    finally:
        os.close(file)
