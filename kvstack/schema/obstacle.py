"""What stands in the way of a change, told before anything is touched."""

from typing import Protocol

import msgspec


class Obstacle(msgspec.Struct, frozen=True):
    """Why something cannot be done, and how to mend it."""

    summary: str
    mend: str = ""


class ValueSource(Protocol):
    """Where a value comes from that no plan may know."""

    @property
    def read_at_plan(self) -> bool:
        """Whether looking at the value runs nothing, so that a plan may have it fingerprinted."""
        ...

    @property
    def waits_for(self) -> str | None:
        """What is being waited for where getting the value takes long, else None."""
        ...


class Hint(msgspec.Struct, frozen=True):
    """What is worth a word about a thing as it stands now."""

    summary: str
    detail: str
