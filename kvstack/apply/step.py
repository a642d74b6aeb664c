"""One change, done: which calls of a handler make it true, and what the state says afterwards."""

from typing import Any

import msgspec

from kvstack.apply.values import Values
from kvstack.backends.protocol import Actual, Backend, Handler, Offer, Purges, Recovers, Rotates, Wanted
from kvstack.plan.change import Change, Sensitive
from kvstack.schema.resource import Resource, attributes, with_ignored
from kvstack.state.state import Drop, Entry, Intend, Put, Record
from kvstack.terms.action import Action
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue
from kvstack.terms.tags import Owner


class Done(msgspec.Struct, frozen=True):
    """What a change came to: entries for the state, and the thing as it is now (None where it is gone)."""

    entries: tuple[Entry, ...]
    actual: Actual[Resource] | None


class Step:
    """Does changes. stack: what stands in the owner's tags; values: where secret values come from."""

    def __init__(self, backend: Backend, stack: str, values: Values) -> None:
        self._backend = backend
        self._stack = stack
        self._values = values

    def value(self, change: Change) -> SecretValue | None:
        """Return the value a change needs, None where it needs none. May run a command; raises KvstackError."""
        node = change.node
        source = node.resource.value_source if node is not None else None
        if node is None or source is None or not sets_value(change):
            return None
        value = self._values.made(source)
        planned = next((shown.after for shown in change.attributes if shown.path == "value"), None)
        if isinstance(planned, Sensitive) and planned.fingerprint is not None:
            (found,) = self._backend.fingerprints([Offer(node.vault, node.resource.name, value)])
            if found != planned.fingerprint:
                raise KvstackError(
                    f"the value of `{change.address}` is not the one that was planned",
                    "It changed since: run `kvstack plan` again.",
                    address=change.address,
                )
        return value

    def intent(self, change: Change) -> Intend | None:
        """Return what has to be kept before a change, where the vault alone could not tell afterwards that it was
        made."""
        node = change.node
        if node is None:
            return None
        if node.resource.ours_by_state and change.action in (Action.CREATE, Action.REPLACE):
            return Intend(change.address, change.kind, node.resource, None, node.vault)
        source = node.resource.value_source
        if source is None or source.read_at_plan or not sets_value(change):
            return None  # nothing is made, or the value's fingerprint tells
        if change.record is None:
            return None  # what carries our tags and was never recorded is as it was made
        version = change.actual.version if change.actual else None
        return Intend(change.address, change.kind, node.resource, version, node.vault)

    def done(self, change: Change, value: SecretValue | None) -> Done:
        """Do one change. Raises KvstackError."""
        match change.action:
            case Action.DELETE | Action.PURGE if change.with_vault:
                return self._gone(change)
            case Action.DELETE:
                self._handler(change).delete(_there(change))
                return self._gone(change)
            case Action.PURGE:
                self._purge(change)
                return self._gone(change)
            case Action.FORGET:
                return self._forgotten(change)
            case _:
                return self._recorded(change, self._made(change, value))

    def _made(self, change: Change, value: SecretValue | None) -> Actual[Resource]:
        handler = self._handler(change)
        wanted = self._wanted(change, value)
        match change.action:
            case Action.CREATE:
                return handler.create(wanted)
            case Action.REPLACE:
                if not change.with_vault and change.actual is not None:
                    if change.actual.deletion is None:
                        handler.delete(change.actual)
                    if change.purge_first:
                        _capable(handler, Purges, change).purge(change.actual)
                return handler.create(wanted)
            case Action.RECOVER:
                back = _there(change)
                if not change.with_vault:
                    back = _capable(handler, Recovers, change).recover(back)
                return self._brought_in_line(change, handler, back, wanted)
            case _:
                return self._brought_in_line(change, handler, _there(change), wanted)

    def _brought_in_line(
        self, change: Change, handler: Handler[Any], actual: Actual[Resource], wanted: Wanted[Resource]
    ) -> Actual[Resource]:
        if change.new_version:
            rotated: Actual[Resource] = _capable(handler, Rotates, change).rotate(actual, wanted)
            return rotated
        return handler.update(actual, wanted, change.changed) if change.changed else actual

    def _purge(self, change: Change) -> None:
        handler = self._handler(change)
        there = _there(change)
        if there.deletion is None:
            handler.delete(there)
        _capable(handler, Purges, change).purge(there)

    def _forgotten(self, change: Change) -> Done:
        """Let go of a thing: out of the state and, where it is alive, without the owner's tags, so that it is
        nobody's."""
        there = change.actual
        if there is not None and there.deletion is None and there.owner is not None and hasattr(there.resource, "tags"):
            released = Wanted(there.resource, there.vault, None)
            self._handler(change).update(there, released, frozenset({"owner"}))
        return self._gone(change)

    def _gone(self, change: Change) -> Done:
        # What was made by a run that ended early, and never recorded, may still be intended.
        return Done((Drop(change.record.address if change.record is not None else change.address),), None)

    def _recorded(self, change: Change, actual: Actual[Resource]) -> Done:
        return Done((recorded(change, actual),), actual)

    def _wanted(self, change: Change, value: SecretValue | None) -> Wanted[Resource]:
        node = change.node
        if node is None:
            raise AssertionError(f"{change.action} of {change.address} needs what is declared")
        resource = node.resource
        if change.action not in (Action.CREATE, Action.REPLACE) and change.actual is not None:
            resource = with_ignored(resource, change.actual.resource)
        return Wanted(resource, node.vault, Owner(self._stack, change.address), value)

    def _handler(self, change: Change) -> Handler[Any]:
        handler = self._backend.handler(change.kind)
        if handler is None:
            raise KvstackError(f"the backend `{self._backend.name}` has no {change.kind}s", address=change.address)
        return handler


def sets_value(change: Change) -> bool:
    """Tell whether a change sets a secret's value."""
    if change.node is None or change.node.resource.value_source is None:
        return False
    return change.action in (Action.CREATE, Action.REPLACE) or change.new_version


def recorded(change: Change, actual: Actual[Resource]) -> Put:
    """Return what the state says of a thing from now on: as read back, and how it was declared where no vault knows
    that."""
    resource = actual.resource if change.node is None else as_applied(change.node.resource, actual.resource)
    return Put(
        Record(
            # A change in two steps has two addresses, and one thing.
            address=change.node.address if change.node is not None else change.address,
            kind=actual.kind,
            identity=change.node.identity if change.node is not None else resource.identity(actual.vault),
            id=actual.id,
            vault=actual.vault,
            resource=resource,
            version=actual.version,
            fingerprint=actual.fingerprint if resource.value_source is not None else None,
        ),
        was=change.moved_from,
    )


def as_applied(declared: Resource, actual: Resource) -> Resource:
    """Return a thing as read back, with what no vault knows of it: where its value comes from, and what is about
    planning."""
    known = {entry.name for entry in attributes(type(actual)) if entry.comparison != "compared"}
    return msgspec.structs.replace(actual, **{name: getattr(declared, name) for name in known})


def _there(change: Change) -> Actual[Resource]:
    if change.actual is None:
        raise AssertionError(f"{change.action} of {change.address} needs what is there")
    return change.actual


def _capable(handler: Handler[Any], capability: type[Any], change: Change) -> Any:
    if not isinstance(handler, capability):
        verb = capability.__name__.lower()
        raise KvstackError(f"nothing {verb} a {change.kind} in this backend", address=change.address)
    return handler
