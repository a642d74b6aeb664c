"""Managed identities in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.tags import tags_of
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.identity import Identity
from kvstack.schema.resource import Resource
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class IdentityHandler:
    """Makes, tags and deletes managed identities."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[Identity]) -> Actual[Resource]:
        """Make it, with a principal of its own."""
        identity = wanted.resource
        try:
            made = self._service.create_identity(
                self._caller,
                identity.name,
                resource_group=identity.resource_group,
                location=identity.location,
                tags=tags_of(wanted),
            )
        except Conflict as error:
            there = already(self._service, self._caller, self._places.subscription, wanted)
            if there is not None:
                return there
            raise error.with_detail("Somebody made it since the plan was made: run `kvstack plan` again.") from None
        return reading.of_identity(made, self._places.subscription)

    def update(self, actual: Actual[Identity], wanted: Wanted[Identity], changed: frozenset[str]) -> Actual[Resource]:
        """Change its tags and the owner's: nothing else of it changes in place."""
        there = actual.resource
        made = self._service.update_identity(
            self._caller, there.name, resource_group=there.resource_group, tags=tags_of(wanted)
        )
        return reading.of_identity(made, self._places.subscription)

    def delete(self, actual: Actual[Identity]) -> None:
        """Delete it for good, with all it was given."""
        there = actual.resource
        with contextlib.suppress(NotFound):  # one that is gone already is no error
            self._service.delete_identity(self._caller, there.name, resource_group=there.resource_group)
