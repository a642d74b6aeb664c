"""The barrier: every value at rest is encrypted, and bound to the one place it belongs to."""

import hmac
import os
import sqlite3
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from kvstack.hsm.protocol import DecryptionFailed, KeyEncryptionKey
from kvstack.vault import faults
from kvstack.vault.data_key import (
    DATA_KEY_BYTES,
    DATA_KEYS,
    DataKey,
    Unwrapping,
    context,
    for_recovery,
    recovery_public_key,
)
from kvstack.vault.store import Store
from kvstack.vault.transaction import Transaction

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

STORE = "store"
_SEALED = b"\x01"  # the first byte of a sealed value: how it was sealed
_NONCE_BYTES = 12
_TAG_BYTES = 16

_encode = msgspec.msgpack.Encoder().encode


class Barrier:
    """Seals and opens values under a data key a scope; data keys are wrapped by the key-encryption key.

    A scope is a vault's id, or `store`. A data key is unwrapped when it is first needed, once a process. recovery:
    the PEM of the public key data keys are also encrypted to, empty for none.
    """

    def __init__(
        self,
        store: Store,
        kek: KeyEncryptionKey,
        store_key: bytes,
        *,
        recovery: bytes = b"",
        unwrapping: Unwrapping | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Take over an unwrapped key of the store; `create` and `unlock` get one."""
        self._store = store
        self._kek = kek
        self._store_key = store_key
        self._recovery = recovery
        self._unwrapped = unwrapping or by_kek(kek)
        self._random = random
        self._ciphers: dict[str, AESGCM] = {}

    def __repr__(self) -> str:
        return f"Barrier(kek={self._kek.id!r})"

    @classmethod
    def create(
        cls,
        store: Store,
        kek: KeyEncryptionKey,
        *,
        recovery: bytes = b"",
        random: Callable[[int], bytes] = os.urandom,
    ) -> "Barrier":
        """Make the key of a new store, and authenticate the store by it. Raises StoreFault, HsmUnavailable."""
        barrier = cls(store, kek, random(DATA_KEY_BYTES), recovery=recovery, random=random)
        store.authenticate(barrier.mac_key, create=True)
        with store.transaction() as tx:
            DATA_KEYS.put(tx, barrier._wrapped(STORE, barrier._store_key))
        return barrier

    @classmethod
    def unlock(
        cls,
        store: Store,
        kek: KeyEncryptionKey,
        *,
        unwrapping: Unwrapping | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> "Barrier":
        """Unwrap the key of a store, and authenticate the store by it. unwrapping: by another key than the
        key-encryption key. Raises StoreFault, HsmUnavailable."""
        found = stored_key(store)
        barrier = cls(store, kek, (unwrapping or by_kek(kek))(found), unwrapping=unwrapping, random=random)
        store.authenticate(barrier.mac_key)
        with store.transaction() as tx:
            # Only now can be told whether it was the row the vault wrote last.
            if DATA_KEYS.get(tx, STORE) != found:
                raise faults.TamperedRow(DATA_KEYS.name, (STORE,), "changed while it was read")
        return barrier

    def by_key(self, kek: KeyEncryptionKey) -> None:
        """Wrap by this key-encryption key from here on: the same one, opened anew."""
        self._kek = kek

    def with_recovery(self, pem: bytes) -> None:
        """From here on encrypt data keys to this public key, too. It must come from an authenticated row."""
        self._recovery = pem

    # Values

    def seal(self, scope: str, context: tuple[str, ...], value: bytes) -> bytes:
        """Encrypt a value for one place. context: vault, kind, name, version, column. Returns 29 bytes more than the
        value.

        AES-256-GCM with a random 96-bit nonce: good for 2**32 values a data key (NIST SP 800-38D, 8.3).
        """
        nonce = self._random(_NONCE_BYTES)
        return _SEALED + nonce + self._cipher(scope).encrypt(nonce, value, _encode((scope, context)))

    def open(self, scope: str, context: tuple[str, ...], sealed: bytes) -> bytes:
        """Decrypt a value from its place. Raises TamperedValue where it was edited, or sealed for another place."""
        from cryptography.exceptions import InvalidTag

        if sealed[:1] != _SEALED or len(sealed) < len(_SEALED) + _NONCE_BYTES + _TAG_BYTES:
            raise faults.TamperedValue(context)
        nonce = sealed[1 : 1 + _NONCE_BYTES]
        try:
            return self._cipher(scope).decrypt(nonce, sealed[1 + _NONCE_BYTES :], _encode((scope, context)))
        except InvalidTag:
            raise faults.TamperedValue(context) from None

    def seal_outside(self, context: tuple[str, ...], value: bytes) -> bytes:
        """Encrypt what leaves the store, under a key of the store's own. Returns 29 bytes more than the value."""
        nonce = self._random(_NONCE_BYTES)
        return _SEALED + nonce + _cipher(self._derived(b"backups")).encrypt(nonce, value, _encode(context))

    def open_outside(self, context: tuple[str, ...], sealed: bytes) -> bytes:
        """Decrypt what came back. Raises TamperedValue where it was changed, or sealed by another store."""
        from cryptography.exceptions import InvalidTag

        if sealed[:1] != _SEALED or len(sealed) < len(_SEALED) + _NONCE_BYTES + _TAG_BYTES:
            raise faults.TamperedValue(context)
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return _cipher(self._derived(b"backups")).decrypt(nonce, rest, _encode(context))
        except InvalidTag:
            raise faults.TamperedValue(context) from None

    def fingerprint(self, context: tuple[str, ...], value: bytes) -> str:
        """Return what tells two values of one place apart and tells nothing else: HMAC-SHA256, 64 hexadecimal
        digits."""
        return hmac.digest(self._fingerprint_key, _encode((context, value)), "sha256").hex()

    # Data keys

    def create_data_key(self, tx: Transaction, scope: str) -> None:
        """Make a scope's data key. Raises HsmUnavailable."""
        key = self._random(DATA_KEY_BYTES)
        tx.journal.append((self._forget, (scope,)))
        DATA_KEYS.put(tx, self._wrapped(scope, key))
        self._ciphers[scope] = _cipher(key)

    def destroy_data_key(self, tx: Transaction, scope: str) -> None:
        """Forget a scope's data key for good, in the file, too: nothing sealed under it can be opened again."""
        DATA_KEYS.delete(tx, scope)
        tx.scrub = True
        self._forget(scope)

    def rewrap(self, tx: Transaction) -> int:
        """Wrap all data keys by the key-encryption key, which did not wrap them before. Returns how many."""
        rows = DATA_KEYS.scan(tx)
        for row in rows:
            wrapped = self._kek.wrap(self._unwrapped(row), context(row.scope))
            DATA_KEYS.put(tx, msgspec.structs.replace(row, kek=self._kek.id, wrapped=wrapped))
        return len(rows)

    def _wrapped(self, scope: str, key: bytes) -> DataKey:
        recovery = for_recovery(recovery_public_key(self._recovery), key, scope) if self._recovery else b""
        return DataKey(scope, self._kek.id, self._kek.wrap(key, context(scope)), recovery)

    def _cipher(self, scope: str) -> "AESGCM":
        found = self._ciphers.get(scope)
        if found is None:
            with self._store.transaction() as tx:
                row = DATA_KEYS.get(tx, scope)
            if row is None:
                raise faults.StoreFault(
                    f"there is no data key for {scope}", "It was destroyed when its vault was purged."
                )
            found = self._ciphers[scope] = _cipher(self._unwrapped(row))
        return found

    def _forget(self, scope: str) -> None:
        self._ciphers.pop(scope, None)

    # Keys derived from the store's data key

    @property
    def mac_key(self) -> bytes:
        """The key rows are authenticated under, 32 bytes."""
        return self._derived(b"rows")

    @property
    def audit_key(self) -> bytes:
        """The key audit records are chained under, 32 bytes."""
        return self._derived(b"audit")

    @cached_property
    def identity(self) -> str:
        """What tells this store from every other, and no more: 32 hexadecimal digits."""
        return self._derived(b"identity").hex()[:32]

    @cached_property
    def _fingerprint_key(self) -> bytes:
        return self._derived(b"fingerprints")

    def _derived(self, purpose: bytes) -> bytes:
        """HKDF (RFC 5869) for one block, written out: importing cryptography's would cost every start its time."""
        pseudo_random = hmac.digest(b"kvstack store", self._store_key, "sha256")
        return hmac.digest(pseudo_random, purpose + b"\x01", "sha256")


def by_kek(kek: KeyEncryptionKey) -> Unwrapping:
    """Return what unwraps data keys by the key-encryption key. It raises StoreFault where that is another one."""

    def unwrapped(row: DataKey) -> bytes:
        try:
            return kek.unwrap(row.wrapped, context(row.scope))
        except DecryptionFailed:
            if row.kek != kek.id:
                raise faults.StoreFault(
                    f"the vault was encrypted by the key-encryption key {row.kek}, and this one is {kek.id}",
                    "Restore the token or key file that belongs to this vault, or use the recovery key.",
                ) from None
            raise faults.TamperedRow(DATA_KEYS.name, (row.scope,), "was edited") from None

    return unwrapped


def stored_key(store: Store) -> DataKey:
    """Read the store's own data key, under which everything else is authenticated. Its wrapping authenticates it."""
    try:
        body = store.raw(f"SELECT body FROM {DATA_KEYS.name} WHERE scope = '{STORE}'")  # noqa: S608
    except sqlite3.Error as error:
        raise faults.of_database(error, store.path) from error
    try:
        return msgspec.msgpack.decode(body or b"", type=DataKey)
    except (msgspec.MsgspecError, TypeError):
        raise faults.CorruptStore(
            f"{store.path}: the vault's own data key is missing or damaged", "Restore the vault's folder from a backup."
        ) from None


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
