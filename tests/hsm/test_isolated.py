"""A module in a process of its own: no key is in the memory of who uses it, and the two live and end together."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.isolated.client import IsolatedCryptoki
from kvstack.hsm.isolated.process import ModuleProcess
from kvstack.hsm.isolated.wire import Lost
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.protocol import HsmUnavailable, KeyReference
from kvstack.terms.algorithm import algorithm
from kvstack.terms.key import KeySpecification
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.memory_twin import IMPORTING, SIGNING

pytestmark = requires_softhsm
ROOT = Path(__file__).parents[2]
SCANS = 12
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, which only Linux has")


def python(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def numbers(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Iterator[int]:
    if isinstance(private, rsa.RSAPrivateKey):
        yield from (private.private_numbers().p, private.private_numbers().q, private.private_numbers().d)
    else:
        yield private.private_numbers().private_value


def traces(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> list[bytes]:
    """Return 24 bytes out of the middle of each secret number, in both orders: a copy in part is found as well."""
    found = []
    for number in numbers(private):
        whole = number.to_bytes((number.bit_length() + 7) // 8, "big")
        middle = whole[len(whole) // 2 - 12 : len(whole) // 2 + 12]
        found += [middle, middle[::-1]]
    return found


def holds(process: int, patterns: list[bytes]) -> bool:
    """Tell whether the memory of a process that goes on meanwhile holds one of these."""
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if "r" not in rights or "[vvar" in line or "[vsyscall]" in line:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue  # it was given back meanwhile
            if any(pattern in content for pattern in patterns):
                return True
    return False


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_the_memory_of_who_signs_holds_no_key_where_the_module_is_isolated_and_does_where_not(
    tmp_path: Path, kind: str
) -> None:
    """The same scan of the same program, which proves the scan: a key whose private half is known was imported before,
    by another process."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    )
    pem = tmp_path / "twin.pem"
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    importing = python(IMPORTING, str(tmp_path), str(softhsm()), str(pem))
    importing.communicate()
    assert importing.returncode == 0
    patterns, found = traces(private), {}
    for how in ("here", "isolated"):
        signing = python(SIGNING, str(tmp_path), how)
        try:
            assert signing.stdout is not None
            assert signing.stdout.readline() == b"signing\n"
            instants = random.Random(7)
            seen = []
            for _ in range(SCANS):
                time.sleep(instants.uniform(0.0, 0.02))
                seen.append(holds(signing.pid, patterns))
            found[how] = seen
        finally:
            signing.kill()
            signing.communicate()
    assert any(found["here"])
    assert found["isolated"] == [False] * SCANS


@pytest.fixture
def isolated(token: HsmConfiguration) -> HsmConfiguration:
    return msgspec.structs.replace(token, isolated=True)


def gone(process: int) -> bool:
    """Tell whether a process that is not our child ends within 5 seconds."""
    for _ in range(100):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def process_of(module: Pkcs11Module) -> int:
    cryptoki = module.run(lambda connection: connection.cryptoki)
    assert isinstance(cryptoki, IsolatedCryptoki)
    return cryptoki.process


@LINUX
def test_the_pin_is_in_no_argument_and_no_environment(isolated: HsmConfiguration, tmp_path: Path) -> None:
    pin = Path(isolated.pin_source.file).read_text()
    os.environ["SOMEBODYS_PIN"] = pin
    try:
        module = Pkcs11Module.open(isolated)
    finally:
        del os.environ["SOMEBODYS_PIN"]
    process = process_of(module)
    assert pin not in Path(f"/proc/{process}/cmdline").read_text()
    environ = Path(f"/proc/{process}/environ")
    try:
        content = environ.read_bytes().decode()
    except PermissionError:
        content = ""  # nobody but root may even look
    assert pin not in content
    module.close()


def test_it_ends_with_its_last_user(isolated: HsmConfiguration) -> None:
    module = Pkcs11Module.open(isolated)
    process = process_of(module)
    module.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@LINUX
def test_it_ends_when_its_parent_is_killed(isolated: HsmConfiguration) -> None:
    program = (
        "import sys, time, msgspec\nfrom pathlib import Path\nfrom kvstack.hsm.configuration import HsmConfiguration\n"
        "from kvstack.hsm.module import Pkcs11Module\n"
        "module = Pkcs11Module.open(msgspec.json.decode(sys.argv[1], type=HsmConfiguration))\n"
        "print(module.run(lambda connection: connection.cryptoki.process), flush=True)\ntime.sleep(60)\n"
    )
    parent = python(program, msgspec.json.encode(isolated).decode())
    assert parent.stdout is not None
    process = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert gone(process)


