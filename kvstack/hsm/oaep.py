"""Taking OAEP padding off where a module decrypts RSA but does not know the hash. Source: RFC 8017, 7.1.2."""

import hashlib
import hmac

from kvstack.hsm.protocol import DecryptionFailed

_HASH_BYTES = 32
_EMPTY_LABEL = hashlib.sha256(b"").digest()


def unpadded(encoded: bytes) -> bytes:
    """Return the message in an OAEP encoding with SHA-256 and an empty label. Raises DecryptionFailed.

    Every byte is looked at whatever it is, and there is one error at the end, so that neither answer nor path tells
    which check failed (Manger's attack). Python's arithmetic does not promise constant time: `oaep_in_software: false`
    in the HSM's configuration switches this off.
    """
    seed = _exclusive_or(encoded[1 : 1 + _HASH_BYTES], _mask(encoded[1 + _HASH_BYTES :], _HASH_BYTES))
    data = _exclusive_or(encoded[1 + _HASH_BYTES :], _mask(seed, len(encoded) - 1 - _HASH_BYTES))
    wrong = encoded[0] | (not hmac.compare_digest(data[:_HASH_BYTES], _EMPTY_LABEL))
    looking, start = 1, 0
    for index in range(_HASH_BYTES, len(data)):
        is_one = ((data[index] ^ 1) - 1) >> 8 & 1
        is_zero = (data[index] - 1) >> 8 & 1
        start |= -(looking & is_one) & (index + 1)
        wrong |= looking & ~(is_one | is_zero) & 1
        looking &= is_one ^ 1
    if wrong | looking:
        raise DecryptionFailed
    return data[start:]


def _mask(seed: bytes, length: int) -> bytes:
    """MGF1 with SHA-256."""
    blocks = range(-(-length // _HASH_BYTES))
    return b"".join(hashlib.sha256(seed + block.to_bytes(4, "big")).digest() for block in blocks)[:length]


def _exclusive_or(one: bytes, two: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(two, "big")).to_bytes(len(one), "big")
