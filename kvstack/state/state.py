"""The state of a stack: what was applied last, thing by thing."""

from collections.abc import Mapping

import msgspec

from kvstack.schema.resource import Resource
from kvstack.terms.address import Address

FORMAT = 1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One thing as it was after the last change of it.

    id: the backend's own; vault: real name of its vault; version: id of the newest version then; fingerprint: of the
    secret value set then, keyed by the vault.
    """

    address: Address
    kind: str
    identity: str
    id: str
    vault: str
    resource: Resource
    version: str | None = None
    fingerprint: str | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All records of one stack and environment.

    lineage: drawn once, tells this state from any other of the same name; serial: grows with every write; backend:
    which vaults it is about (Backend.id); intents: what was about to be made when a run ended early.
    """

    stack: str
    environment: str | None
    lineage: str
    serial: int = 0
    backend: str = ""
    records: Mapping[Address, Record] = {}
    intents: Mapping[Address, "Intend"] = {}

    @property
    def owner(self) -> str:
        """What stands in the owner's tag of everything recorded: the stack, with its environment."""
        return self.stack if self.environment is None else f"{self.stack}/{self.environment}"


class Put(msgspec.Struct, frozen=True):
    """A thing was made or changed. was: the address it had before, where it moved."""

    record: Record
    was: Address | None = None


class Drop(msgspec.Struct, frozen=True):
    """A thing is gone, or no longer ours."""

    address: Address


class Intend(msgspec.Struct, frozen=True):
    """Something is about to be made of which the vault alone cannot tell afterwards that it was: a new value, or a
    thing that nothing marks as ours. resource: as declared then; version: the newest one before; vault: real name of
    the vault it goes into.

    Found without an end, it tells the next run that a newer version is that value: it is not made a second time. And
    that a thing just like this, where there was none, is ours.
    """

    address: Address
    kind: str
    resource: Resource
    version: str | None
    vault: str = ""


Entry = Put | Drop | Intend


def after(state: State, entries: tuple[Entry, ...] | list[Entry]) -> State:
    """Return the state once these finished changes are recorded."""
    records = dict(state.records)
    intents = dict(state.intents)
    for entry in entries:
        match entry:
            case Intend(address):
                intents[address] = entry
            case Put(record, was):
                if was is not None and records.get(was) is not None and records[was].identity == record.identity:
                    del records[was]
                records[record.address] = record
                intents.pop(record.address, None)
            case Drop(address):
                records.pop(address, None)
                intents.pop(address, None)
    return msgspec.structs.replace(state, records=records, intents=intents)
