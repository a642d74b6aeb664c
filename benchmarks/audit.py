"""What the audit costs a get, with and without its record in one run, and what verifying a million records takes."""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.figures import Audit, Verification
from benchmarks.operations import Work, per_second

if TYPE_CHECKING:
    from kvstack.vault.audit import AuditRecord
    from kvstack.vault.service import VaultService
    from kvstack.vault.transaction import Transaction

ROUNDS = 9
AT_ONCE = 8
SIZES = (100_000, 1_000_000)
_VAULT = "benchmark"


def audit(environment: Mapping[str, str], work: Path) -> Audit | str:
    """Measure in processes of their own. Returns the figures, or why there are none."""
    folder = work / "audit"
    folder.mkdir()
    printed = _run(environment, str(folder))
    if printed.returncode:
        return (printed.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
    return msgspec.json.decode(printed.stdout, type=Audit)


def _run(environment: Mapping[str, str] | None, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.audit", *arguments],
        cwd=Path(__file__).parents[1],
        env=dict(environment) if environment is not None else None,
        capture_output=True,
        check=False,
    )


def main(folder: Path) -> Audit:
    """Make a vault, and measure in it."""
    from kvstack.terms.secret import SecretValue
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.service import VaultService

    unlocked = initialise(folder, prepare=initialise_access)
    try:
        service = VaultService(unlocked)
        service.create_vault(service.operator, _VAULT)
        service.set_secret(service.operator, _VAULT, "s", SecretValue(b"x" * 32))
        costs = _costs(service)
    finally:
        unlocked.close()
    return msgspec.structs.replace(costs, verifications=tuple(_verification(folder, size) for size in SIZES))


def _costs(service: "VaultService") -> Audit:
    """Return microseconds of a get with and without its record: alone, by eight threads, in batches of eight."""

    def get() -> object:
        return service.get_secret(service.operator, _VAULT, "s")

    def batch() -> object:
        with service.batch():
            return [get() for _ in range(AT_ONCE)]

    def unrecorded(tx: "Transaction", record: "AuditRecord") -> None:
        """Stand in for `AuditLog.append`: all else of a get is as it is."""

    log = service._audit
    ways: tuple[tuple[Work, int, int], ...] = ((get, 1, 1), (get, AT_ONCE, 1), (batch, 1, AT_ONCE))
    samples: dict[tuple[int, bool], list[float]] = {}
    for _ in range(ROUNDS):
        for way, (work, threads, each) in enumerate(ways):
            for recorded in (True, False):
                if not recorded:
                    log.append = unrecorded  # type: ignore[method-assign]
                work()
                samples.setdefault((way, recorded), []).append(1e6 / per_second(work, threads) / each)
                if not recorded:
                    del log.append
    median = {which: statistics.median(found) for which, found in samples.items()}
    return Audit(
        recorded=median[0, True],
        unrecorded=median[0, False],
        recorded_by_8=median[1, True],
        unrecorded_by_8=median[1, False],
        recorded_in_8=median[2, True],
        unrecorded_in_8=median[2, False],
    )


def _verification(folder: Path, size: int) -> Verification:
    """Let the audit grow to this many records, and verify it in a process of its own."""
    _grow(folder, size)
    printed = _run(None, str(folder), "verify")
    if printed.returncode:
        raise RuntimeError(printed.stderr.decode(errors="replace").strip().splitlines()[-1])
    return msgspec.json.decode(printed.stdout, type=Verification)


def _grow(folder: Path, size: int) -> None:
    from kvstack.vault.unlock import unlock

    unlocked = unlock(folder)
    try:
        log = unlocked.audit
        (like,) = log.records(newest_first=True, limit=1)
        with unlocked.store.transaction() as tx:
            there, _ = log.end(tx)
        while there < size:
            with unlocked.store.transaction() as tx:
                for _ in range(min(1000, size - there)):
                    log.append(tx, msgspec.structs.replace(like, time=datetime.now(UTC)))
            there += 1000
    finally:
        unlocked.close()


def verify(folder: Path) -> Verification:
    """Verify the audit there."""
    from kvstack.vault.unlock import unlock

    unlocked = unlock(folder)
    start = time.perf_counter()
    report = unlocked.audit.verify()
    seconds = time.perf_counter() - start
    unlocked.close()
    if report.problem is not None:
        raise RuntimeError(report.problem.what)
    return Verification(report.records, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    done = verify(Path(sys.argv[1])) if len(sys.argv) > 2 else main(Path(sys.argv[1]))
    sys.stdout.buffer.write(msgspec.json.encode(done))
