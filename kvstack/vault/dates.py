"""The dates of a thing: what is to be done with it, and when; computed from its row, by the kind of work."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias, cast

from kvstack.terms import schedule
from kvstack.terms.certificate import UNKNOWN

if TYPE_CHECKING:
    from kvstack.vault.certificates.rows import Certificate
    from kvstack.vault.records import Key, Secret

    Item: TypeAlias = Key | Secret | Certificate

# A certificate whose renewal lies before its making (its authority ends before long) is renewed once a day, not at
# every run.
LEAST_BETWEEN_RENEWALS = timedelta(days=1)


def purge(item: "Item") -> datetime | None:
    """Return when retention ends of what is soft-deleted. A certificate's key and secret go with it."""
    return item.deletion.scheduled_purge if item.deletion is not None and not getattr(item, "managed", False) else None


def rotate(item: "Key | Secret") -> datetime | None:
    """Return when the next version is made. What is disabled waits until somebody enables it."""
    if not _alive(item) or item.managed:
        return None
    due = schedule.rotation_due(item.rotation, item.version_created, item.expires)
    underway = getattr(item, "underway", None)
    if underway is None:
        return due
    match underway.stage:
        case "create" | "set" | "test":
            return cast("datetime", underway.next_try)
        case "waiting":
            return max(due, underway.next_try) if due is not None else None
        case _:
            return None  # once that is settled


def settle_rotation(item: "Secret") -> datetime | None:
    """Return when the rotator is told again how a rotation ended, where it has not taken it yet."""
    if not _alive(item) or item.underway is None or item.underway.stage not in ("finish", "rollback"):
        return None
    return item.underway.next_try


def renew(item: "Certificate") -> datetime | None:
    """Return when the next version is made. What somebody else signs is not renewed by the vault."""
    if not _alive(item) or item.pending or item.policy.issuer == UNKNOWN:
        return None
    if item.not_before is None or item.expires is None:
        return None
    due = schedule.renewal_due(item.policy.renew, item.not_before, item.expires)
    return max(due, item.version_created + LEAST_BETWEEN_RENEWALS) if due is not None else None


def disable_previous(item: "Item") -> datetime | None:
    """Return when the oldest version that was followed by another, and is still to be disabled, is. While the newest is
    disabled nothing else is: something has to be there to be used."""
    if not _alive(item) or getattr(item, "managed", False):
        return None
    return schedule.previous_ends(item.keep_previous, item.previous_since)


def near_expiry(item: "Item") -> datetime | None:
    """Return when people are told that the newest version is going to expire. Once: `told` notes it."""
    if not _alive(item) or getattr(item, "managed", False) or was_told("near-expiry", item):
        return None
    return schedule.near_expiry(item.expires, getattr(item, "rotation", None))


def expired(item: "Item") -> datetime | None:
    """Return when people are told that the newest version has expired. Once, as before."""
    if not _alive(item) or getattr(item, "managed", False) or was_told("expired", item):
        return None
    return item.expires


def tell_contacts(item: "Certificate") -> datetime | None:
    """Return when the vault's contacts are mailed, as the certificate's policy says it. Once, as before."""
    if not _alive(item) or item.pending or item.not_before is None or item.expires is None:
        return None
    if was_told("tell-contacts", item):
        return None
    return schedule.renewal_due(item.policy.notify, item.not_before, item.expires)


def notice(action: str, item: "Item") -> str:
    """Return what is noted of a thing once people were told: another version, or another date, is told anew."""
    return f"{action} {item.version} {item.expires.isoformat() if item.expires is not None else ''}"


def was_told(action: str, item: "Item") -> bool:
    """Tell whether people were told that of the newest version."""
    return bool(item.told) and notice(action, item) in item.told


def _alive(item: "Item") -> bool:
    return item.deletion is None and item.enabled


# A kind of work is added by its line here, and its line in `due.py`.
KEY_DATES: "Mapping[str, Callable[[Key], datetime | None]]" = {
    "purge": purge,
    "rotate": rotate,
    "disable-previous": disable_previous,
    "near-expiry": near_expiry,
    "expired": expired,
}
SECRET_DATES: "Mapping[str, Callable[[Secret], datetime | None]]" = {
    "purge": purge,
    "rotate": rotate,
    "settle-rotation": settle_rotation,
    "disable-previous": disable_previous,
    "near-expiry": near_expiry,
    "expired": expired,
}
CERTIFICATE_DATES: "Mapping[str, Callable[[Certificate], datetime | None]]" = {
    "purge": purge,
    "renew": renew,
    "disable-previous": disable_previous,
    "near-expiry": near_expiry,
    "expired": expired,
    "tell-contacts": tell_contacts,
}
