"""A server on a vault of a test's own, which it may change, and browsers whose sessions the test made itself."""

import time
from pathlib import Path

import msgspec

from kvstack.server.identity.stamps import drawn, handed_out
from kvstack.server.portal.session import Session
from kvstack.vault.audit_record import AuditRecord
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.server.identity.person import Person
from tests.server.portal.browsing import COOKIE, PortalBrowser
from tests.server.served import Served


class Own:
    """A server, and its vault opened beside it."""

    def __init__(self, folder: Path, people: dict[str, Person]) -> None:
        self.folder = folder
        self.people = people
        self.served = Served(folder)
        self.unlocked = unlock(folder)
        self.service = VaultService(self.unlocked)

    def browser(self, name: str, **changed: object) -> PortalBrowser:
        """Return a browser with a session that another process made: any knows the vault's own. changed: what is not
        as in one that begins now."""
        person, now = self.people[name], time.time()
        session = Session(
            id=drawn(),
            ends=now + 600,
            principal_id=person.id,
            credential=f"person/{person.credential}",
            began=now,
        )
        found = PortalBrowser(self.served)
        found.cookies[COOKIE] = handed_out(self.service, msgspec.structs.replace(session, **changed))
        return found

    def audited(self, operation: str) -> list[AuditRecord]:
        """Return the records of an operation, the newest first."""
        return [one for one in self.unlocked.audit.records(newest_first=True) if one.operation == operation]

    def close(self) -> None:
        """End both."""
        self.served.kill()
        self.unlocked.close()
