"""A vault with somebody who may do everything, one who may read, and one who may nothing; and a server on it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.terms.principal import Principal
from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.e2e.command_line import OK, copied, environment
from tests.e2e.fixtures import forks, hsm_vault, software_vault  # noqa: F401  # pytest finds fixtures by their names
from tests.server.served import APP, OTHER, READER, SHOP, STRANGER, Served

PIN = "pin-canary-4711"
ROLES = {APP: "Key Vault Administrator", READER: "Key Vault Secrets User"}


def stocked(folder: Path, *, hsm: bool) -> None:
    """Make a vault in a folder, with principals and their client secrets beside it."""
    unlocked = initialise(folder, hsm=hsm, prepare=initialise_access)
    try:
        service = VaultService(unlocked)
        operator = service.operator
        for vault in (SHOP, OTHER):
            service.create_vault(operator, vault, sku="premium" if hsm else "standard")
        for identifier, name in ((APP, "app"), (READER, "reader"), (STRANGER, "stranger")):
            service.put_principal(operator, Principal(id=identifier, type="service_principal", name=name))
            made = service.create_client_secret(operator, identifier)
            assert made.value is not None
            (folder / f"{identifier}.secret").write_bytes(made.value.reveal())
        scope = Scope(unlocked.settings.subscription_id, unlocked.settings.resource_group, SHOP)
        for identifier, role in ROLES.items():
            service.create_role_assignment(
                operator, scope, role=role, principal_id=identifier, principal_type="service_principal"
            )
        service.set_secret(operator, SHOP, "greeting", SecretValue("hello"))
    finally:
        unlocked.close()


@pytest.fixture(scope="session")
def stocked_vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a vault, without an HSM."""
    folder = tmp_path_factory.mktemp("stocked")
    stocked(folder, hsm=False)
    return folder


@pytest.fixture(scope="module")
def served(stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that the tests of a module share: each uses names of its own."""
    server = Served(copied(stocked_vault, tmp_path_factory.mktemp("served") / "stack"))
    yield server
    server.kill()


@pytest.fixture
def stack(stocked_vault: Path, tmp_path: Path) -> Path:
    """A folder with such a vault of the test's own."""
    return copied(stocked_vault, tmp_path / "stack")


@pytest.fixture(scope="session")
def hsm_stocked_vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a vault, premium, whose keys live in SoftHSM."""
    if find_module() is None:
        pytest.skip("no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE")
    folder = tmp_path_factory.mktemp("hsm-stocked")
    stocked(folder, hsm=True)
    return folder


@pytest.fixture(scope="module")
def hsm_served(hsm_stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on a vault with an HSM, that the tests of a module share."""
    server = Served(copied(hsm_stocked_vault, tmp_path_factory.mktemp("hsm-served") / "stack"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def environment_pin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a vault whose token's PIN is in an environment variable, not in a file."""
    if find_module() is None:
        pytest.skip("no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE")
    folder = tmp_path_factory.mktemp("pin")
    command = [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder), "init", "--hsm", "--pin-env", "SHOP_PIN"]
    ran = subprocess.run(command, env=environment(SHOP_PIN=PIN), capture_output=True, text=True)
    assert ran.returncode == OK, ran
    return folder
