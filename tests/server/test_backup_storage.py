"""Where backups of Managed HSMs are kept: in the folders an operator named, and nowhere else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.server.backup_storage import BackupStorage, backup_container, backup_folder
from kvstack.server.configuration import ServerConfiguration, require_valid
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.errors import BadParameter, NotFound
from kvstack.vault.faults import StoreFault

CONTAINER = "https://account.blob.core.windows.net/hsm"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir(mode=0o700)
    return tmp_path / "kept"


@pytest.fixture
def storage(folder: Path) -> BackupStorage:
    return BackupStorage((backup_container(f"{CONTAINER}={folder}"),))


def test_what_is_kept_is_read_back_and_is_nobody_elses(storage: BackupStorage, folder: Path) -> None:
    name = backup_folder("treasury", datetime(2026, 3, 1, 12, 30, 1, 5, tzinfo=UTC))
    assert name == "mhsm-treasury-20260301123001000005"
    storage.keep(CONTAINER, name, b"sealed")
    assert storage.read(f"{CONTAINER.upper()}/", name) == b"sealed"
    (kept,) = (folder / name).iterdir()
    assert kept.stat().st_mode & 0o077 == (folder / name).stat().st_mode & 0o077 == 0
    # One that is there is never written over.
    with pytest.raises(StoreFault):
        storage.keep(CONTAINER, name, b"another")
    assert storage.read(CONTAINER, name) == b"sealed"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=st.text() | st.sampled_from([f"{CONTAINER}/..", f"{CONTAINER}?x", f"{CONTAINER}2", "file:///", "."]))
def test_no_other_address_is_a_container(storage: BackupStorage, address: str) -> None:
    for asked in (lambda: storage.require(address), lambda: storage.read(address, "mhsm-x")):
        with pytest.raises(BadParameter) as refusal:
            asked()
        assert len(address) < 8 or address not in str(refusal.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text() | st.sampled_from(["..", "mhsm-x/../../etc", "mhsm-", "mhsm-ä", "mhsm-x\n", "mhsm-x\0", "/etc"]))
def test_no_name_leads_out_of_the_folder(storage: BackupStorage, folder: Path, name: str) -> None:
    (folder.parent / "managed-hsm.backup").write_bytes(b"outside")
    with pytest.raises(NotFound):
        storage.read(CONTAINER, name)


def test_a_folder_that_is_gone_is_a_fault_of_the_machine(storage: BackupStorage, folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(StoreFault):
        storage.keep(CONTAINER, "mhsm-x", b"sealed")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hsm",
        "http://account.blob.core.windows.net/hsm",
        "https://account.blob.core.windows.net",
        "https://account.blob.core.windows.net/hsm/below",
        "https://account.blob.core.windows.net/hsm?sv=1",
        "https://me:word@account.blob.core.windows.net/hsm",
        "https:///hsm",
        "https://account.blob.core.windows.net/..",
    ],
)
def test_what_names_no_container_is_refused_at_the_start(folder: Path, address: str) -> None:
    with pytest.raises(KvstackError, match="names no container"):
        backup_container(f"{address}={folder}")


def test_the_folder_has_to_be_there_and_closed_to_others(folder: Path) -> None:
    with pytest.raises(KvstackError, match="there is no folder"):
        backup_container(f"{CONTAINER}={folder}/absent")
    folder.chmod(0o777)
    with pytest.raises(KvstackError, match="anybody can write"):
        backup_container(f"{CONTAINER}={folder}")


def test_a_container_is_one_folder(folder: Path) -> None:
    twice = tuple(backup_container(f"{address}={folder}") for address in (CONTAINER, f"{CONTAINER}/"))
    with pytest.raises(KvstackError, match="one container twice"):
        require_valid(ServerConfiguration(backups=twice))
