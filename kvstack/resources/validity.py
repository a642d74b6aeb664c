"""From when until when a version holds."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from kvstack.schema.resource import Problem

Moment = Annotated[datetime, msgspec.Meta(tz=True, examples=["2027-01-31T00:00:00Z"])]


def problems_of_validity(start: datetime | None, end: datetime | None, attribute: str = "expires") -> Iterator[Problem]:
    """Yield what is wrong with a pair of dates. attribute: what the end is called where it is declared."""
    if start is not None and end is not None and end <= start:
        yield Problem((attribute,), f"it ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d})")
