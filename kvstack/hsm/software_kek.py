"""A key-encryption key in a file of its own, for a vault without an HSM."""

import os
from collections.abc import Callable
from pathlib import Path

from kvstack.hsm.private_file import private_folder, readable_by_others, write_private
from kvstack.hsm.protocol import DecryptionFailed, HsmError

KEY_BYTES = 32
_IV_BYTES = 12
_TAG_BYTES = 16


class KeyFileUnusable(HsmError):
    """The file of a software key-encryption key is missing, damaged or open to others."""


class SoftwareKeyEncryptionKey:
    """AES-256-GCM with the context as associated data; what it wraps is the vector, the ciphertext and the tag.

    identity: which key this is, by default derived from it by HKDF so that it tells nothing about it; given where the
    key is a copy of one that lives in an HSM.
    """

    def __init__(self, key: bytes, *, identity: str = "", random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != KEY_BYTES:
            raise KeyFileUnusable(f"a key-encryption key has {KEY_BYTES} bytes, this one has {len(key)}")
        self._key = key
        self._random = random
        self._id = identity or _fingerprint(key)

    def __repr__(self) -> str:
        return f"SoftwareKeyEncryptionKey(id={self._id!r})"

    @classmethod
    def create(cls, path: Path, *, random: Callable[[int], bytes] = os.urandom) -> "SoftwareKeyEncryptionKey":
        """Make a key and its file, 0600 from its first byte. Raises KeyFileUnusable where there is a file already."""
        key = random(KEY_BYTES)
        try:
            private_folder(path.parent)
            write_private(path, key)
        except FileExistsError:
            raise KeyFileUnusable(
                f"the key file {path} is there already", "What it encrypted would be lost: move it away first."
            ) from None
        except OSError as error:
            raise KeyFileUnusable(f"the key file {path} cannot be written: {error.strerror}") from None
        return cls(key, random=random)

    @classmethod
    def open(cls, path: Path, *, random: Callable[[int], bytes] = os.urandom) -> "SoftwareKeyEncryptionKey":
        """Read the key from its file. Raises KeyFileUnusable."""
        try:
            open_to_all = readable_by_others(path)
            key = path.read_bytes()
        except OSError as error:
            raise KeyFileUnusable(
                f"the key file {path} cannot be read: {error.strerror}",
                "Restore it from a backup: without it nothing in the vault can be decrypted.",
            ) from None
        if open_to_all:
            raise KeyFileUnusable(f"the key file {path} can be read by everybody", f"Run `chmod 600 {path}`.")
        if len(key) != KEY_BYTES:
            raise KeyFileUnusable(
                f"the key file {path} is damaged: it has {len(key)} bytes instead of {KEY_BYTES}",
                "Restore it from a backup: without it nothing in the vault can be decrypted.",
            )
        return cls(key, random=random)

    @property
    def id(self) -> str:
        """Which key this is."""
        return self._id

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Wrap a data key. data_key: 32 bytes. Returns 60 bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        vector = self._random(_IV_BYTES)
        return vector + AESGCM(self._key).encrypt(vector, data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap a data key. Raises DecryptionFailed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(wrapped) < _IV_BYTES + _TAG_BYTES:
            raise DecryptionFailed
        try:
            return AESGCM(self._key).decrypt(wrapped[:_IV_BYTES], wrapped[_IV_BYTES:], context)
        except InvalidTag:
            raise DecryptionFailed from None


def _fingerprint(key: bytes) -> str:
    import hashlib
    import hmac

    # HKDF (RFC 5869), written out: two HMACs, where importing cryptography's own costs 3 ms at every start.
    pseudo_random = hmac.digest(bytes(hashlib.sha256().digest_size), key, "sha256")
    return "software-" + hmac.digest(pseudo_random, b"kvstack key-encryption key id\x01", "sha256")[:8].hex()
