"""The storage with a customer-managed key: what it holds opens after any number of rotations, and nobody tells it."""

import importlib.util
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from kvstack.terms.duration import duration
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.clock import SimulatedClock
from kvstack.vault.errors import Forbidden
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.e2e.command_line import environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "envelope"
VAULT = "store"


def example() -> ModuleType:
    """Return `storage.py` as a module."""
    specification = importlib.util.spec_from_file_location("envelope_storage", EXAMPLE / "storage.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class ServiceKey:
    """A key of a vault in this process, for a storage that is used a thousand times."""

    def __init__(self, service: VaultService) -> None:
        self._service = service

    def newest(self) -> str:
        return self._service.get_key(self._service.operator, VAULT, "master").version

    def wrap(self, data_key: bytes) -> tuple[str, bytes]:
        made = self._service.wrap_key(
            self._service.operator, VAULT, "master", algorithm="A256KW", key=SecretValue(data_key)
        )
        return made.version, made.ciphertext

    def unwrap(self, version: str, wrapped: bytes) -> bytes:
        opened = self._service.unwrap_key(
            self._service.operator, VAULT, "master", algorithm="A256KW", wrapped=wrapped, version=version
        )
        return opened.value.reveal()


def test_three_years_of_rotations_lose_nothing_that_is_read_now_and_then(tmp_path: Path) -> None:
    unlocked = initialise(tmp_path, hsm=False, prepare=initialise_access, simulated_clock=True)
    service, clock = VaultService(unlocked), SimulatedClock(unlocked.store)
    service.create_vault(service.operator, VAULT)
    monthly = RotationPolicy(every=duration("P30D"), expire_after=duration("P180D"), keep_previous=duration("P90D"))
    service.create_key(
        service.operator, VAULT, "master", specification=KeySpecification("oct", 256, None), rotation=monthly
    )
    storage = example().Storage(tmp_path / "objects", ServiceKey(service))
    for name in ("hot", "warm", "cold"):
        storage.put(name, name.encode())
    first = storage.version("cold")
    for month in range(1, 37):
        clock.advance(timedelta(days=30, minutes=1))
        report = service.run_due(SYSTEM)
        assert report.failed == ()
        assert ("rotate", "master") in {(one.action, one.name) for one in report.done}
        assert storage.get("hot") == b"hot"
        assert storage.version("hot") == ServiceKey(service).newest()
        if month % 3 == 0:
            assert storage.get("warm") == b"warm"
    assert len(service.list_key_versions(service.operator, VAULT, "master")) == 37
    # What nobody read, and nobody wrapped anew, is under a version that has ended: it refuses, and is not gone.
    with pytest.raises(Forbidden) as refused:
        storage.get("cold")
    assert refused.value.inner == "KeyDisabled"
    service.update_key(service.operator, VAULT, "master", version=first, enabled=True)
    assert storage.rewrap() == 1
    service.update_key(service.operator, VAULT, "master", version=first, enabled=False)
    assert storage.get("cold") == b"cold"
    unlocked.close()


def test_the_example_works_as_it_stands(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "envelope", ignore=shutil.ignore_patterns(".kvstack", "objects")))

    def run(*arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            [sys.executable, *arguments], input=given, env=environment(), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def kvstack(*arguments: str) -> bytes:
        return run("-m", "kvstack.cli.main", "-C", str(folder), "--var", "key_type=RSA", *arguments)

    storage = str(folder / "storage.py")
    kvstack("init", "--no-hsm", "--simulated-clock")
    kvstack("apply", "--yes")
    run(storage, "put", "letter", given=b"Dear Alice,")
    run(storage, "put", "other", given=b"something else")
    before = kvstack("key", "list-versions", "envelope-store/master", "--json")
    kvstack("run-due", "--at", (datetime.now(UTC) + timedelta(days=31)).isoformat())
    assert kvstack("key", "list-versions", "envelope-store/master", "--json") != before
    assert run(storage, "get", "letter") == b"Dear Alice,"
    assert run(storage, "rewrap") == b"1 of 2 data keys wrapped anew\n"
    assert run(storage, "get", "other") == b"something else"
    # A rotation by policy is nobody's doing: there is nothing to plan, and nothing has drifted.
    kvstack("plan", "--detailed-exitcode")
    kvstack("drift")
