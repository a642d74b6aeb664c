"""What keys and secrets cost through VaultService, next to raw `cryptography` and raw PKCS#11 on the same keys."""

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.figures import Operation, Operations, SecretsAt

if TYPE_CHECKING:
    from kvstack.hsm.connection import Connection
    from kvstack.terms.key import KeySpecification
    from kvstack.vault.service import VaultService

ROUNDS = 3
_SECONDS = 0.12  # of a round
_VAULT = "benchmark"
_TEXT = bytes(32)
_MANY_KEYS = 100_000

Work = Callable[[], object]
Row = tuple[str, Work, Work | None]


def operations(environment: Mapping[str, str], work: Path) -> Operations | str:
    """Measure in a process of its own. Returns the figures, or why there are none."""
    folder = work / "operations"
    folder.mkdir()
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.operations", str(folder)],
        cwd=Path(__file__).parents[1],
        env=dict(environment),
        capture_output=True,
        check=False,
    )
    if printed.returncode:
        return (printed.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
    return msgspec.json.decode(printed.stdout, type=Operations)


def main(folder: Path) -> Operations:
    """Make a vault with an HSM, and measure in it."""
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.service import VaultService

    unlocked = initialise(folder, hsm=True, prepare=initialise_access)
    try:
        service = VaultService(unlocked)
        service.create_vault(service.operator, _VAULT, sku="premium")
        rows = tuple(_measured(*row) for row in (*_software(service), *_in_hsm(service)))
        return Operations(rows, _creation(service), tuple(_secrets(service)), *_with_many_keys(service, folder))
    finally:
        unlocked.close()


def per_second(work: Work, threads: int, seconds: float = _SECONDS) -> float:
    """Return how often a second something is done."""
    done = [0] * threads
    end = time.perf_counter() + seconds

    def worker(place: int) -> None:
        while time.perf_counter() < end:
            work()
            done[place] += 1

    start = time.perf_counter()
    if threads == 1:
        worker(0)
    else:
        workers = [threading.Thread(target=worker, args=(place,)) for place in range(threads)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
    return sum(done) / (time.perf_counter() - start)


def _measured(name: str, ours: Work, raw: Work | None) -> Operation:
    """Measure both in turns (A B A B), by one thread and by eight."""
    both: dict[tuple[bool, int], list[float]] = {}
    for work in (ours, raw):
        if work is not None:
            work()  # whatever is made at the first use is warm
    for _ in range(ROUNDS):
        for threads in (1, 8):
            for is_raw, work in ((False, ours), (True, raw)):
                if work is not None:
                    both.setdefault((is_raw, threads), []).append(per_second(work, threads))
    median = {which: statistics.median(samples) for which, samples in both.items()}
    return Operation(name, median[False, 1], median[False, 8], median.get((True, 1)), median.get((True, 8)))


# Keys the vault keeps, beside `cryptography`


def _software(service: "VaultService") -> Iterator[Row]:
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

    from kvstack.hsm.plain_key import of_oct, of_private, post_quantum_key

    operator = service.operator
    key = rsa.generate_private_key(65537, 2048)
    keys: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
        ("RSA 2048", key, ("RS256", "RS512", "PS256", "PS512")),
        ("P-256", ec.generate_private_key(ec.SECP256R1()), ("ES256",)),
        ("P-384", ec.generate_private_key(ec.SECP384R1()), ("ES384",)),
        ("P-521", ec.generate_private_key(ec.SECP521R1()), ("ES512",)),
        ("P-256K", ec.generate_private_key(ec.SECP256K1()), ("ES256K",)),
        ("ML-DSA-65", post_quantum_key("ML-DSA-65"), ("ML-DSA-65",)),
    )
    for title, private, names in keys:
        made = service.import_key(operator, _VAULT, f"software-{title.replace(' ', '-')}", of_private(private)).name
        for algorithm in names:
            yield from _signing(service, f"{title} {algorithm}", made, algorithm, *_raw_signing(private, algorithm))
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    sealed = key.public_key().encrypt(_TEXT, oaep)
    raw: tuple[Work, Work] = (lambda: key.public_key().encrypt(_TEXT, oaep), lambda: key.decrypt(sealed, oaep))
    yield from _closing(service, "RSA 2048 RSA-OAEP-256", "software-RSA-2048", "RSA-OAEP-256", *raw)
    secret, vector = os.urandom(32), os.urandom(12)
    service.import_key(operator, _VAULT, "software-oct", of_oct(secret))
    gcm, wrapped = AESGCM(secret), aes_key_wrap(secret, _TEXT)
    shut = gcm.encrypt(vector, _TEXT, None)
    raw = (lambda: AESGCM(secret).encrypt(os.urandom(12), _TEXT, None), lambda: gcm.decrypt(vector, shut, None))
    yield from _closing(service, "oct 256 A256GCM", "software-oct", "A256GCM", *raw)
    raw = (lambda: aes_key_wrap(secret, _TEXT), lambda: aes_key_unwrap(secret, wrapped))
    yield from _wrapping(service, "oct 256 A256KW", "software-oct", "A256KW", *raw)


def _raw_signing(private: Any, algorithm: str) -> tuple[Work, Work]:
    """Return signing and verifying by `cryptography` alone."""
    from kvstack.terms.algorithm import ALGORITHMS

    used = ALGORITHMS[algorithm]
    if used.family == "ML-DSA":
        mu, public = bytes(64), private.public_key()
        made = private.sign_mu(mu)
        return lambda: private.sign_mu(mu), lambda: public.verify_mu(made, mu)
    how, digest = _how(algorithm), _digest(algorithm)
    made = private.sign(digest, *how)
    return lambda: private.sign(digest, *how), _raw_verifying(private.public_key(), algorithm, made)


def _raw_verifying(public: Any, algorithm: str, made: bytes) -> Work:

    how, digest = _how(algorithm), _digest(algorithm)
    return lambda: public.verify(made, digest, *how)


def _digest(algorithm: str) -> bytes:
    """Return a digest of the length an algorithm signs; ML-DSA signs a representative of 64 bytes."""
    from kvstack.terms.algorithm import ALGORITHMS

    return bytes(ALGORITHMS[algorithm].digest_bytes or 64)


def _how(algorithm: str) -> tuple[Any, ...]:
    from cryptography.hazmat.primitives.asymmetric import ec

    from kvstack.hsm.public_half import prehashed, rsa_padding
    from kvstack.terms.algorithm import ALGORITHMS

    used = ALGORITHMS[algorithm]
    return (ec.ECDSA(prehashed(used)),) if used.family == "EC" else (rsa_padding(used), prehashed(used))


# Keys in the HSM, beside PKCS#11 calls on the handles the vault holds open


def _in_hsm(service: "VaultService") -> Iterator[Row]:
    from kvstack.hsm.cryptoki import gcm
    from kvstack.hsm.mechanisms import rsa_decryption, signing
    from kvstack.terms.algorithm import ALGORITHMS
    from kvstack.terms.key import specification
    from kvstack.terms.secret import SecretValue

    operator, text = service.operator, SecretValue(_TEXT)
    kinds: tuple[tuple[str, KeySpecification, tuple[str, ...]], ...] = (
        ("RSA-HSM 2048", specification("RSA-HSM", 2048, None), ("RS256", "RS512", "PS256", "PS512")),
        ("EC-HSM P-256", specification("EC-HSM", None, "P-256"), ("ES256",)),
        ("EC-HSM P-384", specification("EC-HSM", None, "P-384"), ("ES384",)),
        ("EC-HSM P-521", specification("EC-HSM", None, "P-521"), ("ES512",)),
    )
    for title, wanted, names in kinds:
        name = f"hsm-{title.replace(' ', '-')}"
        service.create_key(operator, _VAULT, name, specification=wanted)
        for algorithm in names:
            how, digest = signing(ALGORITHMS[algorithm]), _digest(algorithm)
            service.sign(operator, _VAULT, name, algorithm=algorithm, digest=digest)
            raw = _with_handle(service, name)(
                lambda cryptoki, session, handle, how=how, digest=digest: cryptoki.sign(
                    session, how.mechanism, handle, how.prefix + digest, how.room
                )
            )
            yield from _signing(service, f"{title} {algorithm}", name, algorithm, raw, None)
    for algorithm in ("RSA-OAEP", "RSA1_5"):
        _, method = rsa_decryption(ALGORITHMS[algorithm])
        sealed = service.encrypt(operator, _VAULT, "hsm-RSA-HSM-2048", algorithm=algorithm, plaintext=text).ciphertext
        service.decrypt(operator, _VAULT, "hsm-RSA-HSM-2048", algorithm=algorithm, ciphertext=sealed)
        raw = _with_handle(service, "hsm-RSA-HSM-2048")(
            lambda cryptoki, session, handle, method=method, sealed=sealed: cryptoki.decrypt(
                session, method, handle, sealed
            )
        )
        yield from _closing(service, f"RSA-HSM 2048 {algorithm}", "hsm-RSA-HSM-2048", algorithm, None, raw)
    service.create_key(operator, _VAULT, "hsm-oct", specification=specification("oct-HSM", 256, None))
    vector = os.urandom(12)
    shut = service.encrypt(operator, _VAULT, "hsm-oct", algorithm="A256GCM", plaintext=text, iv=vector)
    by_handle = _with_handle(service, "hsm-oct")
    yield from _closing(
        service,
        "oct-HSM 256 A256GCM",
        "hsm-oct",
        "A256GCM",
        by_handle(lambda module, session, handle: module.encrypt(session, gcm(os.urandom(12), b""), handle, _TEXT)),
        by_handle(
            lambda module, session, handle: module.decrypt(
                session, gcm(shut.iv, b""), handle, shut.ciphertext + shut.tag
            )
        ),
    )
    yield from _wrapping(service, "oct-HSM 256 A256KW", "hsm-oct", "A256KW", None, None)


def _with_handle(service: "VaultService", name: str) -> Callable[[Callable[..., object]], Work]:
    """Return what calls PKCS#11 with the handle the vault holds open: a session a thread, and nothing else."""
    connection: Connection = service._providers["pkcs11"]._module._current()  # type: ignore[attr-defined]
    handle = next(
        key.handle for identity, key in reversed(connection.open_keys._open.items()) if f"/{name.lower()}/" in identity
    )
    local = threading.local()

    def bound(call: Callable[..., object]) -> Work:
        def work() -> object:
            session = getattr(local, "session", None)
            if session is None:
                session = local.session = connection.cryptoki.open_session(connection.token.slot)
            return call(connection.cryptoki, session, handle)

        return work

    return bound


# The vault's side


def _signing(
    service: "VaultService", title: str, name: str, algorithm: str, raw: Work | None, raw_verify: Work | None
) -> Iterator[Row]:

    operator = service.operator
    digest = _digest(algorithm)
    made = service.sign(operator, _VAULT, name, algorithm=algorithm, digest=digest).value
    yield (
        f"{title} sign",
        lambda: service.sign(operator, _VAULT, name, algorithm=algorithm, digest=digest),
        raw,
    )
    yield (
        f"{title} verify",
        lambda: service.verify(operator, _VAULT, name, algorithm=algorithm, digest=digest, signature=made),
        raw_verify,
    )


def _closing(
    service: "VaultService", title: str, name: str, algorithm: str, raw: Work | None, raw_open: Work | None
) -> Iterator[Row]:
    from kvstack.terms.secret import SecretValue

    operator, text = service.operator, SecretValue(_TEXT)
    made = service.encrypt(operator, _VAULT, name, algorithm=algorithm, plaintext=text)
    yield (
        f"{title} encrypt",
        lambda: service.encrypt(operator, _VAULT, name, algorithm=algorithm, plaintext=text),
        raw,
    )
    yield (
        f"{title} decrypt",
        lambda: service.decrypt(
            operator, _VAULT, name, algorithm=algorithm, ciphertext=made.ciphertext, iv=made.iv, tag=made.tag
        ),
        raw_open,
    )


def _wrapping(
    service: "VaultService", title: str, name: str, algorithm: str, raw: Work | None, raw_open: Work | None
) -> Iterator[Row]:
    from kvstack.terms.secret import SecretValue

    operator, text = service.operator, SecretValue(_TEXT)
    made = service.wrap_key(operator, _VAULT, name, algorithm=algorithm, key=text).ciphertext
    yield (
        f"{title} wrap",
        lambda: service.wrap_key(operator, _VAULT, name, algorithm=algorithm, key=text),
        raw,
    )
    yield (
        f"{title} unwrap",
        lambda: service.unwrap_key(operator, _VAULT, name, algorithm=algorithm, wrapped=made),
        raw_open,
    )


# Many of them


def _creation(service: "VaultService") -> float:
    """Return how many seconds 1,000 wrapped keys in the HSM take, in one batch."""
    from kvstack.terms.key import specification

    start, wanted = time.perf_counter(), specification("EC-HSM", None, None)
    with service.batch():
        for number in range(1000):
            service.create_key(service.operator, _VAULT, f"made-{number}", specification=wanted)
    return time.perf_counter() - start


def _secrets(service: "VaultService") -> Iterator[SecretsAt]:
    """Yield secrets read and set a second as their number grows; set one by one, by 8 threads that share flushes, and
    in groups of 100."""
    from kvstack.terms.secret import SecretValue

    operator, value, there = service.operator, SecretValue(b"x" * 32), 0
    for count in (10, 10_000, 100_000):
        while there < count:
            with service.batch():
                for _ in range(min(1000, count - there)):
                    service.set_secret(operator, _VAULT, f"s-{there}", value)
                    there += 1
        get: Work = lambda: service.get_secret(operator, _VAULT, "s-5")  # noqa: E731
        put: Work = lambda: service.set_secret(operator, _VAULT, "s-5", value)  # noqa: E731
        yield SecretsAt(
            count,
            get=statistics.median(per_second(get, 1) for _ in range(ROUNDS)),
            set=statistics.median(per_second(put, 1) for _ in range(ROUNDS)),
            set_by_8=statistics.median(per_second(put, 8) for _ in range(ROUNDS)),
            grouped=statistics.median(_grouped(service, count) for _ in range(ROUNDS)),
        )


def _grouped(service: "VaultService", count: int) -> float:
    from kvstack.terms.secret import SecretValue

    start = time.perf_counter()
    with service.batch():
        for number in range(100):
            service.set_secret(service.operator, _VAULT, f"s-{number % count}", SecretValue(b"y" * 32))
    return 100 / (time.perf_counter() - start)


def _with_many_keys(service: "VaultService", folder: Path) -> tuple[float, float]:
    """Return the peak memory (MiB) of a process that opens a vault of 100,000 keys and uses a thousand of them, and of
    one that lists them all."""
    from kvstack.terms.key import specification

    wanted = specification("oct", 256, None)
    service.create_vault(service.operator, "crowded", sku="premium")
    for start in range(0, _MANY_KEYS, 1000):
        with service.batch():
            for number in range(start, start + 1000):
                service.create_key(service.operator, "crowded", f"k-{number}", specification=wanted)
    used, listed = (
        float(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.operations", str(folder), what], check=True, capture_output=True
            ).stdout
        )
        for what in ("used", "listed")
    )
    return used, listed


def memory(folder: Path, what: str) -> float:
    """Return this process's peak memory (MiB) once it has used a thousand keys, or listed all."""
    from kvstack.terms.secret import SecretValue
    from kvstack.vault.service import VaultService
    from kvstack.vault.unlock import unlock

    unlocked = unlock(folder)
    service = VaultService(unlocked)
    if what == "listed":
        assert len(service.list_keys(service.operator, "crowded")) == _MANY_KEYS
    else:
        for number in range(0, _MANY_KEYS, _MANY_KEYS // 1000):
            service.wrap_key(
                service.operator, "crowded", f"k-{number}", algorithm="A256KW", key=SecretValue(os.urandom(32))
            )
    unlocked.close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(memory(Path(sys.argv[1]), sys.argv[2]))
    else:
        sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]))))
