"""The keys values are encrypted under, and how they are kept: wrapped, never in clear."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.table import Row, Table

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

DATA_KEY_BYTES = 32
LEAST_RECOVERY_BITS = 2048


class DataKey(Row, frozen=True):
    """One wrapped data key. scope: a vault's id, or `store`; kek: the id of the key that wrapped it; recovery: the
    same data key encrypted to the recovery public key (RSA-OAEP with SHA-256), empty where there is none."""

    scope: str
    kek: str
    wrapped: bytes
    recovery: bytes = b""


DATA_KEYS = Table("data_keys", DataKey, key=("scope",))

# Returns the data key a row holds; which key it is unwrapped by is up to the function.
Unwrapping = Callable[[DataKey], bytes]


def context(scope: str) -> bytes:
    """Return what a wrapped data key is bound to, so that one scope's cannot be used for another."""
    return b"kvstack data key\x00" + scope.encode()


def recovery_public_key(pem: bytes) -> "RSAPublicKey":
    """Read a recovery public key. Raises KvstackError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise KvstackError(f"the recovery key is no public key in PEM: {error}", _MAKE_ONE) from None
    if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_RECOVERY_BITS:
        raise KvstackError(f"the recovery key has to be RSA with at least {LEAST_RECOVERY_BITS} bits", _MAKE_ONE)
    return key


def recovery_private_key(pem: bytes, password: bytes | None) -> "RSAPrivateKey":
    """Read a recovery private key. Raises KvstackError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password)
    except (ValueError, TypeError):
        # Neither the key nor the password may get into a message; what the library says could hold parts of the file.
        raise KvstackError("the recovery private key is no private key in PEM, or its password is wrong") from None
    if not isinstance(key, RSAPrivateKey):
        raise KvstackError("the recovery private key is not an RSA key")
    return key


def for_recovery(key: "RSAPublicKey", data_key: bytes, scope: str) -> bytes:
    """Encrypt a data key to the recovery key; bound to its scope by the padding's label."""
    return key.encrypt(data_key, _padding(scope))


def by_recovery(key: "RSAPrivateKey") -> Unwrapping:
    """Return what unwraps data keys by the recovery private key. It raises KvstackError where that is not the right
    one."""

    def unwrapped(row: DataKey) -> bytes:
        if not row.recovery:
            raise KvstackError(
                "this vault was made without a recovery key",
                "Without its key-encryption key it cannot be opened: restore the token or the key file from a backup.",
            )
        try:
            return key.decrypt(row.recovery, _padding(row.scope))
        except ValueError:
            raise KvstackError("this is not the recovery key the vault was made with") from None

    return unwrapped


def _padding(scope: str) -> "AsymmetricPadding":
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.hashes import SHA256

    return OAEP(MGF1(SHA256()), SHA256(), context(scope))


_MAKE_ONE = "Make one with `openssl genrsa -aes256 -out recovery.pem 3072` and `openssl rsa -in recovery.pem -pubout`."
