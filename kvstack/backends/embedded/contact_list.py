"""Whom vaults tell about their certificates, in the embedded vault."""

import contextlib

from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.reading_people import of_contacts
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.contact_list import ContactList
from kvstack.schema.resource import Resource
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import Contact
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class ContactListHandler:
    """Makes, changes and empties the list. Whose it is stands in the state."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[ContactList]) -> Actual[Resource]:
        """Tell these people, where nobody is told yet."""
        try:
            return self._set(wanted, only_if_absent=True)
        except Conflict:
            if (there := already(self._service, self._caller, self._places.subscription, wanted)) is not None:
                return there
            raise

    def update(
        self, actual: Actual[ContactList], wanted: Wanted[ContactList], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Tell these people and no others; to be imported, nothing has to change."""
        if changed <= {"owner"}:
            return actual  # type: ignore[return-value]  # one of its own resource type
        return self._set(wanted, only_if_absent=False)

    def delete(self, actual: Actual[ContactList]) -> None:
        """Tell nobody. A vault that is gone is no error."""
        with contextlib.suppress(NotFound):
            self._service.set_contacts(self._caller, actual.vault, ())

    def _set(self, wanted: Wanted[ContactList], *, only_if_absent: bool) -> Actual[Resource]:
        people = [Contact(one.email, one.name, one.phone) for one in wanted.resource.people]
        told = self._service.set_contacts(self._caller, wanted.vault, people, only_if_absent=only_if_absent)
        return of_contacts(told, wanted.vault, self._places.vault(wanted.vault).path)
