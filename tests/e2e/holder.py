"""Somebody who holds a state's lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kvstack.state.store import LockHolder


@contextmanager
def holding(lock: Path, *, command: str) -> Iterator[None]:
    """Hold a lock file as a run of kvstack does."""
    holder = LockHolder("tester@here", os.getpid(), command, datetime(2026, 3, 1, tzinfo=UTC))
    with lock.open("w+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(msgspec.json.encode(holder))
        yield
        file.truncate(0)
