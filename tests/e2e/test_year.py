"""A year of rotations whose runs are killed at any moment: what came of it is what the calendar said before."""

import random
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from kvstack.terms.duration import Duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.vault.service.world import START, StartClock

ROOT = Path(__file__).parents[2]
THINGS = 500
VAULT = "payments-dev"
EVERY = (30, 60, 90, 180)
KEPT = 15
OCT = KeySpecification("oct", 256, None)


@pytest.mark.slow
def test_a_year_of_killed_runs_ends_as_the_calendar_said(tmp_path: Path) -> None:
    _made(tmp_path)
    unlocked = unlock(tmp_path)
    service = VaultService(unlocked)
    coming = service.calendar(service.operator, START + timedelta(days=365)).coming
    unlocked.close()
    instants = sorted({one.at for one in coming})
    # A run that has nothing to do tells how long one takes here: it is killed somewhere within that.
    began = time.monotonic()
    assert _run(tmp_path, START.isoformat()).wait(timeout=60) == 0
    whole = time.monotonic() - began
    chance, killed = random.Random(6), 0
    for at in instants:
        for _ in range(2):
            child = _run(tmp_path, at.isoformat())
            time.sleep(whole * chance.uniform(0.1, 1.1))
            killed += child.poll() is None
            child.kill()
            child.wait()
        assert _run(tmp_path, at.isoformat()).wait(timeout=60) == 0
    assert killed > len(instants) // 4
    unlocked = unlock(tmp_path)
    service = VaultService(unlocked)
    me = service.operator
    versions = {
        f"t-{number}": (service.list_key_versions if number % 2 else service.list_secret_versions)(
            me, VAULT, f"t-{number}"
        )
        for number in range(THINGS)
    }
    unlocked.close()
    said = Counter((one.name, one.at) for one in coming if one.action == "rotate")
    assert Counter((name, one.created) for name, made in versions.items() for one in made if one.by_rotation) == said
    for made in versions.values():
        ends = [later.created + timedelta(days=KEPT) for later in made[1:]]
        assert [one.enabled for one in made[:-1]] == [end > START + timedelta(days=365) for end in ends]
        assert made[-1].enabled


def _made(folder: Path) -> None:
    unlocked = initialise(folder, hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock())
    service = VaultService(unlocked)
    me = service.operator
    service.create_vault(me, VAULT)
    with service.batch():
        for number in range(THINGS):
            rotation = RotationPolicy(every=Duration(days=EVERY[number % 7 % 4]), keep_previous=Duration(days=KEPT))
            if number % 2:
                service.create_key(me, VAULT, f"t-{number}", specification=OCT, rotation=rotation)
            else:
                value, generator = SecretValue("v"), Generator(20)
                service.set_secret(me, VAULT, f"t-{number}", value, rotation=rotation, generator=generator)
    unlocked.close()


def _run(folder: Path, at: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder), "run-due", "--at", at],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
