"""What happens in an apply, as values: the engine tells, renderings show."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic


class Started(msgspec.Struct, frozen=True):
    """Work on a change has begun."""

    address: Address
    kind: str
    action: Action


class Waiting(msgspec.Struct, frozen=True):
    """A change that has begun takes long. what: what is being waited for (`generating RSA-4096 key`)."""

    address: Address
    what: str


class Finished(msgspec.Struct, frozen=True):
    """A change is made, durably. seconds: how long it took."""

    address: Address
    kind: str
    action: Action
    seconds: float


class Failed(msgspec.Struct, frozen=True):
    """A change could not be made. diagnostics: why, one at least."""

    address: Address
    kind: str
    action: Action
    seconds: float
    diagnostics: tuple[Diagnostic, ...]


class Skipped(msgspec.Struct, frozen=True):
    """A change was not tried. because: why (`payments-dev failed`, `interrupted`)."""

    address: Address
    kind: str
    action: Action
    because: str


Event = Started | Waiting | Finished | Failed | Skipped


class Outcome(msgspec.Struct, frozen=True):
    """What an apply came to. results: in the order in which they ended; interrupted: it was stopped before its end."""

    results: tuple[Finished | Failed | Skipped, ...]
    interrupted: bool = False

    @property
    def made(self) -> Counter[Action]:
        """How many changes of each action were made."""
        return Counter(result.action for result in self.results if isinstance(result, Finished))

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The changes that could not be made."""
        return tuple(result for result in self.results if isinstance(result, Failed))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The changes that were not tried."""
        return tuple(result for result in self.results if isinstance(result, Skipped))


def outcome(events: Iterable[Event], *, interrupted: bool = False) -> Outcome:
    """Return what all events of an apply come to."""
    return Outcome(
        tuple(event for event in events if isinstance(event, Finished | Failed | Skipped)), interrupted=interrupted
    )
