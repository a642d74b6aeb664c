"""A server with Managed HSMs, one of them activated: by Azure's own client, as everything else is done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.administration import KeyVaultAccessControlClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.securitydomain import SecurityDomainClient

from tests.e2e.command_line import copied
from tests.server.data_plane.hsms import CONTAINER, NAMES, ROLES, client, wanted, with_managed_hsms
from tests.server.served import APP, Served


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for a storage container."""
    return tmp_path_factory.mktemp("backups")


@pytest.fixture(scope="module")
def two(hsm_stocked_vault: Path, backups: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two Managed HSMs of real tokens. Two processes answer: what one does the other knows."""
    folder = with_managed_hsms(copied(hsm_stocked_vault, tmp_path_factory.mktemp("two") / "stack"))
    server = Served(folder, "--workers", "2", "--backups", f"{CONTAINER}={backups}")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def domain(two: Served) -> str:
    """The security domain the first one is activated by, downloaded by Azure's client."""
    with client(SecurityDomainClient, two, polling_interval=0) as domains:
        return str(domains.begin_download(wanted(*NAMES)).result().value)


@pytest.fixture(scope="module")
def active(two: Served, domain: str) -> Served:
    """The first one is activated, and the app may do everything with its keys."""
    assert domain
    with client(KeyVaultAccessControlClient, two) as access:
        for role in ("Managed HSM Crypto User", "Managed HSM Crypto Officer"):
            access.create_role_assignment("/", ROLES[role], APP)
    return two


@pytest.fixture(scope="module")
def keys(active: Served) -> Iterator[Any]:
    with client(KeyClient, active) as found:
        yield found
