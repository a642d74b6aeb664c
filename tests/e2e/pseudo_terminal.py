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
from pathlib import Path

from tests.e2e.command_line import Ran, environment, without_defects


def on_a_terminal(
    folder: Path,
    *arguments: str,
    typed: str | None = None,
    columns: int = 80,
    waits_for: str = "Only `yes`",
    **more: str,
) -> Ran:
    """Run the command line on a terminal of so many columns. typed: what is typed at the prompt; None: Ctrl-C."""
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
        ready, _, _ = select.select([ours], [], [], 1)
        if not ready and answered and typed is None:
            # A signal that comes just before Python blocks in its read is seen after it: whoever waits presses again.
            os.write(ours, b"\x03")
        if ready:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
        if not answered and waits_for.encode() in b" ".join(seen.split()):
            answered = True
            os.write(ours, b"\x03" if typed is None else typed.encode() + b"\n")
    os.close(ours)
    code = process.wait(timeout=30)
    return without_defects(Ran(code, seen.decode().replace("\r\n", "\n"), ""))
