"""Keys of every type, and every algorithm each of them can be used with."""

import os

from kvstack.hsm.protocol import KeyProvider, KeyReference
from kvstack.terms.algorithm import ALGORITHMS, Algorithm
from kvstack.terms.key import CURVES, KEY_TYPES, OCT_SIZES, KeySpecification

SOFTWARE = (
    KeySpecification("RSA", 2048),
    *(KeySpecification("EC", None, curve) for curve in CURVES),
    *(KeySpecification("oct", size) for size in OCT_SIZES),
    *(KeySpecification(key_type) for key_type in KEY_TYPES if key_type.startswith("ML-")),
)
HSM = (
    KeySpecification("RSA-HSM", 2048),
    *(KeySpecification("EC-HSM", None, curve) for curve in CURVES),
    *(KeySpecification("oct-HSM", size) for size in OCT_SIZES),
)
EC = KeySpecification("EC-HSM", None, "P-256")
AES = KeySpecification("oct-HSM", 256)
RSA = KeySpecification("RSA-HSM", 2048)


def uses(specifications: tuple[KeySpecification, ...], purpose: str) -> list[tuple[KeySpecification, Algorithm]]:
    """Every pair of a key and an algorithm that fits it and serves the purpose."""
    return [
        (specification, algorithm)
        for specification in specifications
        for algorithm in ALGORITHMS.values()
        if algorithm.unfit(specification) is None and purpose in algorithm.purposes
    ]


def codes(specifications: tuple[KeySpecification, ...]) -> list[tuple[KeySpecification, Algorithm]]:
    """Every pair of a symmetric key and an algorithm it makes authentication codes with."""
    return [use for use in uses(specifications, "sign") if use[0].family == "oct"]


def signatures(specifications: tuple[KeySpecification, ...]) -> list[tuple[KeySpecification, Algorithm]]:
    """Every pair of a private key and an algorithm it signs with."""
    return [use for use in uses(specifications, "sign") if use[0].family != "oct"]


def key(provider: KeyProvider, specification: KeySpecification, name: str = "") -> KeyReference:
    """A new key."""
    return KeyReference(name or os.urandom(8).hex(), specification, provider.generate(specification))


def title(value: object) -> str:
    """How a case is called in the test's name."""
    match value:
        case Algorithm():
            return value.name
        case KeySpecification():
            return f"{value.type}-{value.curve or value.size}".removesuffix("-None")
        case _:
            return str(value)
