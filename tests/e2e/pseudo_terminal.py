"""A run on a terminal: what it shows there, and what is typed."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.command_line import Ran, environment, without_defects


def on_a_terminal(
    folder: Path,
    *arguments: str,
    typed: str | None = None,
    columns: int = 80,
    waits_for: str = "Only `yes`",
    ready: Callable[[], bool] = lambda: True,
    stopping: Callable[[], None] | None = None,
    **more: str,
) -> Ran:
    """Run the command line on a terminal of so many columns. typed: what is typed at the prompt, and None for Ctrl-C,
    once `waits_for` is shown and it is `ready`; stopping: called once it says that it stops."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder), *arguments],
        env=environment(TERM="xterm-256color", **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
    )
    os.close(theirs)
    seen = b""
    answered = False
    end = time.monotonic() + 60
    while time.monotonic() < end:
        readable, _, _ = select.select([ours], [], [], 1 if answered else 0.02)
        if readable:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
        if not answered and waits_for.encode() in b" ".join(seen.split()) and ready():
            answered = True
            os.write(ours, b"\x03" if typed is None else typed.encode() + b"\n")
        elif stopping is not None and b"Stopping" in seen:
            stopping()
        elif not readable and answered and typed is None and stopping is None:
            # A signal that comes just before Python blocks in its read is seen after it: whoever waits presses again.
            os.write(ours, b"\x03")
    os.close(ours)
    code = process.wait(timeout=30)
    return without_defects(Ran(code, seen.decode().replace("\r\n", "\n"), ""))
