"""Keys without an HSM: made and used by `cryptography`, kept by the vault behind its barrier."""

from __future__ import annotations

import hmac
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

from kvstack.hsm import public_half
from kvstack.hsm.operands import TAG_BYTES, check_ciphertext, check_plaintext, encryption_iv, zero_padded
from kvstack.hsm.plain_key import ec_public, of_oct, of_private, post_quantum_key, raw_public, rsa_public
from kvstack.hsm.protocol import (
    Ciphertext,
    DecryptionFailed,
    HsmError,
    InputUnfit,
    KeyMaterial,
    KeyReference,
    PublicKey,
)
from kvstack.terms.release import EPHEMERAL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from kvstack.hsm.plain_key import PlainKey
    from kvstack.terms.algorithm import Algorithm
    from kvstack.terms.key import KeySpecification
    from kvstack.terms.release import ReleaseWrapping

SOFTWARE = "software"


class SoftwareKeys:
    """The provider of RSA, EC, oct, ML-DSA and ML-KEM keys. loaded: how many private keys are kept ready at most.

    random: where initialisation vectors and oct keys come from.
    """

    def __init__(self, *, loaded: int = 256, random: Callable[[int], bytes] = os.urandom) -> None:
        self._bound = loaded
        self._loaded: OrderedDict[str, tuple[bytes, Any]] = OrderedDict()
        self._guard = threading.Lock()
        self._random = random

    def generate(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key; other threads run meanwhile."""
        match specification.family:
            case "RSA":
                from cryptography.hazmat.primitives.asymmetric import rsa

                pair = rsa.generate_private_key(65537, specification.size or 2048)
                return KeyMaterial(SOFTWARE, _private_bytes(pair), rsa_public(pair))
            case "EC":
                from cryptography.hazmat.primitives.asymmetric import ec

                curve = specification.curve or "P-256"
                point = ec.generate_private_key(public_half.ec_curve(curve))
                return KeyMaterial(SOFTWARE, _private_bytes(point), ec_public(point, curve))
            case "oct":
                return KeyMaterial(SOFTWARE, self._random((specification.size or 256) // 8), PublicKey())
            case "ML-DSA" | "ML-KEM":
                private = post_quantum_key(specification.type)
                return KeyMaterial(SOFTWARE, _private_bytes(private), raw_public(private))

    def import_key(self, specification: KeySpecification, plain: PlainKey) -> KeyMaterial:
        """Take in a key that was made elsewhere."""
        return KeyMaterial(SOFTWARE, plain.reveal(), plain.public)

    def generate_exportable(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key. Whether it may be released, the vault knows: it holds every software key in clear anyway."""
        return self.generate(specification)

    def import_exportable(self, specification: KeySpecification, plain: PlainKey) -> KeyMaterial:
        """Take in a key."""
        return self.import_key(specification, plain)

    def release(self, key: KeyReference, wrapping: ReleaseWrapping, recipient: PublicKey) -> bytes:
        """Return a key wrapped for the holder of an RSA key."""
        from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
        from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

        hashed = public_half.release_hash(wrapping)
        once = self._random(EPHEMERAL_BYTES)
        encrypted = public_half.rsa_key(recipient.n, recipient.e).encrypt(once, OAEP(MGF1(hashed), hashed, None))
        return encrypted + aes_key_wrap_with_padding(once, key.material.blob)

    def check(self, key: KeyReference) -> None:
        """Raise HsmError where the material cannot be used, or is another key's than the public half says."""
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            with self._plain(key) as plain:
                fits = (plain.specification, plain.public) == (key.specification, key.material.public)
        except (ValueError, TypeError, UnsupportedAlgorithm, InputUnfit):
            fits = False
        if not fits:
            raise HsmError(f"what was kept for the key {key.id} is not that key")

    def _plain(self, key: KeyReference) -> PlainKey:
        if key.specification.family == "oct":
            return of_oct(key.material.blob)
        return of_private(self._private(key))

    def require_portable(self, key: KeyReference) -> None:
        """Every software key is."""

    def sign(self, key: KeyReference, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest. Returns an RSA signature, r and s side by side for EC (RFC 7518), or an HMAC for oct."""
        match algorithm.family:
            case "oct":
                return hmac.digest(key.material.blob, digest, public_half.hash_name(algorithm))
            case "ML-DSA":
                signed: bytes = self._private(key).sign_mu(digest)
                return signed
            case _:
                return self._signed(key, algorithm, digest)

    def _signed(self, key: KeyReference, algorithm: Algorithm, digest: bytes) -> bytes:
        prehashed = public_half.prehashed(algorithm)
        if algorithm.family == "RSA":
            pair = cast("RSAPrivateKey", self._private(key))
            return pair.sign(digest, public_half.rsa_padding(algorithm), prehashed)
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        signature = cast("EllipticCurvePrivateKey", self._private(key)).sign(digest, ECDSA(prehashed))
        half = len(key.material.public.x)
        return b"".join(part.to_bytes(half, "big") for part in decode_dss_signature(signature))

    def verify(self, key: KeyReference, algorithm: Algorithm, digest: bytes, signature: bytes) -> bool:
        """Tell whether a signature is the key's over this digest."""
        if algorithm.family == "oct":
            return hmac.compare_digest(self.sign(key, algorithm, digest), signature)
        return public_half.verified(key.material.public, algorithm, digest, signature)

    def encrypt(
        self,
        key: KeyReference,
        algorithm: Algorithm,
        plaintext: bytes,
        *,
        iv: bytes = b"",
        associated_data: bytes = b"",
    ) -> Ciphertext:
        """Encrypt, or wrap another key's bytes. Raises InputUnfit."""
        check_plaintext(algorithm, key.specification, plaintext)
        vector = encryption_iv(algorithm, iv, self._random)
        if algorithm.family == "RSA":
            return Ciphertext(public_half.encrypted(key.material.public, algorithm, plaintext))
        secret = key.material.blob
        if algorithm.name.endswith("KW"):
            from cryptography.hazmat.primitives.keywrap import aes_key_wrap

            return Ciphertext(aes_key_wrap(secret, plaintext))
        if algorithm.name.endswith("GCM"):
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            sealed = AESGCM(secret).encrypt(vector, plaintext, associated_data)
            return Ciphertext(sealed[:-TAG_BYTES], vector, sealed[-TAG_BYTES:])
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
        if algorithm.name.endswith("CBC"):
            padded = zero_padded(plaintext)
        else:
            padded = padder.update(plaintext) + padder.finalize()
        return Ciphertext(encryptor.update(padded) + encryptor.finalize(), vector)

    def decrypt(
        self,
        key: KeyReference,
        algorithm: Algorithm,
        ciphertext: bytes,
        *,
        iv: bytes = b"",
        tag: bytes = b"",
        associated_data: bytes = b"",
    ) -> bytes:
        """Decrypt, unwrap or decapsulate. Raises DecryptionFailed.

        `cryptography` answers a wrong RSA1_5 padding with random bytes instead of an error (implicit rejection).
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

        check_ciphertext(algorithm, key.specification, ciphertext, iv, tag)
        try:
            return self._decrypted(key, algorithm, ciphertext, iv, tag, associated_data)
        except (ValueError, InvalidTag, InvalidUnwrap):
            raise DecryptionFailed from None

    def _decrypted(
        self, key: KeyReference, algorithm: Algorithm, ciphertext: bytes, iv: bytes, tag: bytes, associated_data: bytes
    ) -> bytes:
        if algorithm.family == "RSA":
            pair = cast("RSAPrivateKey", self._private(key))
            return pair.decrypt(ciphertext, public_half.rsa_padding(algorithm))
        if algorithm.family == "ML-KEM":
            # A changed ciphertext gives another secret, not an error: FIPS 203 rejects implicitly.
            shared: bytes = self._private(key).decapsulate(ciphertext)
            return shared
        secret = key.material.blob
        if algorithm.name.endswith("KW"):
            from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

            return aes_key_unwrap(secret, ciphertext)
        if algorithm.name.endswith("GCM"):
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            return AESGCM(secret).decrypt(iv, ciphertext + tag, associated_data)
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        decryptor, unpadder = Cipher(algorithms.AES(secret), modes.CBC(iv)).decryptor(), PKCS7(128).unpadder()
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        if algorithm.name.endswith("CBC"):
            return padded
        return unpadder.update(padded) + unpadder.finalize()

    def destroy(self, key: KeyReference) -> None:
        """Forget the loaded private key."""
        with self._guard:
            self._loaded.pop(key.id, None)

    def random(self, count: int) -> bytes:
        """Draw random bytes."""
        return self._random(count)

    def close(self) -> None:
        """Forget all loaded private keys."""
        with self._guard:
            self._loaded.clear()

    def _private(self, key: KeyReference) -> Any:
        """Return the private key, parsed at first use and then kept."""
        with self._guard:
            found = self._loaded.get(key.id)
            if found is not None and found[0] == key.material.blob:
                self._loaded.move_to_end(key.id)
                return found[1]
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        # The barrier has authenticated the bytes: checking that p and q are primes would cost more than a signature.
        parsed = load_der_private_key(key.material.blob, None, unsafe_skip_rsa_key_validation=True)
        with self._guard:
            self._loaded[key.id] = (key.material.blob, parsed)
            self._loaded.move_to_end(key.id)
            while len(self._loaded) > self._bound:
                self._loaded.popitem(last=False)
        return parsed


def _private_bytes(pair: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    der: bytes = pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return der
