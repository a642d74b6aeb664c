"""What a server tells whoever runs it: one JSON object a line on standard error, and never a value."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from kvstack.terms.diagnostic import KvstackError

Level = Literal["info", "warning", "error"]


class Log:
    """Writes lines. write: takes one, with its end; now: what time it is."""

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._write = write if write is not None else _to_standard_error
        self._now = now

    def tell(self, level: Level, event: str, **fields: Any) -> None:
        """Tell one thing that happened. event: always the same words for the same thing; fields: what differs."""
        line = {"time": self._now().isoformat(timespec="milliseconds"), "level": level, "event": event, **fields}
        self._write(msgspec.json.encode(line).decode() + "\n")

    def wrong(self, event: str, error: BaseException, **fields: Any) -> None:
        """Tell what failed. Of an error nobody foresaw only its kind and place: its words may hold what was worked
        on."""
        if isinstance(error, KvstackError):
            told = [one.summary + (f". {one.detail}" if one.detail else "") for one in error.diagnostics]
            self.tell("error", event, problems=told, **fields)
            return
        trace, place = error.__traceback__, ""
        while trace is not None:
            if (module := trace.tb_frame.f_globals.get("__name__", "")).startswith("kvstack"):
                place = f"{module}:{trace.tb_lineno}"
            trace = trace.tb_next
        self.tell("error", event, defect=type(error).__name__, place=place, **fields)


def _to_standard_error(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
