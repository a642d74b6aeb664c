"""A process that dies at its n-th step into the outside world: at a write, a flush, a rename, a commit, a PKCS#11 call.

The functions it steps through are the real ones; all that is added is a count, and SIGKILL where it is reached.
"""

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

_FILE_CALLS = ("write", "pwrite", "fsync", "fdatasync", "replace", "rename", "unlink", "link", "ftruncate", "mkdir")
_MARKED = ("COMMIT", "PRAGMA wal_checkpoint", "CREATE", "RELEASE")


class Steps:
    """Counts steps. die_before: the step that is not reached any more, 0 for none."""

    def __init__(self, die_before: int) -> None:
        self.taken: list[str] = []
        self._die_before = die_before
        self._lock = threading.Lock()

    def step(self, name: str) -> None:
        """Take one step, or die."""
        with self._lock:
            self.taken.append(name)
            if len(self.taken) == self._die_before:
                os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is the same, and a step."""

        def call(*arguments: Any, **named: Any) -> Any:
            self.step(name)
            return function(*arguments, **named)

        return call


def walk(die_before: int) -> Steps:
    """Make every step of this process count. Returns the count."""
    steps = Steps(die_before)
    for name in _FILE_CALLS:
        setattr(os, name, steps.counted(name, getattr(os, name)))
    import kvstack.vault.durability as durability

    durability._FLUSH = steps.counted("fdatasync", durability._FLUSH)

    class Counted(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if sql.startswith(_MARKED):
                steps.step(sql.split()[0])
            return super().execute(sql, *arguments)

    connect = sqlite3.connect
    setattr(sqlite3, "connect", lambda *arguments, **named: connect(*arguments, **named, factory=Counted))  # noqa: B010
    from kvstack.hsm.cryptoki import Cryptoki

    for name, function in list(vars(Cryptoki).items()):
        if callable(function) and not name.startswith("_"):
            setattr(Cryptoki, name, steps.counted(f"C_{name}", function))
    return steps
