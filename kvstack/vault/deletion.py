"""That a thing is soft-deleted."""

from datetime import datetime

import msgspec


class Deletion(msgspec.Struct, frozen=True):
    """That a thing is soft-deleted: since when, by whom, and when time purges it."""

    deleted: datetime
    scheduled_purge: datetime
    by: str = ""
