"""A server on a vault whose app is an owner of all of it, and Azure's clients for resource manager."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.keyvault import KeyVaultManagementClient

from kvstack.terms.scope import Scope
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.e2e.command_line import copied
from tests.server.resource_manager.clients import management
from tests.server.served import APP, READER, Served


def given(folder: Path) -> Path:
    """Make the app an owner of everything, and the reader somebody who may see it."""
    unlocked = unlock(folder)
    try:
        service = VaultService(unlocked)
        top = Scope(unlocked.settings.subscription_id)
        for who, role in ((APP, "Owner"), (APP, "Key Vault Administrator"), (READER, "Reader")):
            service.create_role_assignment(
                service.operator, top, role=role, principal_id=who, principal_type="service_principal"
            )
    finally:
        unlocked.close()
    return folder


@pytest.fixture(scope="session")
def owned_vault(stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a vault, without an HSM."""
    return given(copied(stocked_vault, tmp_path_factory.mktemp("owned") / "stack"))


@pytest.fixture(scope="module")
def managed(owned_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that the tests of a module share: each uses names of its own."""
    server = Served(copied(owned_vault, tmp_path_factory.mktemp("managed") / "stack"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def hsm_managed(hsm_stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on such a vault with an HSM."""
    server = Served(given(copied(hsm_stocked_vault, tmp_path_factory.mktemp("hsm-managed") / "stack")))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def vaults(managed: Served) -> Iterator[Any]:
    """Azure's client for vaults, as the app."""
    with management(managed, KeyVaultManagementClient) as found:
        yield found


@pytest.fixture(scope="module")
def asked(managed: Served) -> Callable[..., Any]:
    """Ask resource manager without any client, as the app."""
    token = managed.management_token()

    def ask(method: str, path: str, *, version: str = "2026-02-01", **more: Any) -> Any:
        sign = "&" if "?" in path else "?"
        return managed.ask(method, f"{path}{sign}api-version={version}", host=managed.management, token=token, **more)

    return ask
