"""How a server is: whether it answers, what it is busy with, and that it is to stop."""

from collections.abc import Callable
from typing import Final

from kvstack.server.answer import Answer, answered

_RETRY: Final = (b"retry-after", b"5")


class ServerState:
    """One server's. ready: tells what keeps it from answering, empty where nothing does; in_flight: requests that are
    worked on."""

    def __init__(self, ready: Callable[[], str]) -> None:
        self._ready = ready
        self.stopping = False
        self.in_flight = 0

    def health(self) -> Answer:
        """Answer whether the process lives: it does where it answers."""
        return answered({"status": "alive"})

    def readiness(self) -> Answer:
        """Answer whether requests may be sent here."""
        why = "the server is stopping" if self.stopping else self._ready()
        if why:
            found = answered({"status": "not ready", "reason": why}, 503)
            return Answer(503, found.body, (*found.headers, _RETRY))
        return answered({"status": "ready"})
