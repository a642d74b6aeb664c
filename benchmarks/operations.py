"""What keys and secrets cost through VaultService, next to raw `cryptography` and raw PKCS#11, by 1 and by 8 threads.

`python -m benchmarks.operations [SECONDS]`: seconds a figure, 0.3 by default; all of it takes some two minutes.
"""

import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kvstack.hsm.connection import Connection
    from kvstack.vault.service import VaultService

_DIGEST = bytes(range(32))
_TEXT = bytes(32)
_VAULT = "benchmark"

Work = Callable[[], object]
Row = tuple[str, Work, Work | None]


def per_second(work: Work, threads: int, seconds: float) -> float:
    """Return how often a second something is done."""
    work()
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


def main(seconds: float) -> None:
    """Measure and print."""
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.service import VaultService

    with tempfile.TemporaryDirectory() as folder:
        unlocked = initialise(Path(folder), hsm=True, prepare=initialise_access)
        service = VaultService(unlocked)
        service.create_vault(service.operator, _VAULT, sku="premium")
        print("| operation | by VaultService, 1 thread | raw, 1 thread | share | by VaultService, 8 | raw, 8 |")
        print("|---|---|---|---|---|---|")
        for name, ours, raw in (*_software(service), *_in_hsm(service)):
            figures = [per_second(ours, threads, seconds) for threads in (1, 8)]
            beside = [per_second(raw, threads, seconds) if raw is not None else 0.0 for threads in (1, 8)]
            share = f"{figures[0] / beside[0]:.2f}" if beside[0] else ""
            shown = [f"{value:,.0f}/s" if value else "" for value in (figures[0], beside[0], figures[1], beside[1])]
            print(f"| {name} | {shown[0]} | {shown[1]} | {share} | {shown[2]} | {shown[3]} |", flush=True)
        _creation(service)
        _secrets(service, seconds)
        unlocked.close()


def _software(service: "VaultService") -> Iterator[Row]:
    """Yield what is done by keys the vault keeps, and the same by `cryptography`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap

    from kvstack.hsm.plain_key import of_oct, of_private, post_quantum_key

    operator = service.operator
    for private, names in (
        (_rsa(), ("RS256", "PS256")),
        (_ec(), ("ES256",)),
        (post_quantum_key("ML-DSA-65"), ("ML-DSA-65",)),
    ):
        made = service.import_key(operator, _VAULT, f"software-{names[0]}", of_private(private))
        for algorithm in names:
            yield from _signing(service, made.name, algorithm, *_raw(private, algorithm))
    secret = os.urandom(32)
    service.import_key(operator, _VAULT, "software-oct", of_oct(secret))
    encrypted: Work = lambda: AESGCM(secret).encrypt(os.urandom(12), _TEXT, None)  # noqa: E731
    yield from _closing(service, "software-oct", encrypted, lambda: aes_key_wrap(secret, _TEXT))


def _in_hsm(service: "VaultService") -> Iterator[Row]:
    """Yield what is done by keys in the HSM, and the same by PKCS#11 calls on the same keys, opened already."""
    from kvstack.hsm.mechanisms import signing
    from kvstack.terms.algorithm import ALGORITHMS
    from kvstack.terms.key import KeyType, specification

    operator = service.operator
    kinds: tuple[tuple[KeyType, tuple[str, ...]], ...] = (("RSA-HSM", ("RS256", "PS256")), ("EC-HSM", ("ES256",)))
    for key_type, names in kinds:
        name = f"hsm-{key_type}"
        service.create_key(operator, _VAULT, name, specification=specification(key_type, None, None))
        for algorithm in names:
            service.sign(operator, _VAULT, name, algorithm=algorithm, digest=_DIGEST)
            how = signing(ALGORITHMS[algorithm])
            with_handle = _with_handle(service, name)
            raw = with_handle(
                lambda cryptoki, session, handle, how=how: cryptoki.sign(
                    session, how.mechanism, handle, how.prefix + _DIGEST, how.room
                )
            )
            yield from _signing(service, name, algorithm, raw, None)
    service.create_key(operator, _VAULT, "hsm-oct", specification=specification("oct-HSM", 256, None))
    yield from _closing(service, "hsm-oct", None, None)