@LINUX
def test_it_ends_when_its_parent_is_killed_that_has_forked_a_process_which_lives_on(isolated: HsmConfiguration) -> None:
    program = (
        "import os, sys, time, msgspec\nfrom kvstack.hsm.configuration import HsmConfiguration\n"
        "from kvstack.hsm.module import Pkcs11Module\n"
        "module = Pkcs11Module.open(msgspec.json.decode(sys.argv[1], type=HsmConfiguration))\n"
        "forked = os.fork()\n"
        "if forked: print(module.run(lambda connection: connection.cryptoki.process), forked, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = python(program, msgspec.json.encode(isolated).decode())
    assert parent.stdout is not None
    process, forked = map(int, parent.stdout.readline().split())
    try:
        parent.kill()
        parent.wait()
        assert gone(process)
    finally:
        os.kill(forked, signal.SIGKILL)
        parent.communicate()


def test_it_ends_with_its_last_user_at_once_though_a_fork_lives_on(isolated: HsmConfiguration) -> None:
    module = Pkcs11Module.open(isolated)
    process, forked = process_of(module), os.fork()
    if not forked:
        signal.pause()
    try:
        before = time.monotonic()
        module.close()
        assert time.monotonic() - before < 3  # seconds; one that would not go is killed after 5
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    finally:
        os.kill(forked, signal.SIGKILL)
        os.waitpid(forked, 0)


def test_a_call_that_finds_the_old_process_gone_late_leaves_the_new_one_alone(isolated: HsmConfiguration) -> None:
    old = ModuleProcess(isolated.module, ("PATH",))
    late = old.borrow()
    os.kill(old.number, signal.SIGKILL)
    new = ModuleProcess(isolated.module, ("PATH",))
    try:
        old.give_up(late)
        assert new.usable
        assert not old.usable
        with pytest.raises(Lost):
            old.borrow()
    finally:
        old.end()
        new.end()


@pytest.mark.parametrize(
    ("specification", "name"),
    [(KeySpecification("RSA-HSM", 2048, None), "RS256"), (KeySpecification("EC-HSM", None, "P-256"), "ES256")],
    ids=["RSA", "EC"],
)
def test_killed_again_and_again_while_threads_sign_every_signature_given_is_good(
    isolated: HsmConfiguration, specification: KeySpecification, name: str
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    module = Pkcs11Module.open(isolated)
    keys, how = Pkcs11Keys(module), algorithm(name, "sign")
    key = KeyReference("signing", specification, keys.generate(specification))

    def signatures(_: int) -> tuple[int, int]:
        good, lost, end = 0, 0, time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                signature = keys.sign(key, how, bytes(32))
            except HsmUnavailable:
                lost += 1  # twice in a row: its second process was killed as well
                continue
            assert keys.verify(key, how, bytes(32), signature)
            good += 1
        return good, lost

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(signatures, number) for number in range(4)]
        instants = random.Random(11)
        for _ in range(4):
            time.sleep(instants.uniform(0.1, 0.3))
            process = process_of(module)
            if process:
                os.kill(process, signal.SIGKILL)
        done = [one.result() for one in working]
    assert all(good for good, _ in done)
    keys.sign(key, how, bytes(32))
    module.close()


def test_killed_while_threads_work_it_is_started_again_and_nobody_notices_for_long(isolated: HsmConfiguration) -> None:
    from concurrent.futures import ThreadPoolExecutor

    module = Pkcs11Module.open(isolated)
    keys = Pkcs11Keys(module)

    def draw(_: int) -> int:
        for _ in range(3):
            try:
                return len(keys.random(16))
            except HsmUnavailable:
                continue  # lost twice in a row: the second one was killed as well
        return 0

    with ThreadPoolExecutor(4) as pool:
        drawn = pool.map(draw, range(200))
        os.kill(process_of(module), signal.SIGKILL)
        assert set(drawn) == {16}
    module.close()


def test_a_module_that_cannot_be_loaded_is_told(isolated: HsmConfiguration, tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    with pytest.raises(HsmUnavailable, match=r"cannot be loaded|cannot be started"):
        Pkcs11Module.open(msgspec.structs.replace(isolated, module=str(broken)))
    with pytest.raises(HsmUnavailable, match="is not there"):
        Pkcs11Module.open(msgspec.structs.replace(isolated, module=str(tmp_path / "nothing.so")))
