"""When something is due: pure functions of a policy and the dates it counts from.

All dates are in UTC, so daylight saving never matters; months are cut to their length (31 January + P1M is 28 or 29
February). A date beyond the year 9999 never comes: it is None, as is one that nothing asks for.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kvstack.terms.duration import Duration
from kvstack.terms.rotation import RotationPolicy

if TYPE_CHECKING:
    from kvstack.terms.certificate import Trigger

NOTICE = Duration(days=30)


def rotation_due(policy: RotationPolicy | None, created: datetime, expires: datetime | None) -> datetime | None:
    """Return when a version is to be followed by the next one. created: when it was made, whoever made it; expires: its
    own date; a version without one counts as if it lived as long as the policy says. Never before it was made."""
    if policy is None or not policy.enabled:
        return None
    if policy.every is not None:
        return later(created, policy.every)
    if policy.before_expiry is None:
        return None
    end = expires if expires is not None else later(created, policy.expire_after)
    due = earlier(end, policy.before_expiry) if end is not None else None
    return max(due, created) if due is not None else None


def near_expiry(expires: datetime | None, policy: RotationPolicy | None = None) -> datetime | None:
    """Return when people are told that a version is going to expire: as the policy says, else 30 days before."""
    notice = policy.notify_before_expiry if policy is not None else None
    return earlier(expires, notice or NOTICE) if expires is not None else None


def renewal_due(trigger: "Trigger | None", not_before: datetime, expires: datetime) -> datetime | None:
    """Return when a certificate is to be renewed (or its contacts told), by days before it expires or by percentage of
    its life. Never before its life begins."""
    if trigger is None:
        return None
    if trigger.days_before_expiry is not None:
        due = earlier(expires, Duration(days=trigger.days_before_expiry))
        return max(due, not_before) if due is not None else None
    if trigger.lifetime_percentage is not None:
        life = int((expires - not_before).total_seconds())  # whole seconds, as certificates have them
        return not_before + timedelta(seconds=life * trigger.lifetime_percentage // 100)
    return None


def previous_ends(keep_previous: Duration | None, superseded_at: datetime | None) -> datetime | None:
    """Return when a version that was followed by another one is disabled."""
    return later(superseded_at, keep_previous) if superseded_at is not None else None


def expiry_of_new(policy: RotationPolicy | None, created: datetime) -> datetime | None:
    """Return when a version made by rotation expires, as far as the policy says it."""
    return later(created, policy.expire_after) if policy is not None else None


def later(moment: datetime, by: Duration | None) -> datetime | None:
    """Return the moment this much later, None for never."""
    if by is None:
        return None
    try:
        return by.after(moment)
    except OverflowError:
        return None


def earlier(moment: datetime, by: Duration) -> datetime | None:
    """Return the moment this much earlier, None where the calendar has none."""
    try:
        return by.before(moment)
    except OverflowError:
        return None
