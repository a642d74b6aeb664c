"""What the vault asks of whatever holds its keys: a key provider, and a key-encryption key."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from kvstack.terms.algorithm import Algorithm
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import Curve, KeySpecification
from kvstack.terms.release import ReleaseWrapping

if TYPE_CHECKING:
    from kvstack.hsm.plain_key import PlainKey


class PublicKey(msgspec.Struct, frozen=True):
    """The half everybody may see. n, e: an RSA modulus and exponent; x, y: an EC point; big-endian, unpadded n and e,
    x and y as long as the curve's field; raw: of ML-DSA and ML-KEM, as FIPS 204 and 203 encode it. An oct key has none
    of them."""

    n: bytes = b""
    e: bytes = b""
    curve: Curve | None = None
    x: bytes = b""
    y: bytes = b""
    raw: bytes = b""


class KeyMaterial(msgspec.Struct, frozen=True):
    """One generated key version, as its provider wants it kept.

    blob: opaque to everybody else. Software: the private key itself (PKCS#8 DER, or an oct key's bytes), to be sealed
    by the vault's barrier. PKCS#11: ciphertext under the module's root key, or the token object's id.
    provider: which one made it (`software`, `pkcs11-wrapped`, `pkcs11-token`), and has to be asked to use it.
    """

    provider: str
    blob: bytes
    public: PublicKey

    def __repr__(self) -> str:
        return f"KeyMaterial(provider={self.provider!r}, blob=****, public={self.public!r})"


class KeyReference(msgspec.Struct, frozen=True):
    """A key version in use. id: unique among all versions (vault, name and version); its handle is cached under it."""

    id: str
    specification: KeySpecification
    material: KeyMaterial


class Ciphertext(msgspec.Struct, frozen=True):
    """What encryption gives. iv: drawn by the provider where none was given; tag: of an authenticated mode."""

    ciphertext: bytes
    iv: bytes = b""
    tag: bytes = b""


class KeyProvider(Protocol):
    """Makes and uses keys. Safe to call from several threads at once.

    Input has been checked: the algorithm fits the specification, a digest has its algorithm's length. All methods raise
    HsmUnavailable where the module or token cannot be reached, MechanismUnsupported where it cannot do what is asked.
    """

    def generate(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key pair or a secret key."""
        ...

    def import_key(self, specification: KeySpecification, plain: "PlainKey") -> KeyMaterial:
        """Take in a key that was made elsewhere. specification: where it is to live; else the plain key's own. The
        plain key is the caller's to wipe."""
        ...

    def check(self, key: KeyReference) -> None:
        """Raise HsmError where this material, which a backup brought, cannot be used here."""
        ...

    def require_portable(self, key: KeyReference) -> None:
        """Raise NotPortable where the material means nothing without this very token."""
        ...

    def sign(self, key: KeyReference, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest. Returns an RSA signature, r and s side by side for EC (RFC 7518), or an HMAC for oct."""
        ...

    def verify(self, key: KeyReference, algorithm: Algorithm, digest: bytes, signature: bytes) -> bool:
        """Tell whether a signature is the key's over this digest; needs the public half only, where there is one."""
        ...

    def encrypt(
        self,
        key: KeyReference,
        algorithm: Algorithm,
        plaintext: bytes,
        *,
        iv: bytes = b"",
        associated_data: bytes = b"",
    ) -> Ciphertext:
        """Encrypt, or wrap another key's bytes (A*KW, RSA). Raises InputUnfit."""
        ...

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
        """Decrypt, unwrap or decapsulate. Raises DecryptionFailed, one and the same error for every way it can fail."""
        ...

    def destroy(self, key: KeyReference) -> None:
        """Forget a key for good: its cached handle, and its token object where it has one. Twice is no error."""
        ...

    def random(self, count: int) -> bytes:
        """Draw random bytes."""
        ...

    def close(self) -> None:
        """Let go of sessions and the module."""
        ...


@runtime_checkable
class ReleasingProvider(KeyProvider, Protocol):
    """A provider whose keys may be made to leave it: wrapped for somebody, never in clear."""

    def generate_exportable(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key that `release` can give out; no other can be."""
        ...

    def import_exportable(self, specification: KeySpecification, plain: "PlainKey") -> KeyMaterial:
        """Take in a key that `release` can give out again."""
        ...

    def release(self, key: KeyReference, wrapping: ReleaseWrapping, recipient: PublicKey) -> bytes:
        """Return a key wrapped for the holder of an RSA key. Raises HsmError for a key that was not made exportable,
        MechanismUnsupported where the provider does not have the wrapping."""
        ...


class KeyEncryptionKey(Protocol):
    """The key above all data keys. Its own bytes stay where it lives."""

    @property
    def id(self) -> str:
        """Which key this is; kept beside everything it wrapped."""
        ...

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Wrap a data key. data_key: 32 bytes; context: what it belongs to, authenticated. Raises HsmUnavailable."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap a data key. Raises DecryptionFailed where key, context or bytes are not those it was wrapped with."""
        ...


class HsmError(KvstackError):
    """Something between kvstack and its keys went wrong."""


class HsmUnavailable(HsmError):
    """Module, token or PIN: the HSM cannot be reached, or does not let us in."""


class MechanismUnsupported(HsmError):
    """The module cannot do this; the error names the mechanism."""


class InputUnfit(HsmError):
    """What is to be encrypted, or its initialisation vector, has a length the algorithm does not take."""


class DomainUnfit(HsmError):
    """What was brought to a security domain, a document or a custodian's key, is not what it takes."""


class NotPortable(HsmError):
    """A key that is an object of its token for life: no backup can hold it."""


class DecryptionFailed(HsmError):
    """The one error of every failed decryption, so that it tells an attacker nothing."""

    def __init__(self) -> None:
        super().__init__("the ciphertext cannot be decrypted with this key")
