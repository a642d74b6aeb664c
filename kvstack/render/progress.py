"""What an apply shows while it runs: a line for each event, and on a terminal a status line that is drawn anew."""

from collections.abc import Callable

import msgspec

from kvstack.render import values
from kvstack.render.escape import plain
from kvstack.render.events import Event, Failed, Finished, Skipped, Started, Waiting
from kvstack.render.layout import BOLD, DIM, KEEP, PLAIN, RED, YELLOW, Line, Span, cut, fitted
from kvstack.render.words import VERBS, seconds
from kvstack.terms.action import Action
from kvstack.terms.address import Address

_ENDLESS = 1 << 40  # a log's lines are read by programs too: an event is one line
_LEAST_SHOWN = 12  # columns: of less, nothing can be made out
_WORTH_TELLING = 0.1  # seconds: what took less took none
_CLEARED = "\r\x1b[2K"


class Running(msgspec.Struct, frozen=True):
    """A change that has begun. what: what is being waited for, None where nothing in particular."""

    action: Action
    what: str | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far an apply is. total: all changes; ended: made, failed or skipped; running: by address, oldest first."""

    total: int
    ended: int = 0
    running: dict[Address, Running] = {}

    def after(self, event: Event) -> "Progress":
        """Return how far it is when this has happened too."""
        match event:
            case Started(address, _, action):
                return Progress(self.total, self.ended, {**self.running, address: Running(action)})
            case Waiting(address, what):
                began = self.running.get(address, Running(Action.UPDATE))
                return Progress(self.total, self.ended, {**self.running, address: Running(began.action, what)})
            case Finished(address) | Failed(address) | Skipped(address):
                running = {other: what for other, what in self.running.items() if other != address}
                return Progress(self.total, self.ended + 1, running)


def status(progress: Progress, *, width: int) -> str:
    """Return one line: `3 of 12, generating RSA-4096 key payments/keys/signing, 9 left`."""
    first, last = f"{progress.ended} of {progress.total}", f"{progress.total - progress.ended} left"
    # A terminal goes on to the next line when the last column is written to.
    room = width - 1 - len(f"{first}, , {last}")
    now = _now(progress)
    if not now or room < _LEAST_SHOWN:
        return cut(f"{first}, {last}", width - 1)
    return f"{first}, {cut(now, room)}, {last}"


def _now(progress: Progress) -> str:
    """Return what is going on: what takes long is what people wonder about; all else comes and goes."""
    waited = [(address, running) for address, running in progress.running.items() if running.what is not None]
    for address, running in waited or progress.running.items():
        what = VERBS[running.action].going_on if running.what is None else plain(running.what)
        others = f" and {len(waited) - 1} more" if len(waited) > 1 else ""
        return f"{what} {values.address(address)}{others}"
    return ""


def event_line(event: Event) -> Line:
    """Return what happened as one line."""
    name: Span = (BOLD, values.address(event.address))
    match event:
        case Started(action=action):
            return _line(name, (PLAIN, f": {VERBS[action].going_on}"))
        case Waiting(what=what):
            return _line(name, (DIM, f": {plain(what)}"))
        case Finished(action=action, seconds=length):
            verb = VERBS[action]
            took = f" in {seconds(length)}".replace(" ", KEEP) if length >= _WORTH_TELLING else ""
            return _line(name, (PLAIN, ": "), (verb.style, verb.done), (DIM, took))
        case Failed(action=action, diagnostics=diagnostics):
            why = plain(diagnostics[0].summary) if diagnostics else "for no known reason"
            return _line(name, (PLAIN, ": "), (RED, f"{VERBS[action].infinitive} failed"), (PLAIN, f": {why}"))
        case Skipped(action=action, because=because):
            return _line(name, (PLAIN, ": "), (YELLOW, f"not {VERBS[action].done}"), (PLAIN, f": {plain(because)}"))


class Printer:
    """Shows events as they come, to one writer; not for several threads at once.

    write: takes text; width: columns of the terminal; live: whether it is a terminal that can draw a line anew.
    """

    def __init__(self, write: Callable[[str], object], *, total: int, width: int, colour: bool, live: bool) -> None:
        self._write = write
        self._width = width
        self._colour = colour
        self._live = live
        self._progress = Progress(total)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not self._live:
            if isinstance(event, Started):
                return  # in a log, what ended and what is being waited for says it all
            self._write(fitted((event_line(event),), width=_ENDLESS, colour=self._colour))
            return
        self._progress = self._progress.after(event)
        line = ""
        if not isinstance(event, Started | Waiting):  # those are what the status line shows
            line = fitted((event_line(event),), width=self._width, colour=self._colour)
        self._write(_CLEARED + line + status(self._progress, width=self._width))

    def close(self) -> None:
        """Take the status line away."""
        if self._live:
            self._write(_CLEARED)


def _line(*spans: Span) -> Line:
    return Line(spans, 0, 4)
