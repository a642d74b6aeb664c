"""A vault is made whole, or there is none; and what keeps it from being opened is told in words."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.hsm.protocol import HsmError, HsmUnavailable
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.principal import is_guid
from kvstack.vault import faults
from kvstack.vault.clock import SimulatedClock, SystemClock
from kvstack.vault.exclusive import making
from kvstack.vault.initialise import Token, Unlocked, initialise, unlock
from kvstack.vault.layout import layout
from kvstack.vault.time_step import Steady

PLACE = ("vault-1", "secrets", "db", "v1", "value")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

_MODULE = find_module(os.environ)
requires_hsm = pytest.mark.skipif(
    _MODULE is None or not _MODULE.is_file(),
    reason="no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE",
)
HOMES = [pytest.param(False, id="software"), pytest.param(True, id="hsm", marks=requires_hsm)]


class Noon:
    """A clock that stands at noon."""

    def now(self) -> datetime:
        return NOON


@pytest.fixture
def closing() -> Iterator[list[Unlocked]]:
    """Vaults to be closed when the test is over."""
    vaults: list[Unlocked] = []
    yield vaults
    for vault in vaults:
        vault.close()


def sealed(vault: Unlocked) -> bytes:
    with vault.store.transaction() as tx:
        vault.barrier.create_data_key(tx, "vault-1")
    return vault.barrier.seal("vault-1", PLACE, b"value")


@pytest.mark.parametrize("hsm", HOMES)
def test_a_vault_that_was_made_can_be_opened(tmp_path: Path, closing: list[Unlocked], hsm: bool) -> None:
    made = initialise(tmp_path, clock=Noon(), hsm=hsm, resource_group="payments", operator_name="olga")
    value = sealed(made)
    settings = made.settings
    made.close()
    again = unlock(tmp_path)
    closing.append(again)
    assert again.barrier.open("vault-1", PLACE, value) == b"value"
    assert again.settings == settings
    assert (settings.resource_group, settings.operator_name, settings.created) == ("payments", "olga", NOON)
    ids = (settings.tenant_id, settings.subscription_id, settings.operator_id)
    assert all(map(is_guid, ids))
    assert len(set(ids)) == 3
    assert set(again.providers) == ({"software", "pkcs11"} if hsm else {"software"})
    assert isinstance(again.clock, SystemClock)
    assert again.time_guard.check(NOON) == Steady()


@pytest.mark.parametrize("hsm", HOMES)
def test_everything_is_its_owners_alone(tmp_path: Path, hsm: bool) -> None:
    before = os.umask(0)
    try:
        vault = initialise(tmp_path, hsm=hsm)
        sealed(vault)
        for path in layout(tmp_path).root.rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path
        assert layout(tmp_path).root.stat().st_mode & 0o777 == 0o700
        vault.close()
    finally:
        os.umask(before)


@pytest.mark.parametrize("hsm", HOMES)
def test_the_folder_can_be_moved(tmp_path: Path, closing: list[Unlocked], hsm: bool) -> None:
    (tmp_path / "here").mkdir()
    made = initialise(tmp_path / "here", hsm=hsm)
    value = sealed(made)
    made.close()
    shutil.move(tmp_path / "here", tmp_path / "there")
    again = unlock(tmp_path / "there")
    closing.append(again)
    assert again.barrier.open("vault-1", PLACE, value) == b"value"


def test_a_simulated_clock_starts_at_the_time_given_and_is_found_again(tmp_path: Path, closing: list[Unlocked]) -> None:
    initialise(tmp_path, clock=Noon(), hsm=False, simulated_clock=True).close()
    again = unlock(tmp_path)
    closing.append(again)
    assert isinstance(again.clock, SimulatedClock)
    assert again.clock.now() == NOON


def test_without_a_vault_init_is_named(tmp_path: Path) -> None:
    with pytest.raises(KvstackError, match="there is no vault in") as caught:
        unlock(tmp_path)
    assert "kvstack init" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_second_vault_in_one_folder_is_refused(tmp_path: Path, closing: list[Unlocked]) -> None:
    closing.append(initialise(tmp_path, hsm=False))
    value = sealed(closing[0])
    with pytest.raises(KvstackError, match="there is a vault in"):
        initialise(tmp_path, hsm=False)
    assert closing[0].barrier.open("vault-1", PLACE, value) == b"value"


def test_two_at_once_are_told_apart(tmp_path: Path) -> None:
    paths = layout(tmp_path)
    paths.make_folders()
    with making(paths.lock), pytest.raises(KvstackError, match="another kvstack is making"):
        initialise(tmp_path, hsm=False)
    initialise(tmp_path, hsm=False).close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"subscription": "mine"}, "no subscription id"),
        ({"resource_group": "a/b"}, "resource group"),
        ({"recovery_key": b"no key"}, "recovery key"),
        ({"hsm": Path("/nowhere/module.so")}, "/nowhere/module.so"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_left(
    tmp_path: Path, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(KvstackError, match=words):
        initialise(tmp_path, **{"hsm": False, **arguments})  # type: ignore[arg-type]  # cases of a table
    assert not layout(tmp_path).configuration.exists()
    initialise(tmp_path, hsm=False).close()
    assert not list(tmp_path.glob(".kvstack/unfinished-*"))


def test_an_hsm_that_was_asked_for_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(KvstackError, match=r"no PKCS#11 module|cannot be loaded|is not there"):
        initialise(tmp_path, hsm=True, environ={"KVSTACK_PKCS11_MODULE": "/nowhere/module.so"})


@requires_hsm
def test_the_pin_can_stay_with_its_owner(tmp_path: Path, closing: list[Unlocked]) -> None:
    environ = {"VAULT_PIN": "a-pin-of-my-own"}
    initialise(tmp_path, hsm=True, token=Token(pin_environment="VAULT_PIN"), environ={**os.environ, **environ}).close()
    with pytest.raises(HsmUnavailable, match="VAULT_PIN"):
        unlock(tmp_path, environ={})
    closing.append(unlock(tmp_path, environ=environ))
    assert not any(b"a-pin-of-my-own" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_there_is_no_vault_before_it_was_prepared(tmp_path: Path) -> None:
    seen: list[str] = []

    def prepare(vault: Unlocked) -> None:
        seen.append(vault.settings.operator_id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        initialise(tmp_path, hsm=False, prepare=prepare)
    with pytest.raises(KvstackError, match="there is no vault"):
        unlock(tmp_path)
    vault = initialise(tmp_path, hsm=False, prepare=lambda vault: seen.append(vault.settings.operator_id))
    assert seen[1] == vault.settings.operator_id != seen[0]
    vault.close()


def test_a_configuration_that_was_lost_does_not_cost_the_vault(tmp_path: Path) -> None:
    initialise(tmp_path, hsm=False).close()
    configuration = layout(tmp_path).configuration
    text = configuration.read_bytes()
    configuration.unlink()
    made = initialise(tmp_path, hsm=False)
    (warning,) = made.warnings
    made.close()
    (aside,) = tmp_path.glob(".kvstack/unfinished-*")
    assert str(aside) in warning.summary
    (aside / ".kvstack").mkdir()
    for part in ("vault", "keys"):
        (aside / part).rename(aside / ".kvstack" / part)
    (aside / ".kvstack" / "vault" / "config.json").write_bytes(text)
    unlock(aside).close()


@pytest.mark.parametrize(
    ("text", "fault", "words"),
    [
        (b'{"format_version": 99, "anything": []}', KvstackError, "format 99"),
        (b"{", faults.CorruptStore, r"config\.json is damaged"),
        (b"\xff\xfe", faults.CorruptStore, r"config\.json is damaged"),
        (b'{"format_version": 1}', faults.CorruptStore, r"config\.json is damaged"),
        (b'{"format_version": 1, "kek": "software", "file": "keys/other"}', HsmError, "keys/other"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_told_of(
    tmp_path: Path, text: bytes, fault: type[KvstackError], words: str
) -> None:
    initialise(tmp_path, hsm=False).close()
    layout(tmp_path).configuration.write_bytes(text)
    with pytest.raises(fault, match=words):
        unlock(tmp_path)


def test_a_key_file_of_another_vault_is_told_of(tmp_path: Path) -> None:
    for name in ("one", "two"):
        initialise(tmp_path / name, hsm=False).close()
    shutil.copy(tmp_path / "two" / ".kvstack" / "keys" / "kek", tmp_path / "one" / ".kvstack" / "keys" / "kek")
    with pytest.raises(faults.StoreFault, match="the vault was encrypted by the key-encryption key"):
        unlock(tmp_path / "one")


def test_a_database_of_another_vault_is_told_of(tmp_path: Path) -> None:
    for name in ("one", "two"):
        initialise(tmp_path / name, hsm=False).close()
    shutil.copy(tmp_path / "two" / ".kvstack" / "vault" / "vault.db", tmp_path / "one" / ".kvstack" / "vault")
    with pytest.raises(faults.StoreFault):
        unlock(tmp_path / "one")


def test_a_missing_database_is_told_of(tmp_path: Path) -> None:
    initialise(tmp_path, hsm=False).close()
    layout(tmp_path).database.unlink()
    with pytest.raises(faults.CorruptStore, match="database is missing"):
        unlock(tmp_path)


# Kills itself at the n-th time it draws random bytes or writes the configuration, for every n, and then does it again.
KILLED = """
import os, signal, sys
from pathlib import Path
from kvstack.vault.initialise import initialise, unlock
from kvstack.vault import initialise as module

root, hsm = Path(sys.argv[1]), sys.argv[2] == "True"
for number in range(1000):
    directory = root / str(number)
    directory.mkdir()
    child = os.fork()
    if child == 0:
        left = number

        def step():
            global left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

        def random(count):
            step()
            return os.urandom(count)

        written = module.write_configuration

        def write_configuration(*arguments):
            step()
            written(*arguments)
            step()

        module.write_configuration = write_configuration
        initialise(directory, hsm=hsm, random=random, prepare=lambda vault: step())
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.wait()[1])
    finished = (directory / ".kvstack" / "vault" / "config.json").exists()
    if not finished:
        initialise(directory, hsm=hsm).close()
    unlock(directory).close()
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
print(number)
"""


@pytest.mark.parametrize("hsm", HOMES)
def test_killed_at_any_step_it_is_made_by_the_next_init(tmp_path: Path, hsm: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(hsm)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 8
