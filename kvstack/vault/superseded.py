"""Uses of a version that another one has followed: noted in the audit where they happen, and told apart by alerts."""

from datetime import UTC, datetime

from kvstack.terms.duration import Duration
from kvstack.terms.schedule import later
from kvstack.vault.audit_record import AuditRecord
from kvstack.vault.engine import Attempt
from kvstack.vault.items import V
from kvstack.vault.records import Key, Secret
from kvstack.vault.table import Table

SUPERSEDED = "superseded"
# What was made before is given back, or checked, by the version that made it: that is what old versions are kept for.
_FOR_WHAT_WAS_MADE_BEFORE = frozenset({"KeyDecrypt", "KeyUnwrap", "KeyDecapsulate", "KeyVerify"})


def superseded_since(attempt: Attempt, table: Table[V], item: Key | Secret, row: V) -> datetime | None:
    """Return since when a version was followed by another one; None for what an id without a version stands for: a
    version after which all are disabled is in use again."""
    if row.version == item.version:
        return None
    rows = table.scan(attempt.tx, vault_id=row.vault_id, folded=row.folded)
    newer = [one for one in rows if one.number > row.number]
    if not any(one.enabled for one in newer):
        return None
    return min(newer, key=lambda one: one.number).created


def note_version(attempt: Attempt, version: str, since: datetime | None) -> None:
    """Take down which version is used, refused or not. since: when another one followed it, None where none did."""
    attempt.details["version"] = version
    if since is not None:
        attempt.details[SUPERSEDED] = since.astimezone(UTC).isoformat().replace("+00:00", "Z")


def used_after(record: AuditRecord, by: Duration, *, any_use: bool) -> bool:
    """Tell whether a record is of a version that was followed by another one so long before, or longer. any_use: what
    gives back or checks what was made before counts, too."""
    written = record.details.get(SUPERSEDED)
    if written is None or (not any_use and record.operation in _FOR_WHAT_WAS_MADE_BEFORE):
        return False
    then = later(datetime.fromisoformat(written), by)
    return then is not None and record.time >= then
