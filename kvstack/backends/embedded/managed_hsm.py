"""Managed HSMs in the embedded vault. Their tokens are made and destroyed outside any transaction, so no change of one
stands in a batch."""

import contextlib

from kvstack.backends.embedded import reading_hsm
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.tags import tags_of
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.schema.resource import Resource
from kvstack.vault import records
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class ManagedHsmHandler:
    """Creates, updates, deletes, recovers and purges Managed HSMs."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[ManagedHsm]) -> Actual[Resource]:
        """Make it with its tokens."""
        pool = wanted.resource
        try:
            made = self._service.create_managed_hsm(
                self._caller,
                pool.name,
                resource_group=pool.resource_group,
                location=pool.location,
                soft_delete_retention_days=pool.soft_delete_retention_days,
                purge_protection=pool.purge_protection,
                administrators=sorted(pool.administrators),
                tokens=pool.tokens,
                tags=tags_of(wanted),
            )
        except Conflict as error:
            if (there := already(self._service, self._caller, self._places.subscription, wanted)) is not None:
                return there
            raise error.with_detail("Somebody made it since the plan was made: run `kvstack plan` again.") from None
        return self._read(made)

    def update(
        self, actual: Actual[ManagedHsm], wanted: Wanted[ManagedHsm], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Change settings in place; more tokens are made, and wait to join the security domain."""
        changes: dict[str, object] = {
            attribute: getattr(wanted.resource, attribute)
            for attribute in ("purge_protection", "tokens")
            if attribute in changed
        }
        if "tags" in changed or "owner" in changed:
            changes["tags"] = tags_of(wanted)
        return self._read(self._service.update_managed_hsm(self._caller, actual.resource.name, **changes))  # type: ignore[arg-type]  # each under its own name

    def delete(self, actual: Actual[ManagedHsm]) -> None:
        """Delete it with its keys; it can be recovered."""
        with contextlib.suppress(NotFound):  # one that is gone already is no error
            self._service.delete_managed_hsm(self._caller, actual.resource.name)

    def recover(self, actual: Actual[ManagedHsm]) -> Actual[Resource]:
        """Bring it back with what was in it."""
        return self._read(self._service.recover_managed_hsm(self._caller, actual.resource.name))

    def purge(self, actual: Actual[ManagedHsm]) -> None:
        """Destroy it for good, with its tokens."""
        self._service.purge_managed_hsm(self._caller, actual.resource.name)

    def _read(self, pool: records.Vault) -> Actual[Resource]:
        self._places.groups[pool.folded] = pool.resource_group
        return reading_hsm.of_managed_hsm(pool, self._places.subscription)
