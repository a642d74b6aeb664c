"""What looking a year ahead costs: the calendar of many keys and secrets that rotate, and of what follows from that."""

import gc
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.figures import Ahead

THINGS = 10_000
_TOGETHER = 1_000


def ahead(environment: Mapping[str, str], work: Path) -> Ahead | str:
    """Measure in processes of their own. Returns the figures, or why there are none."""
    folder = work / "calendar"
    folder.mkdir()
    try:
        _step(environment, folder, "make")
        return msgspec.json.decode(_step(environment, folder, "measure"), type=Ahead)
    except subprocess.CalledProcessError as error:
        return str((error.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1])


def _step(environment: Mapping[str, str], folder: Path, step: str) -> bytes:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.calendar", str(folder), step],
        cwd=Path(__file__).parents[1],
        env=dict(environment),
        capture_output=True,
        check=True,
    ).stdout


def make(folder: Path) -> None:
    """Make the vault that is measured."""
    from kvstack.terms.duration import duration
    from kvstack.terms.generator import Generator
    from kvstack.terms.key import specification
    from kvstack.terms.rotation import RotationPolicy
    from kvstack.terms.secret import SecretValue
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.service import VaultService

    unlocked = initialise(folder, hsm=False, prepare=initialise_access, simulated_clock=True)
    service = VaultService(unlocked)
    me = service.operator
    service.create_vault(me, "benchmark")
    quarterly = RotationPolicy(every=duration("P90D"), expire_after=duration("P180D"), keep_previous=duration("P30D"))
    in_software = specification("oct", 256, None)
    for first in range(0, THINGS // 2, _TOGETHER):
        with service.batch():
            for number in range(first, first + _TOGETHER):
                service.create_key(me, "benchmark", f"k-{number}", specification=in_software, rotation=quarterly)
                value = SecretValue("a value")
                service.set_secret(me, "benchmark", f"s-{number}", value, rotation=quarterly, generator=Generator())
    unlocked.close()


def measure(folder: Path) -> Ahead:
    """Return seconds of the first calendar of a process just started."""
    from kvstack.vault.service import VaultService
    from kvstack.vault.unlock import unlock

    unlocked = unlock(folder)
    service = VaultService(unlocked)
    # As in the command: a run is short, and collecting only costs time.
    gc.disable()
    start = time.perf_counter()
    found = service.calendar(service.operator)
    seconds = time.perf_counter() - start
    unlocked.close()
    if sum(one.action == "rotate" for one in found.coming) != 4 * THINGS:
        raise RuntimeError(f"{len(found.coming)} things happen in a year: four rotations each were expected")
    return Ahead(THINGS, len(found.coming), seconds)


if __name__ == "__main__":
    if sys.argv[2] == "make":
        make(Path(sys.argv[1]))
    else:
        sys.stdout.buffer.write(msgspec.json.encode(measure(Path(sys.argv[1]))))
