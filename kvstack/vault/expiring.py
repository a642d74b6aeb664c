"""People told that something is going to expire, and that it has: once for each version and date, by the scheduler."""

from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from kvstack.vault import outbox
from kvstack.vault.caller import SYSTEM
from kvstack.vault.certificates.rows import CONTACTS
from kvstack.vault.dates import notice
from kvstack.vault.due_kind import Action, Found
from kvstack.vault.engine import Attempt
from kvstack.vault.events import emit_version, tell_version
from kvstack.vault.items import CERTIFICATE, KEY, SECRET, I, ItemOperations, Kind
from kvstack.vault.records import Certificate, Key, Secret
from kvstack.vault.still_due import still_due

# Who is told, and of what.
NOTICES: Final = {"near-expiry": "NearExpiry", "expired": "Expired", "tell-contacts": "NearExpiry"}


class ExpiryOperations(ItemOperations):
    """What the scheduler tells of what expires."""

    def _ready_to_tell(self, found: Found) -> Callable[[], None]:
        """Tell that a version is going to expire, or has."""
        return partial(self._tell_of_expiry, found)

    def _tell_of_expiry(self, found: Found) -> None:
        due = found.due
        scope = self._scope(due.vault, f"{due.kind}s/{due.name}")
        operation = f"{due.kind.title()}{'TellContacts' if due.action == 'tell-contacts' else NOTICES[due.action]}"
        with self._attempt(SYSTEM, operation, scope) as attempt, attempt.transaction():
            match found.thing:
                case Key():
                    _told(attempt, found, KEY)
                case Secret():
                    _told(attempt, found, SECRET)
                case Certificate():
                    _told(attempt, found, CERTIFICATE)


def _told(attempt: Attempt, found: Found, kind: Kind[I]) -> None:
    """Put the event into the outbox, and note that it is there, in one transaction."""
    home, item = still_due(attempt, found.due, kind)
    if found.due.action == "tell-contacts":
        told = CONTACTS.get(attempt.tx, home.id)
        if told is not None and told.contacts:
            tell_version(attempt, home, item, NOTICES[found.due.action], [outbox.contacts(home, ())])
    else:
        emit_version(attempt, home, item, NOTICES[found.due.action])
    kind.table.put(attempt.tx, noted(item, found.due.action))


def noted(item: I, action: Action) -> I:
    """Return a thing of which people were told that. What was noted of versions before is of no use any more."""
    still = {notice(one, item) for one in NOTICES}
    told = {*(one for one in item.told if one in still), notice(action, item)}
    return replace(item, told=tuple(sorted(told)))
