"""Vaults made once and copied for each test, and runs of the command line on them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.e2e.command_line import Ran, copied
from tests.e2e.forks import Forks


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """A process that runs the command line for all tests of the session."""
    found = Forks(tmp_path_factory.mktemp("forks"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def software_vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a vault without an HSM."""
    folder = tmp_path_factory.mktemp("software")
    initialise(folder, hsm=False, prepare=initialise_access).close()
    return folder


@pytest.fixture(scope="session")
def hsm_vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a vault whose keys live in SoftHSM."""
    if find_module() is None:
        pytest.skip("no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE")
    folder = tmp_path_factory.mktemp("hsm")
    initialise(folder, hsm=True, prepare=initialise_access).close()
    return folder


@pytest.fixture
def folder(software_vault: Path, tmp_path: Path) -> Path:
    """A stack's folder with a vault of its own, without an HSM."""
    return copied(software_vault, tmp_path / "stack")


@pytest.fixture
def hsm_folder(hsm_vault: Path, tmp_path: Path) -> Path:
    """A stack's folder with a vault of its own, and an HSM token."""
    return copied(hsm_vault, tmp_path / "stack")


@pytest.fixture
def kvstack(folder: Path, forks: Forks) -> Callable[..., Ran]:
    """The command line in `folder`; named arguments are environment variables."""

    def run(*arguments: str, **environ: str) -> Ran:
        return forks.run("-C", str(folder), *arguments, environ=environ)

    return run


@pytest.fixture
def hsm_kvstack(hsm_folder: Path, forks: Forks) -> Callable[..., Ran]:
    """The command line in `hsm_folder`; named arguments are environment variables."""

    def run(*arguments: str, **environ: str) -> Ran:
        return forks.run("-C", str(hsm_folder), *arguments, environ=environ)

    return run
