"""What keeps deleted things, and until when: retention, purge protection, and a clock that has to be believed first."""

from datetime import datetime, timedelta

import msgspec

from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.records import Deletion, Vault


class VaultTime(msgspec.Struct, frozen=True):
    """What time it is, as far as the vault believes it. latest: the latest moment it ever saw, at least now; doubt: why
    time may purge nothing at present, empty when the clock is believed."""

    now: datetime
    latest: datetime
    doubt: str = ""


def deletion(time: VaultTime, vault: Vault, caller: Caller) -> Deletion:
    """Return the deletion of something in a vault, or of the vault, made now."""
    # From the latest moment ever seen: a clock set back for the deletion must not bring the purge nearer.
    return Deletion(
        deleted=time.now,
        scheduled_purge=time.latest + timedelta(days=vault.soft_delete_retention_days),
        by=caller.id,
    )


def past(deleted: Deletion, time: VaultTime) -> bool:
    """Tell whether retention has ended, so that time may purge it."""
    return not time.doubt and time.now >= deleted.scheduled_purge


def require_purgeable(kind: str, name: str, vault: Vault, deleted: Deletion, time: VaultTime) -> None:
    """Refuse a purge that the vault's purge protection forbids; it counts for what was deleted before it, too."""
    if not vault.purge_protection or past(deleted, time):
        return
    if time.now < deleted.scheduled_purge:
        raise errors.purge_protected(kind, name, vault.name, deleted.scheduled_purge)
    raise errors.clock_stepped(kind, name, time.doubt)
