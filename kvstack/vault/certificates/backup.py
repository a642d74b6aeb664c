"""Backup and restore of a certificate, with its key and its secret: one opaque, authenticated blob of all versions."""

import msgspec

from kvstack.hsm.protocol import KeyMaterial, KeyReference, NotPortable
from kvstack.vault.backup import BackupOperations, decoded
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.pending import PendingOperations
from kvstack.vault.certificates.rows import (
    CERTIFICATE_VERSIONS,
    CERTIFICATES,
    ISSUED,
    Certificate,
    CertificateVersionRow,
    IssuedRow,
)
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.items import CERTIFICATE, KEYS, SECRETS, linked_items, live
from kvstack.vault.pool_rules import require_place
from kvstack.vault.records import Key, Secret, Vault
from kvstack.vault.secrets import value_context
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS, KeyVersionRow, SecretVersionRow


class _Backup(msgspec.Struct, frozen=True):
    """All three with their versions. The versions' `sealed` is what lies under the barrier; issued: what it issued, so
    that it can still be revoked."""

    item: Certificate
    versions: tuple[CertificateVersionRow, ...]
    key: Key
    key_versions: tuple[KeyVersionRow, ...]
    secret: Secret
    secret_versions: tuple[SecretVersionRow, ...]
    issued: tuple[IssuedRow, ...]


class CertificateBackupOperations(BackupOperations, PendingOperations):
    """Certificates outside the vault, for nobody but the vault."""

    def backup_certificate(self, caller: Caller, vault: str, name: str) -> bytes:
        """Return a certificate with its key, its secret and all versions as a blob. A pending request is not in it.
        Raises BadParameter for a key that lives in its token."""
        with (
            self._attempt(caller, "CertificateBackup", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, CERTIFICATE.action("backup/action"), f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            return self._blob(CERTIFICATE, self._gathered(attempt, home, item))

    def restore_certificate(self, caller: Caller, vault: str, blob: bytes) -> Certificate:
        """Bring a certificate back from a blob, with its key, its secret and all versions. Raises Conflict where its
        name is taken, BadParameter for a blob of another store, HsmError for a key wrapped under another root."""
        action = CERTIFICATE.action("restore/action")
        with self._attempt(caller, "CertificateRestore", self._scope(vault)) as attempt:
            with attempt.look():
                attempt.vault(vault, action)
            backup = decoded(self._opened(CERTIFICATE, blob), _Backup)
            item = backup.item

            def checked() -> Vault:
                home = attempt.vault(vault, action)
                attempt.at_item(home, f"certificates/{item.name}")
                for row in backup.key_versions:
                    require_place(home, row.specification)
                there = self._free_certificate_name(attempt, home, item.name)
                if there is not None:
                    raise Conflict(
                        f"there is a certificate `{there.name}` in vault `{home.name}`: a backup is restored only "
                        "where its name is free",
                        "Delete and purge the certificate, or restore into another vault.",
                    )
                return home

            with attempt.look():
                home = checked()
            for row in backup.key_versions:
                # Tried, not believed: a version this token cannot open would be found out when it is needed.
                material = KeyMaterial(row.provider, row.sealed, row.public)
                reference = KeyReference(f"{home.id}/{row.folded}/{row.version}", row.specification, material)
                self._provider(row.provider).check(reference)
            with attempt.transaction():
                return self._written(attempt, checked(), backup)

    def _gathered(self, attempt: Attempt, home: Vault, item: Certificate) -> _Backup:
        linked = {type(one): one for one in linked_items(attempt, item)}
        key, secret = linked.get(Key), linked.get(Secret)
        if not isinstance(key, Key) or not isinstance(secret, Secret):
            raise Conflict(
                f"the certificate `{item.name}` in vault `{home.name}` is pending: there is nothing to back up yet",
                "Merge what was signed first.",
                inner="CertificatePending",
            )
        place = {"vault_id": home.id, "folded": item.folded}
        key_versions = []
        for row in KEY_VERSIONS.scan(attempt.tx, **place):
            reference = self._reference(row)
            try:
                self._provider(row.provider).require_portable(reference)
            except NotPortable as error:
                raise BadParameter(error.diagnostics[0].summary, error.diagnostics[0].detail) from None
            key_versions.append(msgspec.structs.replace(row, sealed=reference.material.blob))
        secret_versions = [
            msgspec.structs.replace(
                row, sealed=self._barrier.open(home.id, value_context(home.id, row.folded, row.version), row.sealed)
            )
            for row in SECRET_VERSIONS.scan(attempt.tx, **place)
        ]
        return _Backup(
            item=msgspec.structs.replace(item, pending=False),
            versions=tuple(CERTIFICATE_VERSIONS.scan(attempt.tx, **place)),
            key=key,
            key_versions=tuple(key_versions),
            secret=secret,
            secret_versions=tuple(secret_versions),
            issued=tuple(ISSUED.scan(attempt.tx, **place)),
        )

    def _written(self, attempt: Attempt, home: Vault, backup: _Backup) -> Certificate:
        there, item = {"vault_id": home.id}, backup.item
        for key_row in backup.key_versions:
            material = KeyMaterial(key_row.provider, key_row.sealed, key_row.public)
            sealed = self._sealed_material(home.id, key_row.folded, key_row.version, material)
            KEY_VERSIONS.put(attempt.tx, msgspec.structs.replace(key_row, sealed=sealed, **there))
        fingerprint = backup.secret.fingerprint
        for row in backup.secret_versions:
            own = self._barrier.fingerprint((home.folded, row.folded), row.sealed)
            sealed = self._barrier.seal(home.id, value_context(home.id, row.folded, row.version), row.sealed)
            SECRET_VERSIONS.put(attempt.tx, msgspec.structs.replace(row, sealed=sealed, fingerprint=own, **there))
            fingerprint = own if row.version == item.version else fingerprint
        for version in backup.versions:
            CERTIFICATE_VERSIONS.put(attempt.tx, msgspec.structs.replace(version, **there))
        for given in backup.issued:
            ISSUED.put(attempt.tx, msgspec.structs.replace(given, **there))
        KEYS.put(attempt.tx, msgspec.structs.replace(backup.key, vault=home.name, **there))
        secret = msgspec.structs.replace(backup.secret, vault=home.name, fingerprint=fingerprint, **there)
        SECRETS.put(attempt.tx, secret)
        restored = msgspec.structs.replace(item, vault=home.name, **there)
        CERTIFICATES.put(attempt.tx, restored)
        return restored
