"""A JSON Web Key with its private half as a plain key. Source: RFC 7517, 7518, 8812; RFC 9964 for ML-DSA.

ML-KEM keys are taken in the same form (`kty: AKP`, `priv`: the 64-byte seed), for which there is no standard yet.
"""

import binascii
from typing import Any

import msgspec

from kvstack.hsm import public_half
from kvstack.hsm.plain_key import PlainKey, of_oct, of_private, post_quantum_key
from kvstack.hsm.protocol import InputUnfit
from kvstack.terms.key import (
    OPERATIONS,
    RSA_SIZES,
    Curve,
    Family,
    KeyType,
    Operation,
    family,
    possible_operations,
)

_CURVES: dict[str, Curve] = {
    "P-256": "P-256",
    "P-384": "P-384",
    "P-521": "P-521",
    "secp256k1": "P-256K",
    "P-256K": "P-256K",
}
_POST_QUANTUM: dict[str, KeyType] = {
    "ML-DSA-44": "ML-DSA-44",
    "ML-DSA-65": "ML-DSA-65",
    "ML-DSA-87": "ML-DSA-87",
    "ML-KEM-768": "ML-KEM-768",
    "ML-KEM-1024": "ML-KEM-1024",
}
# The public half of ML-DSA-87 has 2592 bytes; any longer member is no key's, and would only cost time.
_LONGEST_MEMBER = 4096


class _Jwk(msgspec.Struct, frozen=True):
    """The members that matter; others are none of a key's business. All but kty, crv, alg and key_ops are base64url."""

    kty: str
    key_ops: list[str] | None = None
    crv: str = ""
    alg: str = ""
    n: str = ""
    e: str = ""
    d: str = ""
    p: str = ""
    q: str = ""
    dp: str = ""
    dq: str = ""
    qi: str = ""
    oth: Any = None
    x: str = ""
    y: str = ""
    k: str = ""
    pub: str = ""
    priv: str = ""

    def __repr__(self) -> str:
        return f"_Jwk({self.kty!r}, ****)"


def plain_key_of_jwk(text: bytes) -> PlainKey:
    """Return the key. Raises InputUnfit, which holds nothing of the file."""
    try:
        jwk = msgspec.json.decode(text, type=_Jwk)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # What the decoder says quotes what it read.
        raise InputUnfit("the file is no JSON Web Key: JSON with the members of RFC 7517, `kty` first of all") from None
    match jwk.kty:
        case "RSA":
            return _rsa(jwk)
        case "EC":
            return _ec(jwk)
        case "oct":
            return of_oct(_bytes(jwk.k, "k"), _operations(jwk, "oct"))
        case "AKP":
            return _post_quantum(jwk)
        case "RSA-HSM" | "EC-HSM" | "oct-HSM":
            raise InputUnfit(
                f"a plain key's `kty` is `{jwk.kty.removesuffix('-HSM')}`, not `{jwk.kty}`: where it shall live is "
                "said when it is imported"
            )
        case _:
            raise InputUnfit("the key's `kty` is none of RSA, EC, oct and AKP")


def _rsa(jwk: _Jwk) -> PlainKey:
    from cryptography.hazmat.primitives.asymmetric import rsa

    if jwk.oth is not None:
        raise InputUnfit("an RSA key of more than two primes (`oth`) is not taken")
    n, e, d = _number(jwk.n, "n"), _number(jwk.e, "e"), _private_number(jwk.d)
    if n.bit_length() not in RSA_SIZES:
        raise InputUnfit(f"an RSA key has 2048, 3072 or 4096 bits, this one has {n.bit_length()}")
    rest = (jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi)
    if any(rest) and not all(rest):
        # RFC 7518, 6.3.2: all of them or none.
        raise InputUnfit("of an RSA key's `p`, `q`, `dp`, `dq` and `qi` some are missing: give all of them, or none")
    try:
        # Looking for the primes of what is no key takes long.
        if not n & 1 or not 2 < e < 1 << 64 or not 1 < d < n or pow(pow(2, e, n), d, n) != 2:
            raise InputUnfit("the RSA key's numbers do not belong together")
        if all(rest):
            p, q, dp, dq, qi = (_number(text, name) for text, name in zip(rest, _RSA_REST, strict=True))
        else:
            p, q = rsa.rsa_recover_prime_factors(n, e, d)
            dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
        private = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()
    except ValueError:
        raise InputUnfit("the RSA key's numbers do not belong together") from None
    return of_private(private, _operations(jwk, "RSA"))


