"""What kvstack asks of a place states are kept in."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from kvstack.state.state import Entry, State
from kvstack.terms.diagnostic import KvstackError


class LockHolder(msgspec.Struct, frozen=True):
    """Who holds a lock. who: user and machine; command: what they are doing."""

    who: str
    process: int
    command: str
    since: datetime


class StateLocked(KvstackError):
    """Somebody else is changing this state; the error says who."""

    exit_code = 4

    def __init__(self, holder: LockHolder | None) -> None:
        self.holder = holder
        if holder is None:
            super().__init__("the state is locked", "Its holder left no name. Try again when it has finished.")
            return
        super().__init__(
            f"the state is locked by {holder.who}, process {holder.process}, since "
            f"{holder.since:%Y-%m-%d %H:%M:%S} UTC",
            f"It is running `kvstack {holder.command}`. The lock ends with that process: let it finish, or stop it "
            f"with `kill -INT {holder.process}` (what is in flight is finished and recorded).",
        )


class StateChanged(KvstackError):
    """The state was written by somebody else since it was read: compare-and-swap on the serial failed."""


class Lock(Protocol):
    """A held lock; it ends by itself where its holder dies."""

    def release(self) -> None:
        """Let it go. Doing it twice is no error."""
        ...


class StateStore(Protocol):
    """Keeps the state of one stack and environment."""

    def read(self) -> State | None:
        """Return the state with every recorded change, or None where nothing was applied yet. Raises KvstackError
        where it is damaged, edited or foreign."""
        ...

    def lock(self, holder: LockHolder) -> Lock:
        """Take the lock at once, or raise StateLocked."""
        ...

    def record(self, entries: Iterable[Entry]) -> None:
        """Append finished changes, durably. Only under the lock."""
        ...

    def write(self, state: State, *, expected_serial: int) -> State:
        """Replace the state whole and return it with its new serial. Raises StateChanged where somebody else was
        quicker."""
        ...
