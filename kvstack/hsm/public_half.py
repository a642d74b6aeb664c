"""What the public half of a key can do, in software: quick, and there when the HSM is not."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kvstack.hsm.protocol import PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    from kvstack.terms.algorithm import Algorithm
    from kvstack.terms.key import Curve
    from kvstack.terms.release import ReleaseWrapping


def verified(public: PublicKey, algorithm: Algorithm, digest: bytes, signature: bytes) -> bool:
    """Tell whether a signature is over this digest. signature: as the protocol's `sign` returns it."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        if algorithm.family == "ML-DSA":
            raw_key(algorithm.name, public.raw).verify_mu(signature, digest)
        elif algorithm.family == "RSA":
            rsa_key(public.n, public.e).verify(signature, digest, rsa_padding(algorithm), prehashed(algorithm))
        else:
            half = len(public.x)
            if len(signature) != 2 * half:
                return False
            r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            key = ec_key(public.curve or "P-256", public.x, public.y)
            key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(prehashed(algorithm)))
    except InvalidSignature:
        return False
    return True


def encrypted(public: PublicKey, algorithm: Algorithm, plaintext: bytes) -> bytes:
    """Encrypt to an RSA key."""
    return rsa_key(public.n, public.e).encrypt(plaintext, rsa_padding(algorithm))


def encapsulated(public: PublicKey, algorithm: Algorithm) -> tuple[bytes, bytes]:
    """Return a fresh shared secret of 32 bytes, and the ciphertext only the private key gets it out of. FIPS 203."""
    secret, ciphertext = raw_key(algorithm.name, public.raw).encapsulate()
    return secret, ciphertext


def mu_hasher(public: PublicKey, name: str) -> Any:
    """Return what digests a message to what ML-DSA signs: `update`, and `finalize` for 64 bytes. FIPS 204, 6.2, with an
    empty context: the signature is one of pure ML-DSA, that everybody can verify over the message."""
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSAMuHasher

    return MLDSAMuHasher(raw_key(name, public.raw))


@lru_cache(256)
def raw_key(name: str, raw: bytes) -> Any:
    """Return an ML-DSA or ML-KEM public key of `cryptography`. name: `ML-DSA-65`, ..."""
    from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem

    module: Any = mldsa if name.startswith("ML-DSA") else mlkem
    return getattr(module, f"{name[:6].replace('-', '')}{name[7:]}PublicKey").from_public_bytes(raw)


@lru_cache(256)
def rsa_key(n: bytes, e: bytes) -> rsa.RSAPublicKey:
    """Return an RSA public key of `cryptography`."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.RSAPublicNumbers(int.from_bytes(e, "big"), int.from_bytes(n, "big")).public_key()


@lru_cache(256)
def ec_key(curve: Curve, x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    """Return an EC public key of `cryptography`."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.EllipticCurvePublicKey.from_encoded_point(ec_curve(curve), b"\x04" + x + y)


def ec_curve(curve: Curve) -> ec.EllipticCurve:
    """Return a curve of `cryptography`; P-256K is secp256k1."""
    from cryptography.hazmat.primitives.asymmetric import ec

    match curve:
        case "P-256":
            return ec.SECP256R1()
        case "P-384":
            return ec.SECP384R1()
        case "P-521":
            return ec.SECP521R1()
        case "P-256K":
            return ec.SECP256K1()


@lru_cache(16)
def rsa_padding(algorithm: Algorithm) -> padding.AsymmetricPadding:
    """Return the padding of an RSA algorithm: PSS with a salt as long as the digest, MGF1 always of the same hash."""
    from cryptography.hazmat.primitives.asymmetric import padding

    if algorithm.name.startswith("PS"):
        return padding.PSS(padding.MGF1(_hash(algorithm)), algorithm.digest_bytes or 0)
    if algorithm.name.startswith("RSA-OAEP"):
        return padding.OAEP(padding.MGF1(_hash(algorithm)), _hash(algorithm), None)
    return padding.PKCS1v15()


@lru_cache(16)
def prehashed(algorithm: Algorithm) -> Prehashed:
    """Return the mark that what is signed is a digest already."""
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    return Prehashed(_hash(algorithm))


def hash_name(algorithm: Algorithm) -> str:
    """Return hashlib's name of the algorithm's hash."""
    return (algorithm.digest or "").replace("-", "").lower()


def _hash(algorithm: Algorithm) -> HashAlgorithm:
    return _hash_of(algorithm.digest)


def release_hash(wrapping: ReleaseWrapping) -> HashAlgorithm:
    """Return the hash of the OAEP a key is released under."""
    return _hash_of(wrapping.hash)


def _hash_of(digest: str | None) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    match digest:
        case "SHA-1":
            return hashes.SHA1()  # noqa: S303 (what RFC 7518 calls RSA-OAEP; OAEP does not rest on collisions)
        case "SHA-384":
            return hashes.SHA384()
        case "SHA-512":
            return hashes.SHA512()
        case _:
            return hashes.SHA256()
