"""Folders with a vault in them, made once and copied for each test."""

import gc
import shutil
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from tests.cli.data_plane.shell import Shell

VAULT = "payments-dev"


@pytest.fixture(scope="session", autouse=True)
def _collected() -> None:
    """The command line lives shortly and collects no garbage; a test run does not."""
    gc.enable()


@pytest.fixture(scope="session")
def _software(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shell = Shell(tmp_path_factory.mktemp("software"))
    shell.good("init", "--no-hsm")
    shell.good("vault", "create", VAULT)
    shell.good("secret", "set", f"{VAULT}/db-password", stdin=b"hunter2")
    shell.good("key", "create", f"{VAULT}/signing", "--type", "EC")
    return shell.folder


@pytest.fixture(scope="session")
def _hsm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_module() is None:
        pytest.skip("needs a PKCS#11 module (SoftHSM2)")
    shell = Shell(tmp_path_factory.mktemp("hsm"))
    shell.good("init", "--hsm")
    shell.good("vault", "create", VAULT, "--sku", "premium")
    shell.good("secret", "set", f"{VAULT}/db-password", stdin=b"hunter2")
    shell.good("key", "create", f"{VAULT}/signing", "--type", "RSA-HSM")
    return shell.folder


@pytest.fixture(scope="session")
def _simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shell = Shell(tmp_path_factory.mktemp("simulated"))
    shell.good("init", "--no-hsm", "--simulated-clock")
    shell.good("vault", "create", VAULT, "--retention-days", "7")
    shell.good("secret", "set", f"{VAULT}/db-password", stdin=b"hunter2")
    return shell.folder


@pytest.fixture
def empty(tmp_path: Path) -> Shell:
    """A folder with nothing in it."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return Shell(folder)


@pytest.fixture
def shell(tmp_path: Path, _software: Path) -> Shell:
    """A folder with a vault of software keys: `payments-dev` with the secret `db-password` and the key `signing`."""
    return _copied(_software, tmp_path)


@pytest.fixture
def hsm(tmp_path: Path, _hsm: Path) -> Shell:
    """The same on SoftHSM: the vault is premium, the key an RSA-HSM one."""
    return _copied(_hsm, tmp_path)


@pytest.fixture
def simulated(tmp_path: Path, _simulated: Path) -> Shell:
    """A folder with a vault whose clock is simulated: `payments-dev`, with 7 days of retention, has `db-password`."""
    return _copied(_simulated, tmp_path)


def _copied(prepared: Path, target: Path) -> Shell:
    folder = target / "project"
    shutil.copytree(prepared, folder)
    return Shell(folder)
