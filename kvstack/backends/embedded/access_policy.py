"""Access policies in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.people import principal_id
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.access_policy import AccessPolicy
from kvstack.schema.resource import Resource
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class AccessPolicyHandler:
    """Sets access policies and takes them away. The vault keeps which stack set one: it is known after a crash."""

    def __init__(self, service: VaultService, caller: Caller, places: Places, owner: str) -> None:
        self._service = service
        self._caller = caller
        self._places = places
        self._owner = owner

    def create(self, wanted: Wanted[AccessPolicy]) -> Actual[Resource]:
        """Set the policy of a principal that has none there."""
        try:
            return self._set(wanted.vault, wanted.resource, only_if_absent=True)
        except Conflict:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise

    def update(
        self, actual: Actual[AccessPolicy], wanted: Wanted[AccessPolicy], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Change what it permits, at once."""
        return self._set(wanted.vault, wanted.resource)

    def delete(self, actual: Actual[AccessPolicy]) -> None:
        """Take the policy away. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            # Its id is that of a scope, whose last part is the principal's.
            self._service.delete_access_policy(self._caller, actual.vault, actual.id.rpartition("/")[2])

    def _set(self, vault: str, policy: AccessPolicy, *, only_if_absent: bool = False) -> Actual[Resource]:
        principal = principal_id(self._service, self._caller, policy.principal)
        given = self._service.set_access_policy(
            self._caller,
            vault,
            principal,
            keys=policy.keys,
            secrets=policy.secrets,
            certificates=policy.certificates,
            declared_by=self._owner,
            only_if_absent=only_if_absent,
        )
        place = self._places.vault(vault)
        return reading.of_access_policy(given, place, self._owner, principals={principal: policy.principal})
