"""What time makes due, done by a running server: the same runs as `kvstack run-due`, one after the other."""

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from kvstack.server.log import Log
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.caller import SYSTEM, Caller

if TYPE_CHECKING:
    from kvstack.vault.delivery_policy import DeliveryReport
    from kvstack.vault.due import DueReport

# A clock that cannot be told, or dates a moment apart, must not make a loop that never rests.
_SHORTEST: Final = 0.05


class Scheduled(Protocol):
    """What a scheduler needs of a vault: `VaultService` is one."""

    def run_due(self, caller: Caller) -> "DueReport":
        """Do what is due."""
        ...

    def deliver_events(self, caller: Caller) -> "DeliveryReport":
        """Hand over what waits."""
        ...

    def next_due(self, within: timedelta) -> timedelta | None:
        """Return how long it is until the next thing is due."""
        ...


class Scheduler:
    """One loop on a thread of its own. longest: seconds between two runs at most.

    It is safe beside others, here or in other processes: each thing is done once, whoever does it. What fails is told,
    and tried again by the next run.
    """

    def __init__(self, vault: Scheduled, log: Log, *, longest: float) -> None:
        self._vault = vault
        self._log = log
        self.longest = longest
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)
        self._doubt = ""

    def start(self) -> None:
        """Begin, with a first run at once."""
        self._thread.start()

    def stop(self) -> None:
        """Do not begin anything any more; return when what was begun is done."""
        self._stop.set()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread.is_alive()

    def once(self) -> float:
        """Do what is due now. Returns how many seconds to rest."""
        try:
            self._tell(self._vault.run_due(SYSTEM))
        except KvstackError as error:
            self._log.wrong("what is due could not be done; the next run tries again", error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the loop must go on: it is told, and tried again
            self._log.wrong("what is due could not be done; the next run tries again", error)
        try:
            self._tell_delivered(self._vault.deliver_events(SYSTEM))
        except KvstackError as error:
            self._log.wrong("events could not be delivered; the next run tries again", error)
        except Exception as error:  # noqa: BLE001  # as above
            self._log.wrong("events could not be delivered; the next run tries again", error)
        return self._rest()

    def _rest(self) -> float:
        try:
            next_due = self._vault.next_due(timedelta(seconds=self.longest))
        except KvstackError as error:
            self._log.wrong("it cannot be told when something is due next", error)
            return self.longest
        return self.longest if next_due is None else max(next_due.total_seconds(), _SHORTEST)

    def _loop(self) -> None:
        rest = 0.0
        while not self._stop.wait(rest):
            rest = self.once()

    def _tell(self, report: "DueReport") -> None:
        for done in report.done:
            self._log.tell("info", "done", action=done.action, kind=done.kind, vault=done.vault, name=done.name)
        for failed in report.failed:
            self._log.tell(
                "error",
                "what is due could not be done; the next run tries again",
                action=failed.due.action,
                kind=failed.due.kind,
                vault=failed.due.vault,
                name=failed.due.name,
                problems=[f"{failed.diagnostic.summary}. {failed.diagnostic.detail}".rstrip(". ")],
            )
        # Told when it begins to be so, not at every run until a person has looked.
        if report.reason and report.reason != self._doubt:
            self._log.tell(
                "warning",
                "the clock stepped: what is due is held back",
                reason=report.reason,
                mend="When the clock is right, run `kvstack run-due --confirm-clock REASON`.",
            )
        self._doubt = report.reason

    def _tell_delivered(self, report: "DeliveryReport") -> None:
        if report.delivered or report.dead:
            self._log.tell("info", "events delivered", delivered=report.delivered, dead=report.dead)
        for trouble in report.troubles:
            self._log.tell("warning", "events not taken", subscription=trouble.subscription, why=trouble.why)
