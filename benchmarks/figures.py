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


class Figures(msgspec.Struct, frozen=True):
    """All that was measured in one run. signing: None or a text where it was not measured."""

    measurements: Mapping[Key, Measurement]
    signing: Signing | str

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
