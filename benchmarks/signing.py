"""RSA-2048 signatures through VaultService, next to the same by raw PKCS#11, in one process and on one token."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.figures import Signing

if TYPE_CHECKING:
    from kvstack.hsm.module import Pkcs11Module

_ROUND_SECONDS = 1.0
_DIGEST = bytes(range(32))
# The DER of a DigestInfo for SHA-256, which raw PKCS#11 leaves to the caller. Source: RFC 8017, 9.2, note 1.
_SHA_256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def signing(environment: Mapping[str, str], work: Path, *, rounds: int) -> Signing | str:
    """Measure in a process of its own. Returns signatures a second, or why there are none."""
    folder = work / "signing"
    folder.mkdir()
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.signing", str(folder), str(rounds)],
        cwd=Path(__file__).parents[1],
        env=dict(environment),
        capture_output=True,
        check=False,
    )
    if printed.returncode:
        return (printed.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
    return msgspec.json.decode(printed.stdout, type=Signing)


def main(folder: Path, rounds: int) -> Signing:
    """Make a vault with an HSM and a key in it, and sign in turns (A B A B)."""
    from kvstack.hsm.configuration import read_configuration as hsm_configuration
    from kvstack.hsm.module import Pkcs11Module
    from kvstack.terms.key import specification
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.layout import read_configuration
    from kvstack.vault.service import VaultService

    unlocked = initialise(folder, hsm=True, prepare=initialise_access)
    paths = unlocked.paths
    module = Pkcs11Module.open(hsm_configuration(paths.root / read_configuration(paths).file), os.environ)
    try:
        service = VaultService(unlocked)
        operator = service.operator
        service.create_vault(operator, "benchmark", sku="premium")
        service.create_key(operator, "benchmark", "signing", specification=specification("RSA-HSM", 2048, None))
        return _in_turns(
            rounds,
            service=lambda: service.sign(operator, "benchmark", "signing", algorithm="RS256", digest=_DIGEST),
            raw=raw_signing(module),
        )
    finally:
        module.close()
        unlocked.close()


def _in_turns(rounds: int, *, service: Callable[[], object], raw: Callable[[], object]) -> Signing:
    service()  # opens the key's handle
    raw()
    taken = [(_per_second(service), _per_second(raw)) for _ in range(rounds)]
    return Signing(
        service=statistics.median(through for through, _ in taken),
        raw=statistics.median(through for _, through in taken),
        rounds=rounds,
    )


def raw_signing(module: "Pkcs11Module") -> Callable[[], object]:
    """Return C_SignInit and C_Sign with a key of the module's own, in a session that is open: nothing else is done."""
    from kvstack.hsm import constants as ck
    from kvstack.hsm.connection import Connection
    from kvstack.hsm.cryptoki import mechanism

    method = mechanism(ck.CKM_RSA_PKCS)
    data = _SHA_256_INFO + _DIGEST

    def signer(connection: Connection) -> Callable[[], object]:
        cryptoki, session = connection.cryptoki, connection.sessions.borrow()
        _, private = cryptoki.generate_pair(
            session,
            mechanism(ck.CKM_RSA_PKCS_KEY_PAIR_GEN),
            {
                ck.CKA_TOKEN: False,
                ck.CKA_VERIFY: True,
                ck.CKA_MODULUS_BITS: 2048,
                ck.CKA_PUBLIC_EXPONENT: b"\x01\x00\x01",
            },
            {ck.CKA_TOKEN: False, ck.CKA_PRIVATE: True, ck.CKA_SENSITIVE: True, ck.CKA_SIGN: True},
        )
        return lambda: cryptoki.sign(session, method, private, data, 256)

    return module.run(signer)


def _per_second(sign: Callable[[], object]) -> float:
    start = time.perf_counter()
    count = 0
    while (elapsed := time.perf_counter() - start) < _ROUND_SECONDS:
        sign()
        count += 1
    return count / elapsed


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]), int(sys.argv[2]))))
