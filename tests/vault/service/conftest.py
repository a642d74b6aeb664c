"""A vault to try things on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.terms.secret import SecretValue
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.vault.service.approving import Ruled
from tests.vault.service.world import StartClock, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    unlocked = initialise(tmp_path, hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock())
    yield World(unlocked)
    unlocked.close()


@pytest.fixture
def dev(world: World) -> World:
    """The world with a vault `payments-dev`."""
    world.service.create_vault(world.operator, "payments-dev")
    return world


@pytest.fixture
def stocked(dev: World) -> World:
    """That vault with two secrets."""
    for name in ("db-password", "api-token"):
        dev.service.set_secret(dev.operator, "payments-dev", name, SecretValue("v"))
    return dev


@pytest.fixture
def ruled(dev: World) -> Ruled:
    """The same with an approval rule: alice approves, for everything."""
    return Ruled(dev)
