"""Subscriptions to events in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading_events
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.event_subscription import EventSubscription
from kvstack.schema.resource import Resource
from kvstack.terms.event import Filter
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class EventSubscriptionHandler:
    """Makes, changes and takes away subscriptions; each notes which stack it is of."""

    def __init__(self, service: VaultService, caller: Caller, places: Places, owner: str) -> None:
        self._service = service
        self._caller = caller
        self._places = places
        self._owner = owner

    def create(self, wanted: Wanted[EventSubscription]) -> Actual[Resource]:
        """Make it. Nothing is sent yet."""
        try:
            return self._put(wanted.resource, self._owner, new=True)
        except Conflict as error:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise error.with_detail("Somebody made it since the plan was made: run `kvstack plan` again.") from None

    def update(
        self, actual: Actual[EventSubscription], wanted: Wanted[EventSubscription], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Change it, or whose it is."""
        return self._put(wanted.resource, self._owner if wanted.owner is not None else "", new=False)

    def delete(self, actual: Actual[EventSubscription]) -> None:
        """Take it away, with what waits for it. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._service.delete_subscription(self._caller, actual.resource.name)

    def _put(self, subscription: EventSubscription, stack: str, *, new: bool) -> Actual[Resource]:
        made = self._service.put_subscription(
            self._caller,
            subscription.name,
            webhook=subscription.endpoint.webhook,
            command=subscription.endpoint.command,
            mail=subscription.endpoint.mail,
            secret=subscription.endpoint.signed_by,
            wanted=Filter(
                types=subscription.types,
                prefix=subscription.subject.prefix,
                suffix=subscription.subject.suffix,
                vault=subscription.vault,
            ),
            stack=stack,
            new=new,
        )
        return reading_events.of_subscription(made, self._owner)
