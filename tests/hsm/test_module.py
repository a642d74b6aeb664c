"""What goes wrong between kvstack and its HSM: said plainly, mended once where it can be, never a crash."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kvstack.hsm.configuration import HsmConfiguration, PinSource, write_configuration
from kvstack.hsm.connection import Connection
from kvstack.hsm.isolated.client import IsolatedCryptoki
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.pkcs11_kek import Pkcs11KeyEncryptionKey
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.hsm.softhsm_files import softhsm_configuration
from kvstack.hsm.token import initialise_token
from kvstack.terms.algorithm import ALGORITHMS
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.examples import EC, key

pytestmark = requires_softhsm
ES256 = ALGORITHMS["ES256"]
Accident = Callable[[Connection], None]


def test_a_wrong_pin_names_module_token_and_answer(token: HsmConfiguration) -> None:
    wrong = msgspec.structs.replace(token, pin_source=PinSource(environment="HSM_PIN"))
    with pytest.raises(HsmUnavailable) as failure:
        Pkcs11Module.open(wrong, {"HSM_PIN": "not-the-pin"})
    told = str(failure.value)
    assert "C_Login answered CKR_PIN_INCORRECT" in told
    assert token.module in told
    assert "token `kvstack`" in told
    assert "Give the right PIN" in told
    assert "not-the-pin" not in told
    # The right one works afterwards.
    Pkcs11Module.open(token).close()


def test_a_missing_module_is_told(token: HsmConfiguration) -> None:
    with pytest.raises(HsmUnavailable, match=r"/nowhere/module\.so is not there"):
        Pkcs11Module.open(msgspec.structs.replace(token, module="/nowhere/module.so"))


def test_a_missing_token_is_told_with_those_there_are(token: HsmConfiguration) -> None:
    with pytest.raises(HsmUnavailable, match=r"token `other` is missing .*tokens there: `kvstack`"):
        Pkcs11Module.open(msgspec.structs.replace(token, token_label="other"))
    shutil.rmtree(token.tokens)
    Path(token.tokens).mkdir()
    with pytest.raises(HsmUnavailable, match=r"is missing .*tokens there: none"):
        Pkcs11Module.open(token)


def test_a_tokens_folder_that_is_gone_is_told(token: HsmConfiguration) -> None:
    shutil.rmtree(token.tokens)
    with pytest.raises(HsmUnavailable, match=r"token `kvstack` is missing .*their folder is gone") as failure:
        Pkcs11Module.open(token)
    assert f"Restore {token.tokens}" in str(failure.value)


def test_a_token_made_anew_under_the_same_label_is_told(token: HsmConfiguration) -> None:
    shutil.rmtree(token.tokens)
    initialise_token(Path(token.tokens).parent, module=softhsm())
    with pytest.raises(HsmUnavailable, match=f"is another one.*the vault's is {token.token_serial}"):
        Pkcs11Module.open(token)


def test_a_token_whose_objects_were_deleted_is_told(token: HsmConfiguration) -> None:
    for path in Path(token.tokens).rglob("*.object"):
        if path.name != "token.object":
            path.unlink()
    with pytest.raises(HsmUnavailable, match="does not have the vault's key-encryption key"):
        Pkcs11Module.open(token)


def test_a_reset_token_is_told(token: HsmConfiguration) -> None:
    # Another initialisation of the same token, as `softhsm2-util --init-token --slot` does: all objects are gone.
    script = (
        "import sys\n"
        "from kvstack.hsm.cryptoki import Cryptoki\n"
        "cryptoki = Cryptoki(sys.argv[1]); cryptoki.initialise()\n"
        "token = next(token for token in cryptoki.tokens() if token.initialised)\n"
        "cryptoki.initialise_token(token.slot, sys.argv[2].encode(), token.label)\n"
    )
    made = initialise_token(Path(token.tokens).parent / "second", module=softhsm(), random=officer_bytes)
    reset = made.configuration
    environ = {**os.environ, "SOFTHSM2_CONF": str(softhsm_configuration(Path(reset.tokens))), "PYTHONPATH": _root()}
    subprocess.run(
        [sys.executable, "-c", script, reset.module, officer_bytes(16).hex()], env=environ, check=True, timeout=60
    )
    with pytest.raises(HsmUnavailable, match=r"CKR_USER_PIN_NOT_INITIALIZED|does not have the vault's") as failure:
        Pkcs11Module.open(reset)
    assert officer_bytes(16).hex() not in str(failure.value)


def officer_bytes(count: int) -> bytes:
    return bytes([7]) * count


def _root() -> str:
    return str(Path(__file__).parents[2])


def _finalise(connection: Connection) -> None:
    connection.cryptoki.finalise()


def _close_all_sessions(connection: Connection) -> None:
    if isinstance(connection.cryptoki, IsolatedCryptoki):
        # Nobody has that call over the wire; the process that holds the sessions can end, though.
        _kill(connection)
    else:
        connection.cryptoki._call("C_CloseAllSessions", connection.token.slot)


def _kill(connection: Connection) -> None:
    if isinstance(connection.cryptoki, IsolatedCryptoki):
        os.kill(connection.cryptoki.process, signal.SIGKILL)


def _log_out(connection: Connection) -> None:
    session = connection.sessions.borrow()
    connection.cryptoki.logout(session)
    connection.sessions.give_back(session)


@pytest.mark.parametrize("accident", [_finalise, _close_all_sessions, _kill, _log_out])
def test_after_a_lost_session_the_next_call_logs_in_again(module: Pkcs11Module, accident: Accident) -> None:
    provider, kek = Pkcs11Keys(module), Pkcs11KeyEncryptionKey(module)
    made = key(provider, EC)
    wrapped = kek.wrap(bytes(32), b"vault")
    for operation in (
        lambda: provider.sign(made, ES256, bytes(32)),
        lambda: kek.unwrap(wrapped, b"vault"),
        lambda: provider.generate(EC),
        lambda: provider.random(8),
    ):
        provider.sign(made, ES256, bytes(32))
        module.run(accident)
        assert operation()
    signature = provider.sign(made, ES256, bytes(32))
    assert provider.verify(made, ES256, bytes(32), signature)


def test_threads_survive_a_module_that_was_shut_down_under_them(module: Pkcs11Module) -> None:
    provider = Pkcs11Keys(module)
    made = [key(provider, EC) for _ in range(4)]
    failures: list[object] = []
    barrier = threading.Barrier(5)

    def work(number: int) -> None:
        one = made[number]
        for _ in range(6):
            barrier.wait()
            barrier.wait()
            for turn in range(5):
                digest = bytes([turn]) * 32
                # A handle of before could be another key's now: the signature tells.
                if not provider.verify(one, ES256, digest, provider.sign(one, ES256, digest)):
                    failures.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(6):
        barrier.wait()
        module.run(_finalise)  # while nobody is inside: to shut it down under a call crashes any module
        barrier.wait()
    for worker in workers:
        worker.join()
    assert not failures


@pytest.mark.parametrize("accident", [_finalise, lambda _: None], ids=["shut down", "nothing else"])
def test_a_token_that_vanishes_under_way_is_told_and_found_again(token: HsmConfiguration, accident: Accident) -> None:
    module = Pkcs11Module.open(token)
    provider, kek = Pkcs11Keys(module), Pkcs11KeyEncryptionKey(module)
    made = key(provider, EC)
    wrapped = kek.wrap(bytes(32), b"")
    aside = Path(token.tokens).with_name("aside")
    Path(token.tokens).rename(aside)
    module.run(accident)
    for _ in range(2):
        with pytest.raises(HsmUnavailable) as failure:
            kek.unwrap(wrapped, b"")
        assert token.module in str(failure.value)
        assert "CKR_" in str(failure.value) or "missing" in str(failure.value)
    with pytest.raises(HsmUnavailable):
        provider.sign(made, ES256, bytes(32))
    aside.rename(token.tokens)
    assert kek.unwrap(wrapped, b"") == bytes(32)
    assert provider.sign(made, ES256, bytes(32))
    module.close()


def test_one_process_does_not_mix_two_folders_of_tokens(token: HsmConfiguration, tmp_path: Path) -> None:
    other = initialise_token(tmp_path / "other", module=softhsm(), isolated=token.isolated).configuration
    first = Pkcs11Module.open(token)
    with pytest.raises(HsmUnavailable, match="already in use by this process with other tokens"):
        Pkcs11Module.open(other)
    again = Pkcs11Module.open(token)
    first.close()
    assert Pkcs11Keys(again).random(4)
    again.close()
    again.close()
    second = Pkcs11Module.open(other)
    assert Pkcs11Keys(second).random(4)
    second.close()


_WORKER = """
import sys
from pathlib import Path
from kvstack.hsm.configuration import read_configuration
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.pkcs11_kek import Pkcs11KeyEncryptionKey
from kvstack.hsm.protocol import KeyReference
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
wrapped = bytes.fromhex(sys.argv[2])
specification = KeySpecification("EC-HSM", None, "P-256")
for _ in range(4):
    module = Pkcs11Module.open(read_configuration(Path(sys.argv[1])))
    provider = Pkcs11Keys(module)
    assert Pkcs11KeyEncryptionKey(module).unwrap(wrapped, b"vault") == bytes(32)
    key = KeyReference("k", specification, provider.generate(specification))
    assert provider.sign(key, ALGORITHMS["ES256"], bytes(32))
    module.close()
