"""Where vaults are: the subscription and its resource groups, as far as a caller may know of them.

A resource group is no thing of its own here: it is there while something is in it, and the store's own is always there.
"""

from typing import Final

import msgspec

from kvstack.terms.name import folded, resource_group_name_problem
from kvstack.terms.scope import Scope
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, NotFound
from kvstack.vault.identities import IDENTITIES, ManagedIdentity
from kvstack.vault.records import Vault

READ: Final = "Microsoft.Resources/subscriptions/resourceGroups/read"
READ_SUBSCRIPTION: Final = "Microsoft.Resources/subscriptions/read"


class HomeSubscription(msgspec.Struct, frozen=True):
    """The one there is. id, tenant_id: GUIDs."""

    id: str
    tenant_id: str


class ResourceGroup(msgspec.Struct, frozen=True):
    """One group. locations: of what is in it; the location of a group that holds nothing is `local`."""

    name: str
    locations: tuple[str, ...] = ()

    @property
    def location(self) -> str:
        """Where it is said to be."""
        return self.locations[0] if self.locations else "local"


class ResourceGroupOperations(Engine):
    """What can be asked about subscription and groups."""

    @property
    def tenant_id(self) -> str:
        """The tenant of the store: everybody who may sign in is told."""
        return self._settings.tenant_id

    def list_home_subscriptions(self, caller: Caller) -> tuple[HomeSubscription, ...]:
        """Return the subscription, to whom anything in it was given or who may see it; to nobody else."""
        with self._attempt(caller, "SubscriptionList", self.top) as attempt, attempt.reading():
            return (self._home(),) if self._is_known(attempt) else ()

    def get_home_subscription(self, caller: Caller) -> HomeSubscription:
        """Return the subscription."""
        with self._attempt(caller, "SubscriptionGet", self.top) as attempt, attempt.reading():
            if not self._is_known(attempt):
                raise attempt.denied(READ_SUBSCRIPTION, self.top, data=False)
            return self._home()

    def list_resource_groups(self, caller: Caller) -> tuple[ResourceGroup, ...]:
        """Return the groups the caller may see, by name."""
        with self._attempt(caller, "ResourceGroupList", self.top) as attempt, attempt.reading():
            return tuple(
                group
                for group in self._groups(attempt)
                if attempt.may(READ, Scope(self.top.subscription, group.name), data=False)
            )

    def get_resource_group(self, caller: Caller, name: str) -> ResourceGroup:
        """Return a group. Raises NotFound where nothing is in one of this name."""
        place = Scope(self.top.subscription, name)
        with self._attempt(caller, "ResourceGroupGet", place) as attempt, attempt.reading():
            problem = resource_group_name_problem(name)
            if problem:
                raise BadParameter(problem)
            attempt.require(READ, place, data=False)
            for group in self._groups(attempt):
                if folded(group.name) == folded(name):
                    return group
            raise NotFound(f"there is no resource group `{name}`", code="ResourceGroupNotFound")

    def _groups(self, attempt: Attempt) -> tuple[ResourceGroup, ...]:
        own = self._settings.resource_group
        spelled, locations = {folded(own): own}, {folded(own): list[str]()}
        live = [one for one in attempt.registry.vaults.values() if one.deletion is None]
        held: list[Vault | ManagedIdentity] = [*live, *IDENTITIES.scan(attempt.tx)]
        for one in sorted(held, key=lambda one: one.created):
            key = folded(one.resource_group)
            spelled.setdefault(key, one.resource_group)
            locations.setdefault(key, []).append(one.location)
        return tuple(ResourceGroup(spelled[key], tuple(dict.fromkeys(locations[key]))) for key in sorted(spelled))

    def _home(self) -> HomeSubscription:
        return HomeSubscription(self.top.subscription, self._settings.tenant_id)

    def _is_known(self, attempt: Attempt) -> bool:
        """Tell whether a caller may know that there is a subscription: he has something to do with it."""
        if attempt.may(READ_SUBSCRIPTION, self.top, data=False):
            return True
        principals = {*attempt.registry.principals_of(attempt.caller)}
        return any(
            given.principal_id in principals and given.holds(attempt.now, attempt.latest)
            for given in attempt.registry.role_assignments.values()
        )
