"""A program of its own: opens a vault, uses keys, and writes out every byte and number Python can reach in it.

It never knows the secrets, which are then searched for by who started it: only so is what it finds not its own.
Arguments: the folder, then the names of the keys.
"""

import ctypes
import gc
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from kvstack.terms.secret import SecretValue
from kvstack.vault.initialise import unlock
from kvstack.vault.service import VaultService

SHORTEST = 12


def use(service: VaultService, name: str) -> None:
    """Sign, or encrypt and decrypt, with a key."""
    operator = service.operator
    family = service.get_key(operator, "safe", name).specification.family
    digest = hashlib.sha256(b"message").digest()
    if family == "oct":
        made = service.encrypt(operator, "safe", name, algorithm="A256GCM", plaintext=SecretValue("text"))
        back = service.decrypt(
            operator, "safe", name, algorithm="A256GCM", ciphertext=made.ciphertext, iv=made.iv, tag=made.tag
        )
        assert back.value.reveal() == b"text"
        return
    algorithm = "RS256" if family == "RSA" else "ES256"
    assert service.sign(operator, "safe", name, algorithm=algorithm, digest=digest).value


def reachable() -> Iterator[object]:
    """Yield every object the collector knows, and what those hold: numbers and bytes it does not know by themselves."""
    waiting: list[object] = [*gc.get_objects(), *sys._current_frames().values()]
    seen = {id(waiting)}
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += gc.get_referents(one)


def content(one: object) -> bytes:
    """Return the bytes of an object that has some."""
    match one:
        case bytes() | bytearray():
            return bytes(one)
        case memoryview():
            return one.tobytes()
        case str():
            return one.encode(errors="surrogatepass")
        case bool():
            return b""
        case int():
            return abs(one).to_bytes((one.bit_length() + 7) // 8, "big")
        case ctypes.Array():
            return bytes(memoryview(one).cast("B"))
        case _:
            return b""


def main(folder: str, *names: str) -> None:
    """Use the keys, then write everything out."""
    unlocked = unlock(Path(folder))
    service = VaultService(unlocked)
    for name in names:
        use(service, name)
    out = sys.stdout.buffer
    for one in reachable():
        found = content(one)
        if len(found) >= SHORTEST:
            out.write(found + b"\n")
    out.flush()
    unlocked.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
