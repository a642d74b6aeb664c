"""Issuers of vaults in the embedded vault."""

import contextlib

from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.reading_people import of_issuer
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.issuer import Issuer
from kvstack.schema.resource import Resource
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class IssuerHandler:
    """Makes, changes and deletes issuers. Whose one is stands in the state."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[Issuer]) -> Actual[Resource]:
        """Make the issuer."""
        try:
            return self._put(wanted, only_if_absent=True)
        except Conflict:
            if (there := already(self._service, self._caller, self._places.subscription, wanted)) is not None:
                return there
            raise

    def update(self, actual: Actual[Issuer], wanted: Wanted[Issuer], changed: frozenset[str]) -> Actual[Resource]:
        """Change what is behind the name; to be imported, nothing has to change."""
        if changed <= {"owner"}:
            return actual  # type: ignore[return-value]  # one of its own resource type
        return self._put(wanted, only_if_absent=False)

    def delete(self, actual: Actual[Issuer]) -> None:
        """Delete the issuer. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._service.delete_issuer(self._caller, actual.vault, actual.resource.name)

    def _put(self, wanted: Wanted[Issuer], *, only_if_absent: bool) -> Actual[Resource]:
        issuer = wanted.resource
        made = self._service.put_issuer(
            self._caller,
            wanted.vault,
            issuer.name,
            provider=issuer.provider,
            authority=issuer.authority,
            account_id=issuer.account_id,
            organization_id=issuer.organization_id,
            enabled=issuer.enabled,
            only_if_absent=only_if_absent,
        )
        return of_issuer(made, wanted.vault, self._places.vault(wanted.vault).path)
