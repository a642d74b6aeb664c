"""Kinds of keys: types, sizes, curves, and what each may be used for."""

from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

KeyType = Literal[
    "RSA",
    "RSA-HSM",
    "EC",
    "EC-HSM",
    "oct",
    "oct-HSM",
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "ML-KEM-768",
    "ML-KEM-1024",
]
Family = Literal["RSA", "EC", "oct", "ML-DSA", "ML-KEM"]
RsaSize = Literal[2048, 3072, 4096]
OctSize = Literal[128, 192, 256]
Curve = Literal["P-256", "P-384", "P-521", "P-256K"]
Operation = Literal["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "import", "export"]

KEY_TYPES: tuple[KeyType, ...] = get_args(KeyType)
RSA_SIZES: tuple[RsaSize, ...] = get_args(RsaSize)
OCT_SIZES: tuple[OctSize, ...] = get_args(OctSize)
CURVES: tuple[Curve, ...] = get_args(Curve)
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

_OPERATIONS: dict[str, frozenset[Operation]] = {
    "RSA": frozenset({"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}),
    "EC": frozenset({"sign", "verify"}),
    "oct": frozenset({"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}),
    "ML-DSA": frozenset({"sign", "verify"}),
    # To encapsulate is to wrap a fresh shared secret, to decapsulate to unwrap it.
    "ML-KEM": frozenset({"wrapKey", "unwrapKey"}),
}


class KeySpecification(msgspec.Struct, frozen=True):
    """What to generate. size: bits of an RSA modulus or an oct key, None for others; curve: for EC only."""

    type: KeyType
    size: int | None = None
    curve: Curve | None = None

    @property
    def family(self) -> Family:
        """The mathematics, wherever the key lives."""
        return family(self.type)

    @property
    def in_hsm(self) -> bool:
        """Whether the key is generated in an HSM and never leaves it."""
        return in_hsm(self.type)


def family(key_type: KeyType) -> Family:
    """Return a key type without where it lives and how strong it is: `RSA-HSM` is `RSA`, `ML-DSA-65` is `ML-DSA`."""
    match key_type:
        case "RSA" | "RSA-HSM":
            return "RSA"
        case "EC" | "EC-HSM":
            return "EC"
        case "oct" | "oct-HSM":
            return "oct"
        case "ML-DSA-44" | "ML-DSA-65" | "ML-DSA-87":
            return "ML-DSA"
        case "ML-KEM-768" | "ML-KEM-1024":
            return "ML-KEM"


def ahead_of_azure(key_type: KeyType) -> bool:
    """Tell whether no Azure Key Vault has keys of this type: post-quantum ones, and symmetric ones outside an HSM."""
    return key_type == "oct" or family(key_type) in ("ML-DSA", "ML-KEM")


def in_hsm(key_type: KeyType) -> bool:
    """Tell whether a key of this type lives in an HSM."""
    return key_type.endswith("-HSM")


def possible_operations(key_type: KeyType) -> frozenset[Operation]:
    """Return what a key of this type can be used for, `import` and `export` aside: the default of `operations`."""
    return _OPERATIONS[family(key_type)]


def specification(key_type: KeyType, size: int | None, curve: Curve | None) -> KeySpecification:
    """Return the specification with Key Vault's defaults filled in: RSA 2048, P-256, oct 256."""
    match family(key_type):
        case "RSA":
            return KeySpecification(key_type, size or 2048, curve)
        case "EC":
            return KeySpecification(key_type, size, curve or "P-256")
        case "oct":
            return KeySpecification(key_type, size or 256, curve)
        case "ML-DSA" | "ML-KEM":
            return KeySpecification(key_type, size, curve)


def problems(spec: KeySpecification, operations: frozenset[Operation] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for a specification no vault would take."""
    match spec.family:
        case "RSA":
            if spec.size not in RSA_SIZES:
                yield "size", f"an {spec.type} key has 2048, 3072 or 4096 bits, not {spec.size}"
            if spec.curve is not None:
                yield "curve", f"an {spec.type} key has no curve"
        case "EC":
            if spec.curve not in CURVES:
                yield "curve", f"an {spec.type} key's curve is one of {', '.join(CURVES)}"
            if spec.size is not None:
                yield "size", f"an {spec.type} key has a `curve`, not a `size`"
        case "oct":
            if spec.size not in OCT_SIZES:
                yield "size", f"an {spec.type} key has 128, 192 or 256 bits, not {spec.size}"
            if spec.curve is not None:
                yield "curve", f"an {spec.type} key has no curve"
        case "ML-DSA" | "ML-KEM":
            if spec.size is not None:
                yield "size", f"an {spec.type} key's type says how strong it is: it has no `size`"
            if spec.curve is not None:
                yield "curve", f"an {spec.type} key has no curve"
    impossible = (operations or frozenset()) - _OPERATIONS[spec.family] - {"import", "export"}
    if impossible:
        yield (
            "operations",
            f"an {spec.type} key cannot {', '.join(sorted(impossible))}; "
            f"it can {', '.join(sorted(_OPERATIONS[spec.family]))}",
        )
