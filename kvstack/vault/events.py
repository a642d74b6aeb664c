"""Events put into the outbox by the operation that changes something: in its own transaction, or not at all."""

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kvstack.terms.event import Event, ThingData, encode, event_matches, seconds
from kvstack.vault.outbox import (
    ALERT_STATES,
    DELIVERIES,
    SUBSCRIPTIONS,
    AlertRule,
    AlertState,
    Delivery,
    Subscription,
    subscriptions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kvstack.terms.scope import Scope
    from kvstack.vault.certificates.rows import Certificate
    from kvstack.vault.engine import Attempt
    from kvstack.vault.records import Key, Secret, Vault


ALERTED: Final = "kvstack.Alert"


def emit_version(attempt: "Attempt", home: "Vault", item: "Key | Secret | Certificate", what: str) -> None:
    """Tell everybody who wants it what happened to a thing's newest version. what: `NewVersionCreated`, `NearExpiry`,
    `Expired`."""
    if somebody(attempt):
        emit(attempt, _kind(item, what), attempt.scope_of(home), _data(attempt, home, item))


def tell_version(
    attempt: "Attempt",
    home: "Vault",
    item: "Key | Secret | Certificate",
    what: str,
    to: "Sequence[Subscription]",
) -> None:
    """Tell some what happened to a thing's newest version."""
    put_event(attempt, _kind(item, what), attempt.scope_of(home), _data(attempt, home, item), to)


def _kind(item: "Key | Secret | Certificate", what: str) -> str:
    return f"Microsoft.KeyVault.{type(item).__name__}{what}"


def _data(attempt: "Attempt", home: "Vault", item: "Key | Secret | Certificate") -> ThingData:
    noun = type(item).__name__
    return ThingData(
        id=f"{attempt.scope_of(home).path}/{noun.lower()}s/{item.name}/{item.version}",
        vault_name=home.name,
        object_type=noun,
        object_name=item.name,
        version=item.version,
        nbf=seconds(item.not_before),
        exp=seconds(item.expires),
    )


def emit_purge_scheduled(attempt: "Attempt", home: "Vault", item: "Key | Secret | Certificate | None" = None) -> None:
    """Tell that something was deleted, and is purged when its retention ends. item: None for the vault itself."""
    scope, kind = (
        attempt.scope_of(home),
        type(item).__name__ if item is not None else home.kind.title().replace(" ", ""),
    )
    place = f"/{kind.lower()}s/{item.name}" if item is not None else ""
    name = item.name if item is not None else home.name
    data = ThingData(id=f"{scope.path}{place}", vault_name=home.name, object_type=kind, object_name=name)
    emit(attempt, "kvstack.PurgeScheduled", scope, data)


def emit_policy(attempt: "Attempt", home: "Vault") -> None:
    """Tell that a vault's access policies changed, or whether it goes by them."""
    scope = attempt.scope_of(home)
    data = ThingData(id=scope.path, vault_name=home.name, object_type="Vault", object_name=home.name)
    emit(attempt, "Microsoft.KeyVault.VaultAccessPolicyChanged", scope, data)


def emit_access(attempt: "Attempt", scope: "Scope", what: str, identifier: str) -> None:
    """Tell that who may do what has changed. what: `RoleAssignment`; identifier: its id, the event's subject."""
    data = ThingData(
        id=f"{scope.path}/providers/Microsoft.Authorization/{what[0].lower()}{what[1:]}s/{identifier}",
        vault_name=scope.vault,
        object_type=what,
        object_name=identifier,
    )
    emit(attempt, "kvstack.AccessChanged", scope, data)


def emit(attempt: "Attempt", kind: str, source: "Scope", data: ThingData) -> None:
    """Put an event into the outbox for everybody who wants it, and count it where there is an alert on it; nothing is
    written where nobody does, and there is none."""
    there = subscriptions(attempt.tx)
    to = [one for one in there if one.alert is None and one.wanted.takes(kind, data.object_name, data.vault_name)]
    if to:
        put_event(attempt, kind, source, data, to)
    for one in there:
        if one.alert is not None and _is_about(one, one.alert, kind, data.vault_name):
            _count(attempt, one, one.alert, kind, data.id)


def somebody(attempt: "Attempt") -> bool:
    """Tell whether there is anybody to tell of anything: asked of the ledger, without reading it."""
    return SUBSCRIPTIONS.count(attempt.tx) > 0


def raise_alert(attempt: "Attempt", alert: Subscription, resource: str, what: str) -> None:
    """Tell that an alert has what it takes. resource: the path of the thing that was one too many; what: was done to
    it, or happened: names both."""
    data = ThingData(
        id=resource, vault_name=alert.wanted.vault, object_type="Alert", object_name=alert.name, version=what
    )
    others = [
        one
        for one in subscriptions(attempt.tx)
        if one.alert is None and one.wanted.takes(ALERTED, alert.name, alert.wanted.vault)
    ]
    put_event(attempt, ALERTED, attempt.top, data, [alert, *others])


def counted(times: "Sequence[datetime]", time: "datetime", rule: AlertRule) -> "tuple[list[datetime], bool]":
    """Return which times count once another one does, and whether that is one too many: counting begins anew then."""
    within = [*(one for one in times if time - one < timedelta(seconds=rule.seconds)), time]
    return ([], True) if len(within) >= rule.count else (within, False)


def _is_about(alert: Subscription, rule: AlertRule, kind: str, vault: str) -> bool:
    """Tell whether an alert is on such an event. Alerts are none that could be counted: they are put, not emitted."""
    return bool(rule.event) and event_matches(rule.event, kind) and alert.wanted.is_in(vault)


def _count(attempt: "Attempt", alert: Subscription, rule: AlertRule, kind: str, resource: str) -> None:
    state = ALERT_STATES.get(attempt.tx, alert.folded) or AlertState(subscription=alert.folded, position=0)
    times, raised = counted(state.times, attempt.now, rule)
    if tuple(times) != state.times:
        ALERT_STATES.put(attempt.tx, replace(state, times=tuple(times)))
    if raised:
        raise_alert(attempt, alert, resource, kind)


def put_event(attempt: "Attempt", kind: str, source: "Scope", data: ThingData, to: "Sequence[Subscription]") -> None:
    """Put an event into the outbox for some."""
    event = Event(
        id=attempt.drawn_id(),
        source=source.path,
        type=kind,
        subject=data.object_name,
        time=attempt.now,
        data=data,
    )
    tx = attempt.tx
    text, sequence = encode(event), tx.next_event()
    for one in to:
        DELIVERIES.put(
            tx,
            Delivery(
                subscription=one.folded,
                sequence=sequence,
                id=event.id,
                thing=f"{source.path}/{data.object_type}/{data.object_name}".lower(),
                type=kind,
                subject=data.object_name,
                event=text,
                day=attempt.now.astimezone(UTC).date().isoformat(),
                created=attempt.now,
            ),
        )
