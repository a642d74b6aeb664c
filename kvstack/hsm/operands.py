"""What an algorithm takes besides the key: lengths of plaintexts and initialisation vectors."""

from collections.abc import Callable

from kvstack.hsm.protocol import DecryptionFailed, InputUnfit
from kvstack.terms.algorithm import Algorithm
from kvstack.terms.key import KeySpecification

TAG_BYTES = 16
_KEM_CIPHERTEXT_BYTES = {"ML-KEM-768": 1088, "ML-KEM-1024": 1568}  # FIPS 203, table 3
_OAEP_HASH_BYTES = {"SHA-1": 20, "SHA-256": 32}


def iv_bytes(algorithm: Algorithm) -> int:
    """Return how long the algorithm's initialisation vector is; 0 for one that has none."""
    if algorithm.name.endswith("GCM"):
        return 12
    return 16 if "CBC" in algorithm.name else 0


def zero_padded(plaintext: bytes) -> bytes:
    """Return a plaintext filled up with zeros to whole blocks, as Azure does for CBC without padding."""
    return plaintext + bytes(-len(plaintext) % 16)


def encryption_iv(algorithm: Algorithm, given: bytes, draw: Callable[[int], bytes]) -> bytes:
    """Return the vector given, or a fresh one. Raises InputUnfit for one of another length."""
    length = iv_bytes(algorithm)
    if given and len(given) != length:
        raise InputUnfit(
            f"{algorithm.name} takes an initialisation vector of {length} bytes, this one has {len(given)}"
            if length
            else f"{algorithm.name} takes no initialisation vector"
        )
    return given or (draw(length) if length else b"")


def check_plaintext(algorithm: Algorithm, specification: KeySpecification, plaintext: bytes) -> None:
    """Raise InputUnfit for a plaintext of a length the algorithm cannot encrypt."""
    if algorithm.family == "RSA":
        modulus = (specification.size or 0) // 8
        most = modulus - 11 if algorithm.digest is None else modulus - 2 * _OAEP_HASH_BYTES[algorithm.digest] - 2
        if len(plaintext) > most:
            raise InputUnfit(
                f"{algorithm.name} with a key of {specification.size} bits encrypts at most {most} bytes, "
                f"these are {len(plaintext)}"
            )
    elif algorithm.name.endswith("KW") and (len(plaintext) < 16 or len(plaintext) % 8):
        raise InputUnfit(f"{algorithm.name} wraps 16, 24, 32, ... bytes, these are {len(plaintext)}")
    elif algorithm.name.endswith("CBC") and not plaintext:
        raise InputUnfit(f"{algorithm.name} encrypts at least one byte")


def check_ciphertext(
    algorithm: Algorithm, specification: KeySpecification, ciphertext: bytes, iv: bytes, tag: bytes
) -> None:
    """Raise DecryptionFailed for what cannot have come from `encrypt`."""
    if algorithm.family == "RSA":
        fits = len(ciphertext) == (specification.size or 0) // 8
    elif algorithm.name.endswith("KW"):
        fits = len(ciphertext) >= 24 and len(ciphertext) % 8 == 0
    elif algorithm.name.endswith("GCM"):
        fits = len(iv) == 12 and len(tag) == TAG_BYTES
    elif algorithm.family == "ML-KEM":
        fits = len(ciphertext) == _KEM_CIPHERTEXT_BYTES[algorithm.name]
    else:
        fits = len(iv) == 16 and len(ciphertext) >= 16 and len(ciphertext) % 16 == 0
    if not fits:
        raise DecryptionFailed
