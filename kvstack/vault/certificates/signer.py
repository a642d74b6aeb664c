"""A key of the vault as `cryptography` signs certificates with it: only a digest ever goes to the key's provider.

`cryptography` takes any object of its abstract key types; what it asks of one is `public_key` and `sign`.
"""

from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from kvstack.hsm.protocol import KeyProvider, KeyReference, PublicKey
from kvstack.hsm.public_half import ec_curve, ec_key, rsa_key
from kvstack.terms.algorithm import algorithm
from kvstack.terms.key import Curve

_RSA = {"sha256": "RS256", "sha384": "RS384", "sha512": "RS512"}
SignatureHash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
_EC: dict[Curve, tuple[str, SignatureHash]] = {
    "P-256": ("ES256", hashes.SHA256()),
    "P-384": ("ES384", hashes.SHA384()),
    "P-521": ("ES512", hashes.SHA512()),
    "P-256K": ("ES256K", hashes.SHA256()),
}


def signer(provider: KeyProvider, key: KeyReference) -> "SigningKey":
    """Return a key of the vault for signing certificates."""
    if key.specification.family == "RSA":
        return _RsaSigner(provider, key)
    return _EcSigner(provider, key)


def signature_hash(signing: "SigningKey") -> SignatureHash:
    """Return the hash certificates are signed with by this key: as long as its curve; SHA-256 for RSA."""
    if isinstance(signing, _EcSigner):
        return _EC[signing.curve_name][1]
    return hashes.SHA256()


def public_key(public: PublicKey) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """Return a public half as `cryptography` has it."""
    if public.curve is None:
        return rsa_key(public.n, public.e)
    return ec_key(public.curve, public.x, public.y)


class _RsaSigner(rsa.RSAPrivateKey):
    """An RSA key whose private half stays with its provider."""

    def __init__(self, provider: KeyProvider, key: KeyReference) -> None:
        self._provider = provider
        self._key = key

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self.public_key().key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public half."""
        return rsa_key(self._key.material.public.n, self._key.material.public.e)

    def sign(
        self,
        data: Any,
        padding: AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | Any,
    ) -> bytes:
        """Have the provider sign the data's digest."""
        if not isinstance(padding, PKCS1v15) or not isinstance(algorithm, hashes.HashAlgorithm):
            _never()
        return self._provider.sign(self._key, _algorithm(_RSA[algorithm.name]), _digest(data, algorithm))

    def decrypt(self, ciphertext: bytes, padding: AsymmetricPadding) -> bytes:
        """Never asked for when a certificate is signed."""
        _never()

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        """Never given out."""
        _never()

    def private_bytes(self, *args: Any) -> bytes:
        """Never given out."""
        _never()

    def __copy__(self) -> "_RsaSigner":
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> "_RsaSigner":
        return self


class _EcSigner(ec.EllipticCurvePrivateKey):
    """An EC key whose private half stays with its provider."""

    def __init__(self, provider: KeyProvider, key: KeyReference) -> None:
        self._provider = provider
        self._key = key
        self.curve_name: Curve = key.material.public.curve or "P-256"

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve."""
        return ec_curve(self.curve_name)

    @property
    def key_size(self) -> int:
        """Bits of the curve's field."""
        return self.curve.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""
        public = self._key.material.public
        return ec_key(self.curve_name, public.x, public.y)

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Have the provider sign the data's digest. Returns the signature in DER, as certificates have it."""
        used = signature_algorithm.algorithm
        if not isinstance(used, hashes.HashAlgorithm):
            _never()
        raw = self._provider.sign(self._key, _algorithm(_EC[self.curve_name][0]), _digest(data, used))
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Never asked for when a certificate is signed."""
        _never()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Never given out."""
        _never()

    def private_bytes(self, *args: Any) -> bytes:
        """Never given out."""
        _never()

    def __copy__(self) -> "_EcSigner":
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> "_EcSigner":
        return self


SigningKey = _RsaSigner | _EcSigner


def _algorithm(name: str) -> Any:
    return algorithm(name, "sign")


def _digest(data: Any, used: hashes.HashAlgorithm) -> bytes:
    digest = hashes.Hash(used)
    digest.update(data)
    return digest.finalize()


def _never() -> NoReturn:
    raise TypeError("a key of the vault signs certificates, and nothing else, this way")
