"""Whether one more request may be done now: what was asked in the window of time it comes in, against the limit."""

import math
from typing import Final, Protocol

import msgspec

from kvstack.server.answer import Answer, refused
from kvstack.server.throttle_limits import SUBSCRIPTION_FACTOR, Charge

_SUBSCRIPTION: Final = "subscription"


class Counters(Protocol):
    """What counts: `SharedCounters` does."""

    def used(self, owner: str, kind: int, window: int, now: float) -> int:
        """Return how much an owner has used in a window of time."""
        ...

    def add(self, owner: str, kind: int, window: int, units: int, now: float) -> None:
        """Count what an owner uses."""
        ...


class TooMany(msgspec.Struct, frozen=True):
    """That a request may not be done now. reason: in Azure's word; seconds: after which it may."""

    reason: str
    seconds: int


class Throttle:
    """Counts requests. A request that is refused counts for nothing, as on Azure."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def counted(self, home: str, charge: Charge, now: float) -> TooMany | None:
        """Count a request, or return why it may not be done now. home: the id of the vault; now: seconds since 1970."""
        limit = charge.limit
        window = int(now // limit.seconds)
        owners = {home: (limit.most, "VaultRequestTypeLimitReached")}
        if limit.shared:
            owners[_SUBSCRIPTION] = (limit.most * SUBSCRIPTION_FACTOR, "SubscriptionRequestTypeLimitReached")
        for owner, (most, reason) in owners.items():
            if self._counters.used(owner, limit.number, window, now) + charge.cost > most:
                return TooMany(reason, max(1, math.ceil((window + 1) * limit.seconds - now)))
        for owner in owners:
            self._counters.add(owner, limit.number, window, charge.cost, now)
        return None


def too_many(found: TooMany) -> Answer:
    """Return Azure's refusal."""
    words = "Request was not processed because too many requests were received. Reason: "
    header = (b"retry-after", str(found.seconds).encode())
    return refused(429, "Throttled", f"{words}{found.reason}", headers=(header,))
