"""Backup and restore of one key or one secret: an opaque, authenticated blob of all its versions with their attributes.

A blob is encrypted under a key of the store and bound to its subscription: only the store that made it opens it. Of a
wrapped HSM key it holds what the vault keeps, ciphertext under the HSM's root; a key that is an object of its token has
no backup.
"""

from typing import TypeVar

import msgspec

from kvstack.hsm.protocol import KeyMaterial, KeyReference, NotPortable
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.faults import TamperedValue
from kvstack.vault.items import KEY, KEYS, SECRET, SECRETS, Kind, live, require_unmanaged
from kvstack.vault.keys import KeyOperations
from kvstack.vault.pool_rules import bound, require_place, require_room
from kvstack.vault.records import Certificate, Key, Secret, Vault
from kvstack.vault.rotation import require_rotator
from kvstack.vault.secrets import SecretOperations, value_context
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS, KeyVersionRow, SecretVersionRow

I = TypeVar("I", bound=Key | Secret | Certificate)  # noqa: E741  # an item

_MAGIC = b"kvstack backup 1\n"
LONGEST = 64 << 20


class _KeyBackup(msgspec.Struct, frozen=True):
    """A key and its versions. Their `sealed` is what the provider wants kept, not sealed by the barrier."""

    item: Key
    versions: tuple[KeyVersionRow, ...]


class _SecretBackup(msgspec.Struct, frozen=True):
    """A secret and its versions. Their `sealed` is the value, not sealed by the barrier."""

    item: Secret
    versions: tuple[SecretVersionRow, ...]


