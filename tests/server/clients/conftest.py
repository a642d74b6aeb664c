"""One server for Azure's clients of all languages, whose app is an owner, and the environment that leads to it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import OK, begun, copied, ended
from tests.server.clients.installed import folder, is_installed
from tests.server.resource_manager.conftest import given
from tests.server.served import APP, SHOP, Served

Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def everybody_served(stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server: each client uses names of its own."""
    server = Served(given(copied(stocked_vault, tmp_path_factory.mktemp("everybody") / "stack")))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def client_environment(everybody_served: Served) -> dict[str, str]:
    """What a client is told: what `kvstack env` prints, and who signs in."""
    ran = ended(begun(everybody_served.folder, "env", "--vault", SHOP, "--json"))
    assert ran.code == OK, ran
    found: dict[str, str] = ran.json
    return found | {"AZURE_CLIENT_ID": APP, "AZURE_CLIENT_SECRET": everybody_served.secret()}


@pytest.fixture(scope="session")
def client_run(client_environment: dict[str, str]) -> Callable[..., Ran]:
    """Run a client's program in that environment, and nothing else."""

    def run(*command: str, **more: str) -> Ran:
        around = {name: os.environ[name] for name in ("PATH", "HOME")} | {"LC_ALL": "C.UTF-8"}
        told = around | client_environment | more
        return subprocess.run(command, env=told, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.fixture(scope="session")
def installed() -> Callable[[str], Path]:
    """Find the folder of a client that `scripts/clients.sh` has installed; without it the test is left out."""

    def found(name: str) -> Path:
        if not is_installed(name):
            pytest.skip(f"Azure's client `{name}` is not installed: `scripts/clients.sh {name}` does it")
        return folder(name)

    return found
