"""From when until when a version holds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from kvstack.schema.resource import Problem

Moment = Annotated[datetime, msgspec.Meta(tz=True, examples=["2027-01-31T00:00:00Z"])]


def problems_of_validity(
    start: datetime | None, end: datetime | None, names: tuple[str, str] = ("not_before", "expires")
) -> Iterator[Problem]:
    """Yield what is wrong with a pair of dates. names: what they are called where they are declared."""
    outside = [name for name, moment in zip(names, (start, end), strict=True) if moment and not _in_calendar(moment)]
    for name in outside:
        yield Problem((name,), "this moment has no date in UTC")
    if start is not None and end is not None and end <= start and not outside:
        yield Problem((names[1],), f"it ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d})")


def _in_calendar(moment: datetime) -> bool:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True
