"""The same operations by `cryptography`, written apart from kvstack's, to hold every provider against."""

import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa, utils

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.algorithm import Algorithm

HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA-1": hashes.SHA1(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}
ML_DSA: dict[str, Any] = {
    "ML-DSA-44": mldsa.MLDSA44PublicKey,
    "ML-DSA-65": mldsa.MLDSA65PublicKey,
    "ML-DSA-87": mldsa.MLDSA87PublicKey,
}
_CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "P-256K": ec.SECP256K1(),
}


def rsa_public(public: PublicKey) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(int.from_bytes(public.e, "big"), int.from_bytes(public.n, "big")).public_key()


def signature_is_good(public: PublicKey, algorithm: Algorithm, message: bytes, signature: bytes) -> bool:
    """Verify a signature over a message, not over its digest."""
    if algorithm.family == "ML-DSA":
        return _ml_dsa_is_good(public, algorithm, message, signature)
    digest = HASHES[algorithm.digest or ""]
    try:
        if algorithm.name.startswith("RS"):
            rsa_public(public).verify(signature, message, padding.PKCS1v15(), digest)
        elif algorithm.name.startswith("PS"):
            pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
            rsa_public(public).verify(signature, message, pss, digest)
        else:
            assert public.curve is not None
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(public.x, "big"), int.from_bytes(public.y, "big"), _CURVES[public.curve]
            )
            half = len(signature) // 2
            assert half == (_CURVES[public.curve].key_size + 7) // 8
            r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            numbers.public_key().verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def rsa_encrypted(public: PublicKey, algorithm: Algorithm, plaintext: bytes) -> bytes:
    """Encrypt to an RSA key."""
    if algorithm.digest is None:
        return rsa_public(public).encrypt(plaintext, padding.PKCS1v15())
    digest = HASHES[algorithm.digest]
    return rsa_public(public).encrypt(plaintext, padding.OAEP(padding.MGF1(digest), digest, None))


def _ml_dsa_is_good(public: PublicKey, algorithm: Algorithm, message: bytes, signature: bytes) -> bool:
    verifying = ML_DSA[algorithm.name].from_public_bytes(public.raw)
    try:
        verifying.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def mu(public: PublicKey, message: bytes) -> bytes:
    """What ML-DSA is given for a message, with an empty context. Source: FIPS 204, algorithms 6 and 7."""
    fingerprint = hashlib.shake_256(public.raw).digest(64)
    return hashlib.shake_256(fingerprint + b"\0\0" + message).digest(64)


def code(algorithm: Algorithm, secret: bytes, digest: bytes) -> bytes:
    """The authentication code of what `sign` is given."""
    hashing = hmac.HMAC(secret, HASHES[algorithm.digest or ""])
    hashing.update(digest)
    return hashing.finalize()


def digest(algorithm: Algorithm, message: bytes, public: PublicKey | None = None) -> bytes:
    """What `sign` is given for a message."""
    if algorithm.digest == "mu":
        assert public is not None
        return mu(public, message)
    hashing = hashes.Hash(HASHES[algorithm.digest or ""])
    hashing.update(message)
    return hashing.finalize()