_RSA_REST = ("p", "q", "dp", "dq", "qi")


def _ec(jwk: _Jwk) -> PlainKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = _CURVES.get(jwk.crv)
    if curve is None:
        raise InputUnfit("an EC key's `crv` is P-256, P-384, P-521 or secp256k1")
    mathematics = public_half.ec_curve(curve)
    length = (mathematics.key_size + 7) // 8
    x, y, d = _bytes(jwk.x, "x"), _bytes(jwk.y, "y"), _bytes(jwk.d, "d", private=True)
    for value, name in ((x, "x"), (y, "y"), (d, "d")):
        if len(value) != length:  # RFC 7518, 6.2.1.2: with its leading zeros
            raise InputUnfit(f"`{name}` of a key on {curve} has {length} bytes, not {len(value)}")
    try:
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), mathematics)
        point.public_key()
        private = ec.derive_private_key(int.from_bytes(d, "big"), mathematics)
    except ValueError:
        raise InputUnfit("the EC key's numbers are not on its curve") from None
    if private.public_key().public_numbers() != point:
        raise InputUnfit("the EC key's private and public half do not belong together")
    return of_private(private, _operations(jwk, "EC"))


def _post_quantum(jwk: _Jwk) -> PlainKey:
    key_type = _POST_QUANTUM.get(jwk.alg)
    if key_type is None:
        raise InputUnfit(f"an AKP key's `alg` is one of {', '.join(_POST_QUANTUM)}")
    try:
        private = post_quantum_key(key_type, _bytes(jwk.priv, "priv", private=True))
    except ValueError:
        raise InputUnfit("`priv` of an AKP key is its seed: 32 bytes for ML-DSA, 64 for ML-KEM") from None
    found = of_private(private, _operations(jwk, family(key_type)))
    if jwk.pub and _bytes(jwk.pub, "pub") != found.public.raw:
        raise InputUnfit("the key's private and public half do not belong together")
    return found


def _operations(jwk: _Jwk, kind: Family) -> frozenset[Operation] | None:
    """Return what the key may be used for, as far as a vault knows such uses; None where the file says nothing."""
    if jwk.key_ops is None:
        return None
    possible = possible_operations(_A_TYPE[kind])
    return frozenset(operation for operation in OPERATIONS if operation in jwk.key_ops and operation in possible)


_A_TYPE: dict[Family, KeyType] = {
    "RSA": "RSA",
    "EC": "EC",
    "oct": "oct",
    "ML-DSA": "ML-DSA-65",
    "ML-KEM": "ML-KEM-768",
}


def _private_number(text: str) -> int:
    return int.from_bytes(_bytes(text, "d", private=True), "big")


def _number(text: str, name: str) -> int:
    return int.from_bytes(_bytes(text, name), "big")


def _bytes(text: str, name: str, *, private: bool = False) -> bytes:
    """Return a member's bytes. RFC 7515, 2: base64url without padding."""
    if not text:
        why = ": it is a public key" if private else ""
        raise InputUnfit(f"the key has no `{name}`{why}")
    try:
        if "=" in text or "+" in text or "/" in text:
            raise ValueError
        padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        found = binascii.a2b_base64(padded, strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise InputUnfit(f"`{name}` of the key is not base64url without padding") from None
    if len(found) > _LONGEST_MEMBER:
        raise InputUnfit(f"`{name}` of the key is longer than any key's")
    return found
