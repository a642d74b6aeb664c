"""A lost token or key file loses nothing but the token's own keys, where there is a recovery key."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit import AuditRecord
from kvstack.vault.faults import StoreFault
from kvstack.vault.initialise import initialise, recover, unlock
from kvstack.vault.layout import layout
from tests.vault.foundation.test_initialise import HOMES, PLACE, sealed
from tests.vault.foundation.things import by_hand

KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def lose_keys(directory: Path) -> None:
    """Lose the token or the key file."""
    for part in ("hsm", "keys"):
        shutil.rmtree(layout(directory).root / part)


@pytest.mark.parametrize("after", HOMES)
@pytest.mark.parametrize("before", HOMES)
def test_a_lost_key_encryption_key_is_replaced(tmp_path: Path, before: bool, after: bool) -> None:
    vault = initialise(tmp_path, hsm=before, recovery_key=PUBLIC)
    value, settings = sealed(vault), vault.settings
    vault.close()
    lose_keys(tmp_path)
    with pytest.raises(KvstackError):
        unlock(tmp_path)
    recovered = recover(tmp_path, PRIVATE, hsm=after)
    assert recovered.data_keys == 2
    recovered.unlocked.close()
    again = unlock(tmp_path)
    assert again.barrier.open("vault-1", PLACE, value) == b"value"
    assert again.settings == settings
    assert set(again.providers) == ({"software", "pkcs11"} if after else {"software"})
    record, signer = again.audit.records()
    assert isinstance(record, AuditRecord)
    assert signer.operation == "AuditSignerMake"
    assert (record.operation, record.caller) == ("VaultRecovered", settings.operator_id)
    assert again.audit.verify().problem is None
    with again.store.transaction() as tx:
        again.barrier.create_data_key(tx, "vault-2")  # made after the recovery, and recoverable, too
    again.close()
    lose_keys(tmp_path)
    recover(tmp_path, PRIVATE, hsm=False).unlocked.close()


def test_the_private_key_may_have_a_password(tmp_path: Path) -> None:
    initialise(tmp_path, hsm=False, recovery_key=PUBLIC).close()
    locked = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    for password in (None, b"wrong"):
        with pytest.raises(KvstackError, match="password is wrong"):
            recover(tmp_path, locked, password=password, hsm=False)
    recover(tmp_path, locked, password=b"password", hsm=False).unlocked.close()


@pytest.mark.parametrize(
    ("recovery_key", "private", "words"),
    [
        (None, PRIVATE, "made without a recovery key"),
        (PUBLIC, b"no key", "no private key in PEM"),
        (
            PUBLIC,
            rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "not the recovery key the vault was made with",
        ),
        (
            PUBLIC,
            ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "not an RSA key",
        ),
    ],
)
def test_a_recovery_that_cannot_be_changes_nothing(
    tmp_path: Path, recovery_key: bytes | None, private: bytes, words: str
) -> None:
    initialise(tmp_path, hsm=False, recovery_key=recovery_key).close()
    before = {path: path.read_bytes() for path in layout(tmp_path).keys.iterdir()}
    with pytest.raises(KvstackError, match=words):
        recover(tmp_path, private, hsm=False)
    assert {path: path.read_bytes() for path in layout(tmp_path).keys.iterdir()} == before
    unlock(tmp_path).close()


def test_without_a_vault_there_is_nothing_to_recover(tmp_path: Path) -> None:
    with pytest.raises(KvstackError, match="there is no vault in"):
        recover(tmp_path, PRIVATE, hsm=False)


def test_a_tampered_vault_is_not_recovered(tmp_path: Path) -> None:
    initialise(tmp_path, hsm=False, recovery_key=PUBLIC).close()
    with by_hand(layout(tmp_path).database) as database:
        database.execute("UPDATE settings SET body = CAST(replace(body, 'operator', 'intruder') AS BLOB)")
    with pytest.raises(StoreFault):
        recover(tmp_path, PRIVATE, hsm=False)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024).public_key(),
        ec.generate_private_key(ec.SECP256R1()).public_key(),
    ],
    ids=["1024 bits", "EC"],
)
def test_a_recovery_key_that_is_too_weak_is_refused(
    tmp_path: Path, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
) -> None:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KvstackError, match="has to be RSA with at least 2048 bits"):
        initialise(tmp_path, hsm=False, recovery_key=pem)


# Kills itself at the n-th time it draws random bytes or writes the configuration, for every n, and then does it again.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from kvstack.vault.initialise import recover, unlock
from kvstack.vault import recover as module

made, private, work = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), Path(sys.argv[3])
for number in range(1000):
    directory = work / str(number)
    shutil.copytree(made, directory)
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
        recover(directory, private, hsm=False, random=random)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.wait()[1])
    recover(directory, private, hsm=False).unlocked.close()
    vault = unlock(directory)
    place = ("vault-1", "secrets", "db", "v1", "value")
    assert vault.barrier.open("vault-1", place, (made / "sealed").read_bytes()) == b"value"
    vault.close()
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
print(number)
"""


def test_killed_at_any_step_it_is_recovered_by_the_next_try(tmp_path: Path) -> None:
    made = tmp_path / "made"
    vault = initialise(made, hsm=False, recovery_key=PUBLIC)
    (made / "sealed").write_bytes(sealed(vault))
    vault.close()
    lose_keys(made)
    (tmp_path / "private.pem").write_bytes(PRIVATE)
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(made), str(tmp_path / "private.pem"), str(tmp_path / "work")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
