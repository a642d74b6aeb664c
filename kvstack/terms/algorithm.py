"""The algorithms a key can be used with: what each asks of the key and of its input."""

from typing import Literal

import msgspec

from kvstack.terms.key import Curve, Family, KeySpecification, KeyType

Purpose = Literal["sign", "encrypt", "wrap", "encapsulate"]
Digest = Literal["SHA-1", "SHA-256", "SHA-384", "SHA-512", "mu"]


class Algorithm(msgspec.Struct, frozen=True):
    """One algorithm. digest: hash name, `mu` for the digest of ML-DSA, which the public key is part of; digest_bytes:
    length of what `sign` takes; curve, key_bits and key_type: what it is bound to.

    Source: RFC 7518 (JSON Web Algorithms), RFC 8812 (ES256K), FIPS 204 (ML-DSA), FIPS 203 (ML-KEM).
    """

    name: str
    family: Family
    purposes: frozenset[Purpose]
    digest: Digest | None = None
    digest_bytes: int | None = None
    curve: Curve | None = None
    key_bits: int | None = None
    key_type: KeyType | None = None

    @property
    def ahead_of_azure(self) -> bool:
        """Whether Azure Key Vault does not have it."""
        return self.family in ("ML-DSA", "ML-KEM")

    def unfit(self, spec: KeySpecification) -> str | None:
        """Return why a key of this specification cannot be used with this algorithm, or None."""
        if self.key_type is not None and spec.type != self.key_type:
            return f"{self.name} needs a key of type {self.key_type}, this one is {spec.type}"
        if spec.family != self.family:
            return f"{self.name} needs a key of type {self.family}, this one is {spec.type}"
        if self.curve is not None and spec.curve != self.curve:
            return f"{self.name} needs a key on {self.curve}, this one is on {spec.curve}"
        if self.key_bits is not None and spec.size != self.key_bits:
            return f"{self.name} needs a key of {self.key_bits} bits, this one has {spec.size}"
        return None


_SIGN: frozenset[Purpose] = frozenset({"sign"})
_BOTH: frozenset[Purpose] = frozenset({"encrypt", "wrap"})
_ENCRYPT: frozenset[Purpose] = frozenset({"encrypt"})
_WRAP: frozenset[Purpose] = frozenset({"wrap"})
_ENCAPSULATE: frozenset[Purpose] = frozenset({"encapsulate"})

ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("RS256", "RSA", _SIGN, "SHA-256", 32),
        Algorithm("RS384", "RSA", _SIGN, "SHA-384", 48),
        Algorithm("RS512", "RSA", _SIGN, "SHA-512", 64),
        Algorithm("PS256", "RSA", _SIGN, "SHA-256", 32),
        Algorithm("PS384", "RSA", _SIGN, "SHA-384", 48),
        Algorithm("PS512", "RSA", _SIGN, "SHA-512", 64),
        Algorithm("ES256", "EC", _SIGN, "SHA-256", 32, "P-256"),
        Algorithm("ES384", "EC", _SIGN, "SHA-384", 48, "P-384"),
        Algorithm("ES512", "EC", _SIGN, "SHA-512", 64, "P-521"),
        Algorithm("ES256K", "EC", _SIGN, "SHA-256", 32, "P-256K"),
        Algorithm("HS256", "oct", _SIGN, "SHA-256", 32),
        Algorithm("HS384", "oct", _SIGN, "SHA-384", 48),
        Algorithm("HS512", "oct", _SIGN, "SHA-512", 64),
        Algorithm("ML-DSA-44", "ML-DSA", _SIGN, "mu", 64, key_type="ML-DSA-44"),
        Algorithm("ML-DSA-65", "ML-DSA", _SIGN, "mu", 64, key_type="ML-DSA-65"),
        Algorithm("ML-DSA-87", "ML-DSA", _SIGN, "mu", 64, key_type="ML-DSA-87"),
        Algorithm("RSA-OAEP", "RSA", _BOTH, "SHA-1"),
        Algorithm("RSA-OAEP-256", "RSA", _BOTH, "SHA-256"),
        Algorithm("RSA1_5", "RSA", _BOTH),
        Algorithm("A128KW", "oct", _WRAP, key_bits=128),
        Algorithm("A192KW", "oct", _WRAP, key_bits=192),
        Algorithm("A256KW", "oct", _WRAP, key_bits=256),
        Algorithm("A128GCM", "oct", _ENCRYPT, key_bits=128),
        Algorithm("A192GCM", "oct", _ENCRYPT, key_bits=192),
        Algorithm("A256GCM", "oct", _ENCRYPT, key_bits=256),
        Algorithm("A128CBC", "oct", _ENCRYPT, key_bits=128),
        Algorithm("A192CBC", "oct", _ENCRYPT, key_bits=192),
        Algorithm("A256CBC", "oct", _ENCRYPT, key_bits=256),
        Algorithm("A128CBCPAD", "oct", _ENCRYPT, key_bits=128),
        Algorithm("A192CBCPAD", "oct", _ENCRYPT, key_bits=192),
        Algorithm("A256CBCPAD", "oct", _ENCRYPT, key_bits=256),
        Algorithm("ML-KEM-768", "ML-KEM", _ENCAPSULATE, key_type="ML-KEM-768"),
        Algorithm("ML-KEM-1024", "ML-KEM", _ENCAPSULATE, key_type="ML-KEM-1024"),
    )
}


def algorithm(name: str, purpose: Purpose) -> Algorithm:
    """Return the algorithm of this name. Raises ValueError naming those there are for the purpose."""
    found = ALGORITHMS.get(name)
    if found is None or purpose not in found.purposes:
        known = ", ".join(known.name for known in ALGORITHMS.values() if purpose in known.purposes)
        raise ValueError(f"`{name}` is no algorithm to {purpose} with; there are {known}")
    return found
