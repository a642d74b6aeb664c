"""Whether the clock can be believed: the high-water mark of time, and steps away from it."""

from datetime import UTC, datetime, timedelta

import msgspec

LONGEST_PAUSE = timedelta(days=35)
# Clocks are corrected by seconds all the time, and two processes read theirs in either order.
TOLERANCE = timedelta(minutes=5)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Steady(msgspec.Struct, frozen=True):
    """The clock goes on from where it was."""


class StepBack(msgspec.Struct, frozen=True):
    """The clock is behind a time the vault has already seen."""

    mark: datetime
    now: datetime

    def __str__(self) -> str:
        return f"the clock stepped back: it says {_words(self.now)}, and the vault was used at {_words(self.mark)}"


class StepForward(msgspec.Struct, frozen=True):
    """The clock is further ahead of the vault's last change than anybody leaves a vault alone."""

    mark: datetime
    now: datetime

    def __str__(self) -> str:
        days = (self.now - self.mark).days
        return f"the clock is {days} days ahead of the vault's last change, on {_words(self.mark)}"


TimeStep = Steady | StepBack | StepForward


def step(mark: datetime | None, now: datetime) -> TimeStep:
    """Return how the clock stands to the mark. None: nothing was ever marked."""
    if mark is None:
        return Steady()
    if now < mark - TOLERANCE:
        return StepBack(mark, now)
    if now > mark + LONGEST_PAUSE:
        return StepForward(mark, now)
    return Steady()


def moved(mark: int, now: int) -> int:
    """Return the mark after a change at this time, both in microseconds since 1970: it never goes back, and makes no
    step by itself, so that a step stays one until it was confirmed."""
    if mark == 0:
        return now
    return now if mark < now <= mark + _LONGEST_PAUSE else mark


def microseconds(moment: datetime) -> int:
    """Return a moment in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """Return the moment this many microseconds after the beginning of 1970."""
    return _EPOCH + timedelta(microseconds=count)


def _words(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


_LONGEST_PAUSE = LONGEST_PAUSE // _MICROSECOND
