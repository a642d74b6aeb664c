"""Alerts in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading_events
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.alert import Alert
from kvstack.schema.resource import Resource
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.outbox import AlertRule
from kvstack.vault.service import VaultService


class AlertHandler:
    """Makes, changes and takes away alerts; each notes which stack it is of."""

    def __init__(self, service: VaultService, caller: Caller, places: Places, owner: str) -> None:
        self._service = service
        self._caller = caller
        self._places = places
        self._owner = owner

    def create(self, wanted: Wanted[Alert]) -> Actual[Resource]:
        """Make it: what is recorded from then on counts."""
        try:
            return self._put(wanted.resource, self._owner, new=True)
        except Conflict as error:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise error.with_detail("Somebody made it since the plan was made: run `kvstack plan` again.") from None

    def update(self, actual: Actual[Alert], wanted: Wanted[Alert], changed: frozenset[str]) -> Actual[Resource]:
        """Change it, or whose it is."""
        return self._put(wanted.resource, self._owner if wanted.owner is not None else "", new=False)

    def delete(self, actual: Actual[Alert]) -> None:
        """Take it away, with what waits for it. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._service.delete_alert(self._caller, actual.resource.name)

    def _put(self, alert: Alert, stack: str, *, new: bool) -> Actual[Resource]:
        on, endpoint = alert.on, alert.endpoint
        made = self._service.put_alert(
            self._caller,
            alert.name,
            AlertRule(
                operation=on.operation,
                result=on.result,
                principal=on.principal,
                superseded=on.superseded,
                event=on.event,
                count=alert.count,
                seconds=alert.seconds,
            ),
            webhook=endpoint.webhook,
            command=endpoint.command,
            mail=endpoint.mail,
            secret=endpoint.signed_by,
            vault=alert.vault,
            stack=stack,
            new=new,
        )
        return reading_events.of_subscription(made, self._owner)
