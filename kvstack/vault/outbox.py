"""The outbox: who wants which events, and what is still to be handed over to whom, in rows of the store."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from kvstack.terms.event import Filter
from kvstack.vault.table import Row, Table

if TYPE_CHECKING:
    from kvstack.vault.records import Vault
    from kvstack.vault.transaction import Transaction

State = Literal["waiting", "delivered", "dead"]
KEPT = timedelta(days=7)
_DAY = timedelta(days=1)
_MANY_DAYS = 400
_MARK = "outbox"
_CONTACTS = "contacts/"
ALERT = "alerts/"  # how the row of an alert is told from that of a subscription


class AlertRule(msgspec.Struct, frozen=True):
    """What counts, of the audit or of the events: `*` and `?` match; count, seconds: how many of them, and in which
    time; superseded: only uses of a version that was followed by another one this long before, as ISO 8601 has it;
    event: types of events, and nothing of the audit."""

    operation: str = ""
    result: str = ""
    principal: str = ""
    count: int = 1
    seconds: int = 3600
    superseded: str = ""
    event: str = ""

    @property
    def says_something(self) -> bool:
        """Whether it is said what counts: of the audit, or of the events."""
        of_the_audit = bool(self.operation or self.result or self.principal or self.superseded)
        return of_the_audit != bool(self.event)


class Subscription(Row, frozen=True, kw_only=True):
    """Who wants which events. wanted: of what is chosen; webhook: where they are posted to; secret_vault, secret: what
    signs them; command: or the program that gets them; mail: or the addresses they are mailed to; stack: whose it is,
    empty for nobody's; by: who declared it last; alert: of an alert, what of the audit counts."""

    folded: str
    name: str
    wanted: Filter
    webhook: str = ""
    secret_vault: str = ""
    secret: str = ""
    command: tuple[str, ...] = ()
    mail: tuple[str, ...] = ()
    alert: AlertRule | None = None
    stack: str = ""
    by: str = ""
    created: datetime
    updated: datetime

    @property
    def target(self) -> str:
        """Where they go, in one line."""
        return self.webhook or " ".join(self.command) or ", ".join(self.mail)


class Delivery(Row, frozen=True, kw_only=True):
    """One event on its way to one subscriber. sequence: its place among all events; thing: what it is about, whose
    events stay in order; event: JSON; first_tried: the 24 hours count from it; next_try: not before."""

    subscription: str
    sequence: str
    id: str
    thing: str
    type: str
    subject: str
    event: bytes
    day: str
    created: datetime
    state: State = "waiting"
    attempts: int = 0
    first_tried: datetime | None = None
    next_try: datetime | None = None
    settled: datetime | None = None
    failure: str = ""


class AlertState(Row, frozen=True, kw_only=True):
    """How far the audit was looked at for an alert. times: of the records that count, and are not told of yet."""

    subscription: str
    position: int
    times: tuple[datetime, ...] = ()


class Endpoint(Row, frozen=True, kw_only=True):
    """What is known of a subscriber. validated: the address that has said it wants events; failures: tries in a row
    that took nothing; failing_since: the first of them; paused_until: nothing is sent before."""

    subscription: str
    validated: str = ""
    failures: int = 0
    failing_since: datetime | None = None
    paused_until: datetime | None = None
    failure: str = ""


class _PruneMark(Row, frozen=True):
    """From which day on there may be deliveries."""

    id: str
    day: date


SUBSCRIPTIONS = Table("event_subscriptions", Subscription, ("folded",))
DELIVERIES = Table("event_deliveries", Delivery, ("subscription", "sequence"), (("subscription", "state"), ("day",)))
ENDPOINTS = Table("event_endpoints", Endpoint, ("subscription",))
ALERT_STATES = Table("alert_states", AlertState, ("subscription",))
_MARKS = Table("event_marks", _PruneMark, ("id",))


def subscriptions(tx: "Transaction") -> list[Subscription]:
    """Return all subscriptions, by name. Where there are none, nothing is read."""
    return sorted(SUBSCRIPTIONS.scan(tx), key=lambda one: one.folded) if SUBSCRIPTIONS.count(tx) else []


def contacts(home: "Vault", mail: tuple[str, ...]) -> Subscription:
    """Return who is told of a vault's certificates as a subscriber, under a name no other can have."""
    return Subscription(
        folded=f"{_CONTACTS}{home.id}",
        name=f"contacts of {home.name}",
        wanted=Filter(vault=home.folded),
        mail=mail,
        created=home.created,
        updated=home.updated,
    )


def there(tx: "Transaction", subscription: Subscription) -> bool:
    """Tell whether a subscriber was not taken away meanwhile."""
    return subscription.folded.startswith(_CONTACTS) or SUBSCRIPTIONS.get(tx, subscription.folded) is not None


def waits(tx: "Transaction", subscription: str) -> bool:
    """Tell whether anything waits for a subscriber: asked of the ledger, without reading it."""
    return bool(DELIVERIES.count(tx, subscription=subscription, state="waiting"))


def pending(tx: "Transaction", subscription: str) -> list[Delivery]:
    """Return what waits for a subscriber, in order."""
    if not waits(tx, subscription):
        return []
    found = DELIVERIES.scan(tx, subscription=subscription, state="waiting")
    return sorted(found, key=lambda one: one.sequence)


def remove(tx: "Transaction", subscription: Subscription) -> None:
    """Remove a subscription with everything on its way to it."""
    for delivery in DELIVERIES.scan(tx, subscription=subscription.folded):
        DELIVERIES.delete(tx, delivery.subscription, delivery.sequence)
    ENDPOINTS.delete(tx, subscription.folded)
    ALERT_STATES.delete(tx, subscription.folded)
    SUBSCRIPTIONS.delete(tx, subscription.folded)


def prune(tx: "Transaction", now: datetime) -> int:
    """Forget what was delivered long enough ago; what is dead stays until somebody looks. Returns how many."""
    if not DELIVERIES.count(tx):
        return 0
    last, mark = (now - KEPT).astimezone(UTC).date(), _MARKS.get(tx, _MARK)
    count = 0
    for day in _days(tx, mark.day if mark is not None else date.min, last):
        for delivery in DELIVERIES.scan(tx, day=day):
            if delivery.state == "delivered" and delivery.settled is not None and delivery.settled <= now - KEPT:
                DELIVERIES.delete(tx, delivery.subscription, delivery.sequence)
                count += 1
    first = next(iter(_days(tx, mark.day if mark is not None else date.min, last)), None)
    reached = date.fromisoformat(first) if first is not None else last
    if mark is None or mark.day < reached:
        _MARKS.put(tx, _PruneMark(_MARK, reached))
    return count


def _days(tx: "Transaction", first: date, last: date) -> Iterator[str]:
    """Yield the days, up to the last, that have deliveries."""
    if (last - first).days > _MANY_DAYS:
        found = {row.day for row in DELIVERIES.scan(tx)}
        yield from sorted(day for day in found if day <= last.isoformat())
        return
    for number in range((last - first).days + 1):
        day = (first + number * _DAY).isoformat()
        if DELIVERIES.count(tx, day=day):
            yield day
