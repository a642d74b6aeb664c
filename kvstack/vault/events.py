"""Events put into the outbox by the operation that changes something: in its own transaction, or not at all."""

from datetime import UTC
from typing import TYPE_CHECKING

from kvstack.terms.event import Event, ThingData, encode, seconds
from kvstack.vault.outbox import DELIVERIES, Delivery, Subscription, subscriptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kvstack.terms.scope import Scope
    from kvstack.vault.certificates.rows import Certificate
    from kvstack.vault.engine import Attempt
    from kvstack.vault.records import Key, Secret, Vault


def emit_version(attempt: "Attempt", home: "Vault", item: "Key | Secret | Certificate", what: str) -> None:
    """Tell everybody who wants it what happened to a thing's newest version. what: `NewVersionCreated`, `NearExpiry`,
    `Expired`."""
    kind = f"Microsoft.KeyVault.{type(item).__name__}{what}"
    tell_version(attempt, home, item, what, wanting(attempt, kind, item.name, home.name))


def tell_version(
    attempt: "Attempt",
    home: "Vault",
    item: "Key | Secret | Certificate",
    what: str,
    to: "Sequence[Subscription]",
) -> None:
    """Tell some what happened to a thing's newest version."""
    if not to:
        return
    noun = type(item).__name__
    data = ThingData(
        id=f"{attempt.scope_of(home).path}/{noun.lower()}s/{item.name}/{item.version}",
        vault_name=home.name,
        object_type=noun,
        object_name=item.name,
        version=item.version,
        nbf=seconds(item.not_before),
        exp=seconds(item.expires),
    )
    put_event(attempt, f"Microsoft.KeyVault.{noun}{what}", attempt.scope_of(home), data, to)


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
    """Put an event into the outbox for everybody who wants it; nothing is written where nobody does."""
    to = wanting(attempt, kind, data.object_name, data.vault_name)
    if to:
        put_event(attempt, kind, source, data, to)


def wanting(attempt: "Attempt", kind: str, name: str, vault: str) -> "list[Subscription]":
    """Return who subscribes to an event. An alert has but its own."""
    return [one for one in subscriptions(attempt.tx) if one.alert is None and one.wanted.takes(kind, name, vault)]


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
