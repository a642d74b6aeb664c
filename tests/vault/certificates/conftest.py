"""A store with a certificate authority to try things on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.vault.certificates.policies import ROOT
from tests.vault.service.world import StartClock, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A vault `app`, and a vault `trust` with the authority `root`."""
    unlocked = initialise(tmp_path, hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock())
    made = World(unlocked)
    for vault in ("app", "trust"):
        made.service.create_vault(made.operator, vault)
    made.service.create_certificate(made.operator, "trust", "root", policy=ROOT)
    yield made
    unlocked.close()
