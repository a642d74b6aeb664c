"""What was measured: each figure under what was done, by which tool, to how many resources."""

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from benchmarks.measure import Measurement

Deed = Literal["no-op plan", "first apply", "validate", "validate with 3 faults", "first apply, secrets only"]
DEEDS: tuple[Deed, ...] = get_args(Deed)


class Key(msgspec.Struct, frozen=True):
    """Which figure. size: resources, vaults included."""

    deed: Deed
    tool: str
    size: int


class Signing(msgspec.Struct, frozen=True):
    """RSA-2048 signatures a second, by handles that are warm. Medians of interleaved rounds."""

    service: float
    raw: float
    rounds: int


class Operation(msgspec.Struct, frozen=True):
    """How often a second one operation is done, by 1 and by 8 threads: through `VaultService`, and raw, None where
    there is nothing to compare with. Medians of interleaved rounds."""

    name: str
    service: float
    service_by_8: float
    raw: float | None
    raw_by_8: float | None


class SecretsAt(msgspec.Struct, frozen=True):
    """How often a second a secret is read and set, with so many of them there. grouped: 100 sets in one batch."""

    count: int
    get: float
    set: float
    set_by_8: float
    grouped: float


class Operations(msgspec.Struct, frozen=True):
    """Single operations. creation: seconds for 1,000 wrapped EC-HSM keys in one batch; used, listed: peak MiB of a
    process that uses 1,000 of 100,000 keys, and of one that lists them."""

    rows: tuple[Operation, ...]
    creation: float
    secrets: tuple[SecretsAt, ...]
    used: float
    listed: float


class AccessAt(msgspec.Struct, frozen=True):
    """Decisions a second with so many role assignments, of one thread's own time: as they are asked again and again,
    and all for the first time. allowed: the share of the questions that were."""

    count: int
    decisions: float
    first: float
    allowed: float


class Access(msgspec.Struct, frozen=True):
    """The evaluator of access. groups: how many there are; comparison: seconds that telling who gains and loses what
    takes where 10,000 things and 2,000 assignments are made at once, and where one assignment of them is."""

    groups: int
    rows: tuple[AccessAt, ...]
    comparison: tuple[float, float] = (0.0, 0.0)


class Verification(msgspec.Struct, frozen=True):
    """Verifying an audit of so many records: seconds, and the peak MiB of the process."""

    records: int
    seconds: float
    mib: float


class Audit(msgspec.Struct, frozen=True):
    """Microseconds a get of a secret takes with its audit record and without: alone; of eight threads; in batches of
    eight."""

    recorded: float
    unrecorded: float
    recorded_by_8: float
    unrecorded_by_8: float
    recorded_in_8: float
    unrecorded_in_8: float
    verifications: tuple[Verification, ...] = ()


class Scheduler(msgspec.Struct, frozen=True):
    """Seconds of runs of what is due. first, again: nothing is among so many items, after a month asleep in a process
    just started, and after that; rotated: so many P-256 keys are rotated in the HSM, with events."""

    items: int
    first: float
    again: float
    rotations: int
    rotated: float


class Ahead(msgspec.Struct, frozen=True):
    """Seconds that a calendar of a year takes, with so many entries, of so many things."""

    things: int
    entries: int
    seconds: float


class Events(msgspec.Struct, frozen=True):
    """Seconds that so many events take. without, recorded: setting as many secrets without a subscriber, and with one;
    delivered: posting them to a webhook of this machine, one after the other, each signed."""

    count: int
    without: float
    recorded: float
    delivered: float


class Figures(msgspec.Struct, frozen=True):
    """All that was measured in one run. signing, operations, access, audit, scheduler, events, ahead: a text, why,
    where they were not measured."""

    measurements: Mapping[Key, Measurement]
    signing: Signing | str
    operations: Operations | str = "not asked for"
    access: Access | str = "not asked for"
    audit: Audit | str = "not asked for"
    scheduler: Scheduler | str = "not asked for"
    events: Events | str = "not asked for"
    ahead: Ahead | str = "not asked for"

    def seconds(self, deed: Deed, tool: str, size: int) -> float | None:
        """Return a median time in seconds, or None."""
        measurement = self.measurements.get(Key(deed, tool, size))
        return measurement.seconds if measurement else None

    def peak_mib(self, deed: Deed, tool: str, size: int) -> float | None:
        """Return a median peak memory in MiB, or None."""
        measurement = self.measurements.get(Key(deed, tool, size))
        return measurement.peak_mib if measurement else None

    def ratio(self, deed: Deed, size: int, *, to: str, to_deed: Deed | None = None) -> float | None:
        """Return kvstack's time over another tool's, or None where either is missing."""
        mine, theirs = self.seconds(deed, "kvstack", size), self.seconds(to_deed or deed, to, size)
        return None if mine is None or theirs is None else mine / theirs
