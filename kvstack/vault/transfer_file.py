"""The file a vault travels in: one text of bytes under a password, encrypted and authenticated as a whole."""

import os
from collections.abc import Callable
from typing import Final

from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter

LONGEST: Final = 1 << 30
LEAST_PASSWORD: Final = 8

# They are what the first line stands for: a file cannot ask for less work than this, or for more.
_MAGIC: Final = b"kvstack vault export 1\n"
_COST, _BLOCK, _PARALLEL = 2**17, 8, 1
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 16, 12, 16, 32
_HEADER_BYTES: Final = len(_MAGIC) + _SALT_BYTES + _NONCE_BYTES


def require_password(password: SecretValue) -> None:
    """Refuse a password that is too short to keep a vault under. Raises BadParameter."""
    if len(password.reveal()) < LEAST_PASSWORD:
        raise BadParameter(f"the password has fewer than {LEAST_PASSWORD} bytes", "Whoever guesses it has every value.")


def sealing(password: SecretValue, random: Callable[[int], bytes] = os.urandom) -> Callable[[bytes], bytes]:
    """Return what makes the file of its content. The slow part is done before it is returned."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = random(_SALT_BYTES), random(_NONCE_BYTES)
    cipher, header = AESGCM(_derived(password, salt)), _MAGIC + salt + nonce
    return lambda content: header + cipher.encrypt(nonce, content, header)


def content_of(blob: bytes, password: SecretValue) -> bytes:
    """Return what a file holds. Raises BadParameter: one error whatever was changed, and for a wrong password."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not blob.startswith(_MAGIC) or len(blob) < _HEADER_BYTES + _TAG_BYTES:
        raise _foreign()
    header = blob[:_HEADER_BYTES]
    salt, nonce = header[len(_MAGIC) : -_NONCE_BYTES], header[-_NONCE_BYTES:]
    try:
        return AESGCM(_derived(password, salt)).decrypt(nonce, blob[_HEADER_BYTES:], header)
    except InvalidTag:
        raise _foreign() from None


def _derived(password: SecretValue, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=_KEY_BYTES, n=_COST, r=_BLOCK, p=_PARALLEL).derive(password.reveal())


def _foreign() -> BadParameter:
    return BadParameter(
        "the file does not open: it has another password, is no exported vault, or was changed",
        "`kvstack vault export` makes them. Nothing was imported.",
    )