"""


def test_four_processes_open_the_token_at_once(token: HsmConfiguration, tmp_path: Path) -> None:
    write_configuration(token, tmp_path / "hsm.json")
    module = Pkcs11Module.open(token)
    wrapped = Pkcs11KeyEncryptionKey(module).wrap(bytes(32), b"vault")
    command = [sys.executable, "-c", _WORKER, str(tmp_path / "hsm.json"), wrapped.hex()]
    environ = {**os.environ, "PYTHONPATH": _root()}
    workers = [subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert (worker.returncode, errors) == (0, "")
    module.close()


_FORK = """
import os, sys
from pathlib import Path
from kvstack.hsm.configuration import read_configuration
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.protocol import KeyReference
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
specification = KeySpecification("EC-HSM", None, "P-256")
module = Pkcs11Module.open(read_configuration(Path(sys.argv[1])))
provider = Pkcs11Keys(module)
key = KeyReference("k", specification, provider.generate(specification))

def works():
    return provider.verify(key, ALGORITHMS["ES256"], bytes(32), provider.sign(key, ALGORITHMS["ES256"], bytes(32)))

assert works()
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        good = works()
        module.close()
        os._exit(0 if good else 1)
    children.append(child)
assert works()
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
assert works()
module.close()
"""


def test_a_forked_child_connects_anew_and_its_parent_goes_on(token: HsmConfiguration, tmp_path: Path) -> None:
    write_configuration(token, tmp_path / "hsm.json")
    run = subprocess.run(
        [sys.executable, "-c", _FORK, str(tmp_path / "hsm.json")],
        env={**os.environ, "PYTHONPATH": _root()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_a_process_that_forgets_to_close_ends_well(token: HsmConfiguration, tmp_path: Path) -> None:
    write_configuration(token, tmp_path / "hsm.json")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kvstack.hsm.configuration import read_configuration\n"
        "from kvstack.hsm.module import Pkcs11Module\n"
        "module = Pkcs11Module.open(read_configuration(Path(sys.argv[1])))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "hsm.json")],
        env={**os.environ, "PYTHONPATH": _root()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_a_login_killed_while_it_rewrites_the_token_loses_nothing(token: HsmConfiguration) -> None:
    # SoftHSM empties token.object before it writes it: what kill -9 leaves there.
    (file,) = Path(token.tokens).glob("*/token.object")
    good = file.read_bytes()
    for damage in (b"", b""):
        file.write_bytes(damage)
        module = Pkcs11Module.open(token)
        assert Pkcs11KeyEncryptionKey(module).wrap(bytes(32), b"")
        module.close()
        assert len(file.read_bytes()) == len(good)


_LOGIN = """
import sys
from pathlib import Path
from kvstack.hsm.configuration import read_configuration
from kvstack.hsm.module import Pkcs11Module
configuration = read_configuration(Path(sys.argv[1]))
print(flush=True)
while True:
    Pkcs11Module.open(configuration).close()
"""


def test_logins_killed_at_any_instant_lose_nothing(token: HsmConfiguration, tmp_path: Path) -> None:
    write_configuration(token, tmp_path / "hsm.json")
    module = Pkcs11Module.open(token)
    wrapped = Pkcs11KeyEncryptionKey(module).wrap(bytes(32), b"vault")
    module.close()
    command = [sys.executable, "-c", _LOGIN, str(tmp_path / "hsm.json")]
    for _ in range(6):
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": _root()}, stdout=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            worker.stdout.readline()
            for _ in range(int.from_bytes(os.urandom(1), "big")):
                Path(token.tokens).stat()  # a moment of random length
            worker.kill()
        module = Pkcs11Module.open(token)
        assert Pkcs11KeyEncryptionKey(module).unwrap(wrapped, b"vault") == bytes(32)
        module.close()


def test_the_lock_file_of_a_folder_that_cannot_be_written_is_told(token: HsmConfiguration) -> None:
    with pytest.raises(HsmUnavailable, match="lock file /nowhere/lock cannot be opened"):
        Pkcs11Module.open(msgspec.structs.replace(token, lock="/nowhere/lock"))
