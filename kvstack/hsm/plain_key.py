"""A private key in clear, on its way from a file into a provider: masked, checked, and wiped once it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from kvstack.hsm.protocol import InputUnfit, PublicKey
from kvstack.terms.key import (
    OCT_SIZES,
    RSA_SIZES,
    Curve,
    KeySpecification,
    KeyType,
    Operation,
    family,
)

if TYPE_CHECKING:
    from types import TracebackType

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class PlainKey:
    """A key in clear. specification: of a software key; operations: what its file says it is for, None for nothing.

    As a context manager it wipes its own buffer at the end. Copies that `cryptography` and Python made while they
    parsed the file cannot be reached: they stay in memory until it is used for something else.
    """

    __slots__ = ("_private", "operations", "public", "specification")

    def __init__(
        self,
        specification: KeySpecification,
        private: bytes,
        public: PublicKey,
        operations: frozenset[Operation] | None = None,
    ) -> None:
        self.specification = specification
        self.public = public
        self.operations = operations
        self._private = bytearray(private)

    def reveal(self) -> bytes:
        """Return the private key: PKCS#8 DER, or an oct key's bytes."""
        return bytes(self._private)

    def wipe(self) -> None:
        """Overwrite the private key."""
        self._private[:] = bytes(len(self._private))

    def __enter__(self) -> PlainKey:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"PlainKey({self.specification!r}, ****)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PlainKey cannot be pickled or copied")


def of_oct(secret: bytes, operations: frozenset[Operation] | None = None) -> PlainKey:
    """Return a symmetric key. Raises InputUnfit for a length no vault takes."""
    if len(secret) * 8 not in OCT_SIZES:
        raise InputUnfit(f"an oct key has 128, 192 or 256 bits, this one has {len(secret) * 8}")
    return PlainKey(KeySpecification("oct", len(secret) * 8), secret, PublicKey(), operations)


def of_private(private: Any, operations: frozenset[Operation] | None = None) -> PlainKey:
    """Return a private key of `cryptography`. Raises InputUnfit for a kind, a size or a curve no vault takes."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    match private:
        case RSAPrivateKey():
            specification, public = _rsa(private)
        case EllipticCurvePrivateKey():
            specification, public = _ec(private)
        case _:
            specification, public = _post_quantum(private)
    der: bytes = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return PlainKey(specification, der, public, operations)


def post_quantum_key(key_type: KeyType, seed: bytes | None = None) -> Any:
    """Return an ML-DSA or ML-KEM private key of `cryptography`, a new one where no seed is given. Raises ValueError for
    a seed of another length."""
    made = _post_quantum_class(key_type)
    return made.generate() if seed is None else made.from_seed_bytes(seed)


def rsa_public(pair: RSAPrivateKey) -> PublicKey:
    """Return an RSA key's public half."""
    numbers = pair.public_key().public_numbers()
    return PublicKey(n=_unpadded(numbers.n), e=_unpadded(numbers.e))


def ec_public(pair: EllipticCurvePrivateKey, curve: Curve) -> PublicKey:
    """Return an EC key's public half."""
    numbers, length = pair.public_key().public_numbers(), (pair.key_size + 7) // 8
    return PublicKey(curve=curve, x=numbers.x.to_bytes(length, "big"), y=numbers.y.to_bytes(length, "big"))


def raw_public(private: Any) -> PublicKey:
    """Return the public half of an ML-DSA or ML-KEM key."""
    return PublicKey(raw=private.public_key().public_bytes_raw())


_CURVES: dict[str, Curve] = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "P-256K"}
_POST_QUANTUM: tuple[KeyType, ...] = ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "ML-KEM-768", "ML-KEM-1024")


def _rsa(private: RSAPrivateKey) -> tuple[KeySpecification, PublicKey]:
    if private.key_size not in RSA_SIZES:
        raise InputUnfit(f"an RSA key has 2048, 3072 or 4096 bits, this one has {private.key_size}")
    return KeySpecification("RSA", private.key_size), rsa_public(private)


def _ec(private: EllipticCurvePrivateKey) -> tuple[KeySpecification, PublicKey]:
    curve = _CURVES.get(private.curve.name)
    if curve is None:
        raise InputUnfit(f"an EC key's curve is P-256, P-384, P-521 or P-256K, this one is on {private.curve.name}")
    return KeySpecification("EC", None, curve), ec_public(private, curve)


def _post_quantum(private: Any) -> tuple[KeySpecification, PublicKey]:
    for key_type in _POST_QUANTUM:
        if isinstance(private, _post_quantum_class(key_type)):
            return KeySpecification(key_type), raw_public(private)
    raise InputUnfit(
        f"a key of this kind is not taken ({type(private).__name__}): RSA, EC, oct, ML-DSA and ML-KEM keys are"
    )


def _post_quantum_class(key_type: KeyType) -> Any:
    strength = key_type.rpartition("-")[2]
    if family(key_type) == "ML-DSA":
        from cryptography.hazmat.primitives.asymmetric import mldsa

        return cast(Any, getattr(mldsa, f"MLDSA{strength}PrivateKey"))
    from cryptography.hazmat.primitives.asymmetric import mlkem

    return cast(Any, getattr(mlkem, f"MLKEM{strength}PrivateKey"))


def _unpadded(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
