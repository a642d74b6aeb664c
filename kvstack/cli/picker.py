"""The terminal of the picker: keys in, lines out, and everything as it was afterwards, however it ends."""

import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from kvstack.cli.picking import Picking, pressed, screen
from kvstack.vault.deleted_things import DeletedThing

# What terminals send for keys that are no characters.
_SEQUENCES: Final = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[H": "home",
    b"\x1b[1~": "home",
    b"\x1b[F": "end",
    b"\x1b[4~": "end",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
}
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # another screen, without a cursor; and back


def on_a_terminal() -> bool:
    """Tell whether there is somebody to pick."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def picked(things: list[DeletedThing], name_of: Callable[[str], str]) -> list[DeletedThing]:
    """Let somebody choose. Returns what is to be recovered, nothing where they left."""
    state = Picking(tuple(things))
    with _taken(sys.stdin.fileno()) as terminal:
        while True:
            size = shutil.get_terminal_size()
            lines = screen(state, size.columns, size.lines, name_of)
            sys.stdout.write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
            sys.stdout.flush()
            match pressed(state, _key(terminal)):
                case "recover":
                    return state.chosen
                case "quit":
                    return []
                case Picking() as following:
                    state = following


@contextmanager
def _taken(terminal: int) -> Iterator[int]:
    """Have the terminal send each key as it is pressed, on a screen of our own. It is given back whatever ends this."""
    before = termios.tcgetattr(terminal)
    # Left to themselves these two end the process at once, and leave a terminal that shows nothing of what is typed.
    handlers = {number: signal.signal(number, _ended) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setraw(terminal)
        sys.stdout.write(_ENTER)
        yield terminal
    finally:
        try:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _ended(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _key(terminal: int) -> str:
    """Return the next key. The end of the input is as if they left."""
    read = os.read(terminal, 1)
    if not read:
        return "escape"
    # What follows an escape at once belongs to it.
    while read[:1] == b"\x1b" and len(read) < 4 and read not in (set(_SEQUENCES) - {b"\x1b"}):
        ready, _, _ = select.select([terminal], [], [], 0.05)
        if not ready:
            break
        read += os.read(terminal, 1)
    return _SEQUENCES.get(read, read.decode(errors="replace"))
