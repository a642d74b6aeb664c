"""From when to when a certificate made at some time holds, and whether its authority lives as long."""

from datetime import datetime, timedelta

from kvstack.terms.duration import Duration

# Clocks of those who check it may be behind ours. Azure's own allowance.
BACKDATED = timedelta(minutes=10)


def life(months: int, now: datetime, authority_begins: datetime | None) -> tuple[datetime, datetime]:
    """Return from when to when. authority_begins: the beginning of the authority's own certificate, None for one that
    signs itself."""
    not_before = now.replace(microsecond=0) - BACKDATED
    if authority_begins is not None:
        not_before = max(not_before, authority_begins)
    return not_before, Duration(months=months).after(not_before)