def _signing(service: "VaultService", name: str, algorithm: str, raw: Work, raw_verify: Work | None) -> Iterator[Row]:
    operator = service.operator
    digest = bytes(64) if algorithm.startswith("ML-DSA") else _DIGEST
    made = service.sign(operator, _VAULT, name, algorithm=algorithm, digest=digest).value
    yield (
        f"{name} {algorithm} sign",
        lambda: service.sign(operator, _VAULT, name, algorithm=algorithm, digest=digest),
        raw,
    )
    yield (
        f"{name} {algorithm} verify",
        lambda: service.verify(operator, _VAULT, name, algorithm=algorithm, digest=digest, signature=made),
        raw_verify,
    )


def _closing(service: "VaultService", name: str, encrypted: Work | None, wrapped: Work | None) -> Iterator[Row]:
    from kvstack.terms.secret import SecretValue

    operator, text = service.operator, SecretValue(_TEXT)
    yield (
        f"{name} A256GCM encrypt",
        lambda: service.encrypt(operator, _VAULT, name, algorithm="A256GCM", plaintext=text),
        encrypted,
    )
    yield (
        f"{name} A256KW wrap",
        lambda: service.wrap_key(operator, _VAULT, name, algorithm="A256KW", key=text),
        wrapped,
    )


def _raw(private: Any, algorithm: str) -> tuple[Work, Work]:
    """Return signing and verifying by `cryptography` alone."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from kvstack.hsm.public_half import prehashed, rsa_padding
    from kvstack.terms.algorithm import ALGORITHMS

    public, used = private.public_key(), ALGORITHMS[algorithm]
    if used.family == "ML-DSA":
        made = private.sign_mu(bytes(64))
        return lambda: private.sign_mu(bytes(64)), lambda: public.verify_mu(made, bytes(64))
    how = (ec.ECDSA(prehashed(used)),) if used.family == "EC" else (rsa_padding(used), prehashed(used))
    made = private.sign(_DIGEST, *how)
    return lambda: private.sign(_DIGEST, *how), lambda: public.verify(made, _DIGEST, *how)


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


def _creation(service: "VaultService") -> None:
    from kvstack.terms.key import specification

    start, wanted = time.perf_counter(), specification("EC-HSM", None, None)
    with service.batch():
        for number in range(1000):
            service.create_key(service.operator, _VAULT, f"made-{number}", specification=wanted)
    print(f"\n1,000 wrapped EC-HSM keys in one batch: {time.perf_counter() - start:.1f} s")


def _secrets(service: "VaultService", seconds: float) -> None:
    """Print secrets read and set a second as their number grows; sets one by one, and in groups of 100."""
    from kvstack.terms.secret import SecretValue

    print("\n| secrets | get | set | set in groups of 100 | memory |\n|---|---|---|---|---|")
    operator, value, there = service.operator, SecretValue(b"x" * 32), 0
    for count in (10, 10_000, 100_000):
        while there < count:
            with service.batch():
                for _ in range(min(1000, count - there)):
                    service.set_secret(operator, _VAULT, f"s-{there}", value)
                    there += 1
        got = per_second(lambda: service.get_secret(operator, _VAULT, "s-5"), 1, seconds)
        one = per_second(lambda: service.set_secret(operator, _VAULT, "s-5", value), 1, seconds)
        start = time.perf_counter()
        with service.batch():
            for number in range(100):
                service.set_secret(operator, _VAULT, f"s-{number % count}", value)
        grouped = 100 / (time.perf_counter() - start)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"| {count:,} | {got:,.0f}/s | {one:,.0f}/s | {grouped:,.0f}/s | {memory} MiB |", flush=True)


def _rsa() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 2048)


def _ec() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.3)
