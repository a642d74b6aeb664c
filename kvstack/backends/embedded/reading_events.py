"""What the vault says of who is told of events, as resources."""

from typing import cast

from kvstack.backends.protocol import Actual
from kvstack.resources.alert import Alert, AlertPattern, span_text
from kvstack.resources.event_subscription import EventEndpoint, EventSubscription, Subjects
from kvstack.schema.resource import Resource
from kvstack.terms.event import EventType
from kvstack.vault.outbox import Subscription


def of_subscription(subscription: Subscription, owner: str) -> Actual[Resource]:
    """Return a subscription, or an alert, as read. owner: the stack that asks."""
    wanted = subscription.wanted
    secret = f"{subscription.secret_vault}/secrets/{subscription.secret}".lower() if subscription.secret else ""
    endpoint = EventEndpoint(
        webhook=subscription.webhook, secret=secret, command=subscription.command, mail=subscription.mail
    )
    named_by_us = bool(owner) and subscription.stack == owner
    rule = subscription.alert
    if rule is not None:
        return Actual(
            kind="alert",
            id=f"alerts/{subscription.name}",
            vault="",
            resource=Alert(
                name=subscription.name,
                on=AlertPattern(
                    operation=rule.operation,
                    result=rule.result,
                    principal=rule.principal,
                    superseded=rule.superseded,
                    event=rule.event,
                ),
                count=rule.count,
                within=span_text(rule.seconds),
                vault=wanted.vault,
                endpoint=endpoint,
            ),
            named_by_us=named_by_us,
        )
    return Actual(
        kind="event_subscription",
        id=f"events/{subscription.name}",
        vault="",
        resource=EventSubscription(
            name=subscription.name,
            types=cast("tuple[EventType, ...]", tuple(sorted(set(wanted.types)))),
            subject=Subjects(prefix=wanted.prefix, suffix=wanted.suffix),
            vault=wanted.vault,
            endpoint=endpoint,
        ),
        named_by_us=named_by_us,
    )
