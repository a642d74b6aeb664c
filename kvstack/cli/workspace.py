"""A stack's workspace, opened for a verb and closed behind it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kvstack.apply.workspace import Workspace
from kvstack.backends.registry import opened
from kvstack.cli.context import Context

if TYPE_CHECKING:
    from kvstack.state.file import FileStore


@contextmanager
def workspace(context: Context, *, allow_files: bool = False) -> Iterator[Workspace]:
    """Open the stack in the folder: its declaration, its backend, its state."""
    declaration = context.declaration(allow_files=allow_files)
    backend = opened(
        declaration.backend.type,
        context.directory,
        owner=declaration.desired.owner,
        principal=context.principal,
        isolated=declaration.backend.hsm.isolated,
    )
    try:
        yield Workspace(declaration, backend, allow_files=allow_files)
    finally:
        backend.close()


@contextmanager
def locked(store: "FileStore", verb: str) -> Iterator[None]:
    """Hold the state's lock. Raises StateLocked (exit code 4) where somebody else holds it."""
    import getpass
    import socket

    from kvstack.state.store import LockHolder

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a container's user may have no name
    now = datetime.now(UTC).replace(microsecond=0)
    lock = store.lock(LockHolder(who=f"{user}@{socket.gethostname()}", process=os.getpid(), command=verb, since=now))
    try:
        yield
    finally:
        lock.release()


def interactive() -> bool:
    """Tell whether there is somebody to ask."""
    # A closed standard input is None.
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
