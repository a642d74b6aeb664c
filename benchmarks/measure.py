"""How long a whole process takes, and how much memory it holds at its peak."""

import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.command import Command

LIMIT_SECONDS = 900.0


class Sample(msgspec.Struct, frozen=True):
    """One process. seconds: from start to end by the wall; peak_mib: its largest resident set."""

    seconds: float
    peak_mib: float


class Measurement(msgspec.Struct, frozen=True):
    """Some samples of one thing, or why there are none."""

    samples: tuple[Sample, ...] = ()
    missing: str = ""

    @property
    def seconds(self) -> float | None:
        """The median time, in seconds."""
        return statistics.median(sample.seconds for sample in self.samples) if self.samples else None

    @property
    def peak_mib(self) -> float | None:
        """The median peak memory, in MiB."""
        return statistics.median(sample.peak_mib for sample in self.samples) if self.samples else None


class Failed(Exception):
    """A process did not do what it is measured for."""


class Contender(msgspec.Struct, frozen=True):
    """One side of a comparison. prepared: makes what one sample needs, unmeasured, and returns what to run."""

    name: str
    prepared: Callable[[], Command]


def interleaved(contenders: Sequence[Contender], repeat: int) -> dict[str, Measurement]:
    """Measure A B A B, so that what else the machine does meets all of them alike."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    missing: dict[str, str] = {}
    for _ in range(repeat):
        for contender in contenders:
            taken = samples[contender.name]
            if contender.name in missing or len(taken) >= _enough(taken, repeat):
                continue
            try:
                taken.append(sample(contender.prepared()))
            except Failed as failure:
                missing[contender.name] = str(failure)
    return {
        name: Measurement(missing=missing[name]) if name in missing else Measurement(tuple(taken))
        for name, taken in samples.items()
    }


def sample(command: Command) -> Sample:
    """Run one process to its end. Raises Failed where its exit code or output is not what it has to be."""
    output = command.folder / "output.txt"
    told = subprocess.run(
        [sys.executable, "-I", "-S", str(_STOPWATCH), str(LIMIT_SECONDS), str(output), *command.arguments],
        cwd=command.folder,
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.split()
    seconds, peak, exit_code = float(told[0]), int(told[1]), int(told[2])
    if exit_code == -signal.SIGKILL and seconds >= LIMIT_SECONDS:
        raise Failed(f"not done after {LIMIT_SECONDS:.0f} s")
    _check(command, exit_code, output)
    return Sample(seconds=seconds, peak_mib=peak / _MAXRSS_UNITS_PER_MIB)


_STOPWATCH = Path(__file__).with_name("stopwatch.py")
# Linux counts in KiB, macOS in bytes.
_MAXRSS_UNITS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10


def _check(command: Command, exit_code: int, output: Path) -> None:
    unsaid = set(command.says)
    last = "no output"
    with output.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            unsaid -= {text for text in unsaid if text in line}
            last = line.strip() or last
    if exit_code != command.exit_code:
        raise Failed(f"`{command}` answered {exit_code} where {command.exit_code} is right: {last[:200]}")
    if unsaid:
        raise Failed(f"`{command}` does not say {sorted(unsaid)}")


def _enough(taken: Sequence[Sample], repeat: int) -> int:
    """Return how many samples will do: fewer of what takes long, where noise is small beside it."""
    if not taken:
        return repeat
    if taken[0].seconds > 60:
        return 1
    return min(repeat, 3) if taken[0].seconds > 20 else repeat


def environment(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what a measured process sees: nothing of this machine's settings, and no look for newer versions."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "KVSTACK_PKCS11_MODULE")
    return {name: inherited[name] for name in kept if name in inherited} | {
        "HOME": str(home),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
    }