class BackupOperations(KeyOperations, SecretOperations):
    """Keys and secrets outside the vault, for nobody but the vault."""

    def backup_key(self, caller: Caller, vault: str, name: str) -> bytes:
        """Return a key with all its versions as a blob. Raises BadParameter for one that lives in its token."""
        with self._attempt(caller, "KeyBackup", self._scope(vault, f"keys/{name}")) as attempt, attempt.reading():
            home = attempt.vault(vault, KEY.action("backup/action"), f"keys/{name}")
            item = live(attempt, home, KEY, name)
            require_unmanaged(KEY, item)
            versions = []
            for row in KEY_VERSIONS.scan(attempt.tx, vault_id=home.id, folded=item.folded):
                reference = self._reference(row)
                try:
                    self._provider(row.provider).require_portable(reference)
                except NotPortable as error:
                    raise BadParameter(error.diagnostics[0].summary, error.diagnostics[0].detail) from None
                versions.append(msgspec.structs.replace(row, sealed=reference.material.blob))
            return self._blob(KEY, _KeyBackup(item, tuple(versions)))

    def restore_key(self, caller: Caller, vault: str, blob: bytes) -> Key:
        """Bring a key back from a blob, with all its versions. Raises Conflict where its name is taken, by a deleted
        key too, BadParameter for a blob of another store, HsmError for a key wrapped under another root."""
        action = KEY.action("restore/action")
        with self._attempt(caller, "KeyRestore", self._scope(vault)) as attempt:
            with attempt.look():
                attempt.vault(vault, action)
            backup = decoded(self._opened(KEY, blob), _KeyBackup)
            item = backup.item

            def checked() -> Vault:
                home = attempt.vault(vault, action)
                attempt.at_item(home, f"keys/{item.name}")
                for row in backup.versions:
                    require_place(home, row.specification)
                self._require_free(attempt, home, KEY, item)
                require_room(attempt, home, None)
                return home

            with attempt.look():
                home = checked()
            versions = [bound(home, row) for row in backup.versions]
            for row in versions:
                # Tried, not believed: a version this token cannot open would be found out when it is needed.
                provider = self._provider(row.provider)
                provider.check(KeyReference(f"{home.id}/{row.folded}/{row.version}", row.specification, _material(row)))
            with attempt.transaction():
                home = checked()
                for row in [bound(home, row) for row in backup.versions]:
                    sealed = self._sealed_material(home.id, row.folded, row.version, _material(row))
                    KEY_VERSIONS.put(attempt.tx, msgspec.structs.replace(row, vault_id=home.id, sealed=sealed))
                restored = msgspec.structs.replace(item, vault_id=home.id, vault=home.name)
                KEYS.put(attempt.tx, restored)
                return restored

    def backup_secret(self, caller: Caller, vault: str, name: str) -> bytes:
        """Return a secret with all its versions as a blob."""
        with (
            self._attempt(caller, "SecretBackup", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, SECRET.action("backup/action"), f"secrets/{name}")
            item = live(attempt, home, SECRET, name)
            require_unmanaged(SECRET, item)
            rows = SECRET_VERSIONS.scan(attempt.tx, vault_id=home.id, folded=item.folded)
            versions = []
            for row in rows:
                value = self._barrier.open(home.id, value_context(home.id, row.folded, row.version), row.sealed)
                versions.append(msgspec.structs.replace(row, sealed=value))
            return self._blob(SECRET, _SecretBackup(item, tuple(versions)))

    def restore_secret(self, caller: Caller, vault: str, blob: bytes) -> Secret:
        """Bring a secret back from a blob, with all its versions. Raises Conflict where its name is taken, by a deleted
        secret too, BadParameter for a blob of another store."""
        with self._attempt(caller, "SecretRestore", self._scope(vault)) as attempt, attempt.transaction():
            home = attempt.vault(vault, SECRET.action("restore/action"))
            backup = decoded(self._opened(SECRET, blob), _SecretBackup)
            item = backup.item
            attempt.at_item(home, f"secrets/{item.name}")
            # Whom the operator had asked for a secret in one vault is not asked for another's by who may restore it.
            require_rotator(attempt, item.rotation, None, operator=self._settings.operator_id)
            self._require_free(attempt, home, SECRET, item)
            fingerprint = item.fingerprint
            for row in backup.versions:
                # A fingerprint tells two values of one place apart, and this may be another place.
                own = self._barrier.fingerprint((home.folded, row.folded), row.sealed)
                sealed = self._barrier.seal(home.id, value_context(home.id, row.folded, row.version), row.sealed)
                SECRET_VERSIONS.put(
                    attempt.tx, msgspec.structs.replace(row, vault_id=home.id, sealed=sealed, fingerprint=own)
                )
                fingerprint = own if row.version == item.version else fingerprint
            restored = msgspec.structs.replace(
                item, vault_id=home.id, vault=home.name, fingerprint=fingerprint, underway=None
            )
            SECRETS.put(attempt.tx, restored)
            return restored

    def _require_free(self, attempt: Attempt, home: Vault, kind: Kind[I], item: I) -> None:
        there = self._free_name(attempt, home, kind, item.name)
        if there is not None:
            raise Conflict(
                f"there is a {kind.word} `{there.name}` in {home.kind} `{home.name}`: a backup is restored only where "
                "its name is free",
                f"Delete and purge the {kind.word}, or restore into another vault.",
            )

    def _blob(self, kind: Kind[I], backup: msgspec.Struct) -> bytes:
        return _MAGIC + self._barrier.seal_outside(self._backup_context(kind), msgspec.msgpack.encode(backup))

    def _opened(self, kind: Kind[I], blob: bytes) -> bytes:
        if not blob.startswith(_MAGIC):
            raise BadParameter(f"this is no backup of a {kind.word}", f"`kvstack {kind.word} backup` makes them.")
        try:
            return self._barrier.open_outside(self._backup_context(kind), blob[len(_MAGIC) :])
        except TamperedValue:
            raise errors.foreign_backup(kind.word) from None

    def _backup_context(self, kind: Kind[I]) -> tuple[str, ...]:
        return self._settings.subscription_id, kind.collection


B = TypeVar("B", bound=msgspec.Struct)


def decoded(content: bytes, kind: type[B]) -> B:
    """Return what a backup holds. Raises BadParameter."""
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadParameter("the backup has an unknown shape", "It was made by a newer kvstack; use that one.") from None


def _material(row: KeyVersionRow) -> KeyMaterial:
    return KeyMaterial(row.provider, row.sealed, row.public)
