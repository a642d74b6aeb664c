"""What the scheduler costs: finding nothing due among many things, and rotating many keys in the HSM, with events."""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.figures import Scheduler

if TYPE_CHECKING:
    from kvstack.vault.service import VaultService

ITEMS = 100_000
ROTATIONS = 1_000
# Nothing is due for longer than the vault is left alone.
_ASLEEP = timedelta(days=33)
_ROUNDS = 9
_TOGETHER = 1_000


def scheduler(environment: Mapping[str, str], work: Path) -> Scheduler | str:
    """Measure in processes of their own. Returns the figures, or why there are none."""
    found: list[tuple[float, ...]] = []
    for what in ("nothing", "rotations"):
        folder = work / f"scheduler-{what}"
        folder.mkdir()
        try:
            _step(environment, folder, "make", what)
            found.append(msgspec.json.decode(_step(environment, folder, what, what), type=tuple[float, ...]))
        except subprocess.CalledProcessError as error:
            return str((error.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1])
    (first, again), (rotated,) = found
    return Scheduler(ITEMS, first, again, ROTATIONS, rotated)


def _step(environment: Mapping[str, str], folder: Path, step: str, what: str) -> bytes:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.scheduler", str(folder), step, what],
        cwd=Path(__file__).parents[1],
        env=dict(environment),
        capture_output=True,
        check=True,
    ).stdout


def make(folder: Path, what: str) -> None:
    """Make the vault that is measured, and let time pass."""
    from kvstack.terms.duration import duration
    from kvstack.terms.generator import Generator
    from kvstack.terms.key import specification
    from kvstack.terms.rotation import RotationPolicy
    from kvstack.terms.secret import SecretValue
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.service import VaultService

    unlocked = initialise(folder, prepare=initialise_access, simulated_clock=True)
    service = VaultService(unlocked)
    me = service.operator
    service.create_vault(me, "benchmark", sku="premium")
    if what == "nothing":
        quarterly = RotationPolicy(every=duration("P90D"), expire_after=duration("P180D"))
        in_software = specification("oct", 256, None)
        for first in range(0, ITEMS // 2, _TOGETHER):
            with service.batch():
                for number in range(first, first + _TOGETHER):
                    service.create_key(me, "benchmark", f"k-{number}", specification=in_software, rotation=quarterly)
                    value = SecretValue("a value")
                    service.set_secret(me, "benchmark", f"s-{number}", value, rotation=quarterly, generator=Generator())
    else:
        # Where nobody wants events none are written.
        service.put_subscription(me, "hook", webhook="https://hooks.example.com/")
        monthly = RotationPolicy(every=duration("P30D"), expire_after=duration("P90D"))
        in_hsm = specification("EC-HSM", None, "P-256")
        prepared = [service.prepare_key(in_hsm) for _ in range(ROTATIONS)]
        with service.batch():
            for number, key in enumerate(prepared):
                service.create_key(me, "benchmark", f"k-{number}", specification=in_hsm, rotation=monthly, prepared=key)
    from kvstack.vault.clock import SimulatedClock

    SimulatedClock(unlocked.store).advance(_ASLEEP)
    unlocked.close()


def nothing(service: "VaultService") -> tuple[float, ...]:
    """Return seconds of the first run after a month asleep, and of the next ones."""
    first, *more = (_run(service, 0) for _ in range(_ROUNDS))
    return first, statistics.median(more)


def rotations(service: "VaultService") -> tuple[float, ...]:
    """Return seconds of the run that rotates everything, each with its event in the outbox."""
    before = len(service.list_events(service.operator))
    seconds = _run(service, ROTATIONS)
    told = len(service.list_events(service.operator)) - before
    if told != ROTATIONS:
        raise RuntimeError(f"{told} events were written, not {ROTATIONS}")
    return (seconds,)


def _run(service: "VaultService", count: int) -> float:
    from kvstack.vault.caller import SYSTEM

    start = time.perf_counter()
    report = service.run_due(SYSTEM)
    seconds = time.perf_counter() - start
    if (len(report.done), report.failed, report.held_back) != (count, (), ()):
        raise RuntimeError(f"{len(report.done)} were due, not {count}")
    return seconds


def main(folder: Path, step: str, what: str) -> None:
    """Do one step in a process of its own, and print its figures."""
    if step == "make":
        make(folder, what)
        return
    from kvstack.vault.service import VaultService
    from kvstack.vault.unlock import unlock

    unlocked = unlock(folder)
    service = VaultService(unlocked)
    measured = nothing(service) if step == "nothing" else rotations(service)
    unlocked.close()
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
