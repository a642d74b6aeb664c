"""Backup and restore of a whole Managed HSM: everything in it, as only a token of its own security domain can read it.

The key that seals a backup is drawn in the HSM and wrapped under the root of the security domain. So it opens in every
Managed HSM of that domain, in whichever store, and nowhere else.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from kvstack.hsm.protocol import DecryptionFailed, KeyMaterial, KeyReference
from kvstack.terms import limits
from kvstack.terms.local_role import ADMINISTRATOR
from kvstack.terms.name import folded
from kvstack.vault import errors
from kvstack.vault.backup import BackupOperations, decoded
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.items import KEY, KEYS
from kvstack.vault.local_access import LocalAssignment, LocalRole
from kvstack.vault.pool_home import inside
from kvstack.vault.pool_jobs import PoolJobOperations
from kvstack.vault.pool_rows import Job
from kvstack.vault.pool_rules import bound
from kvstack.vault.records import Key, Pool, Vault
from kvstack.vault.versions import KEY_VERSIONS, KeyVersionRow

BACKUP: Final = "Microsoft.KeyVault/managedHsm/backup/start/action"
RESTORE: Final = "Microsoft.KeyVault/managedHsm/restore/start/action"
LONGEST: Final = 1 << 30
# Azure's own rule: what a restore takes away has to be in a backup that was made just before.
FRESH: Final = timedelta(minutes=30)

_MAGIC = b"kvstack managed hsm backup 1\n"
_DOMAIN = re.compile("[0-9a-f]{32}")
_DOMAIN_BYTES = 32  # hexadecimal, in clear: it tells which custodians to ask


class _Kept(msgspec.Struct, frozen=True):
    """A key and its versions. Their `sealed` is what the tokens want kept, not sealed by any store's barrier."""

    item: Key
    versions: tuple[KeyVersionRow, ...]


class _PoolBackup(msgspec.Struct, frozen=True):
    """All there is in a Managed HSM: its keys, the deleted ones too, and who may do what in it."""

    name: str
    taken: datetime
    keys: tuple[_Kept, ...]
    assignments: tuple[LocalAssignment, ...]
    roles: tuple[LocalRole, ...]


class RestoredPool(msgspec.Struct, frozen=True):
    """What a restore did. taken: when the backup was; keys: names of those it brought; gone: of those that were there
    and are no more; assignments: how many roles are given now."""

    taken: datetime
    keys: tuple[str, ...]
    gone: tuple[str, ...] = ()
    assignments: int = 0


class PoolBackupOperations(BackupOperations, PoolJobOperations):
    """Managed HSMs outside the store, for nobody but their security domain. job: what it is to be asked about by later,
    nothing where None."""

    def backup_managed_hsm(
        self, caller: Caller, hsm: str, *, keep: Callable[[bytes], None] | None = None, job: Job | None = None
    ) -> bytes:
        """Return everything in a Managed HSM as a blob: keys with all versions and attributes, deleted ones too, and
        the roles inside it. keep: puts the blob where it is safe; only then is the Managed HSM known to be backed
        up."""
        with self._attempt(caller, "FullBackup", self._scope(hsm)) as attempt:
            with attempt.look():
                home, pool = inside(attempt, hsm, BACKUP)
                taken, content = attempt.now, self._content(attempt, home)
            header = _header(pool)
            sealed: bytes = self._pools.keys(home).seal(msgspec.msgpack.encode(content), header)
            if keep is not None:
                keep(header + sealed)
            with attempt.transaction():
                home, pool = inside(attempt, hsm, BACKUP)
                attempt.details.update(keys=str(len(content.keys)), domain=pool.domain)
                changed = replace(home, pool=replace(pool, backed_up=taken))
                attempt.changes_registry().put_vault(attempt.tx, changed)
                self._keep_job(attempt, home, "backup", job, taken)
            return header + sealed

    def check_managed_hsm_backup(self, caller: Caller, hsm: str, *, place: Callable[[], None], job: Job) -> None:
        """Refuse what a backup would be refused for, and make none. place: raises where a backup could not be kept."""
        with self._attempt(caller, "PreFullBackup", self._scope(hsm)) as attempt:
            with attempt.look():
                inside(attempt, hsm, BACKUP)
            place()
            with attempt.transaction():
                home, _ = inside(attempt, hsm, BACKUP)
                self._keep_job(attempt, home, "backup", job, attempt.now)

    def restore_managed_hsm(
        self, caller: Caller, hsm: str, blob: bytes | Callable[[], bytes], *, job: Job | None = None
    ) -> RestoredPool:
        """Bring a Managed HSM back to what a backup holds: keys and roles that are not in it are gone. Its present
        administrators stay. Where there are keys, a backup of them has to be 30 minutes old at most; where it is
        purge-protected nothing is restored that would destroy a version. blob: or what reads it, once it is known that
        the caller may restore. Raises BadParameter for a backup of another security domain, or that was changed."""
        with self._attempt(caller, "FullRestore", self._scope(hsm)) as attempt:
            backup = self._restorable(attempt, hsm, blob)
            began = attempt.now
            with attempt.transaction():
                home, pool = inside(attempt, hsm, RESTORE)
                self._require_backed_up(attempt, home, pool)
                gone = self._require_nothing_destroyed(attempt, home, backup)
                for row in KEY_VERSIONS.scan(attempt.tx, vault_id=home.id):
                    KEY_VERSIONS.delete(attempt.tx, row.vault_id, row.folded, row.version)
                for item in KEYS.scan(attempt.tx, vault_id=home.id):
                    KEYS.delete(attempt.tx, item.vault_id, item.folded)
                for kept in backup.keys:
                    self._put(attempt, home, kept)
                assignments = self._restore_roles(attempt, home, backup)
                names = tuple(sorted(kept.item.name for kept in backup.keys))
                attempt.details.update(keys=str(len(names)), gone=str(len(gone)), taken=backup.taken.isoformat())
                self._keep_job(attempt, home, "restore", job, began)
                return RestoredPool(backup.taken, names, gone, assignments)

    def check_managed_hsm_restore(self, caller: Caller, hsm: str, blob: Callable[[], bytes], *, job: Job) -> None:
        """Refuse what a full restore would be refused for, and restore nothing: the whole backup is opened, and every
        version in it tried."""
        with self._attempt(caller, "PreFullRestore", self._scope(hsm)) as attempt:
            backup = self._restorable(attempt, hsm, blob)
            began = attempt.now
            with attempt.transaction():
                home, pool = inside(attempt, hsm, RESTORE)
                self._require_backed_up(attempt, home, pool)
                self._require_nothing_destroyed(attempt, home, backup)
                self._keep_job(attempt, home, "restore", job, began)

    def restore_managed_hsm_key(
        self, caller: Caller, hsm: str, blob: bytes | Callable[[], bytes], key: str, *, job: Job | None = None
    ) -> Key:
        """Bring one key back from a backup, with all its versions. blob: or what reads it, once it is known that the
        caller may restore. Raises Conflict where its name is taken: a deleted key is recovered, or purged first."""
        with self._attempt(caller, "SelectiveKeyRestore", self._scope(hsm, f"keys/{key}")) as attempt:
            with attempt.look():
                home, pool = inside(attempt, hsm, RESTORE)
                began = attempt.now
            backup = self._opened_pool(home, pool, blob if isinstance(blob, bytes) else blob())
            found = next((kept for kept in backup.keys if kept.item.folded == folded(key)), None)
            if found is None:
                raise errors.not_found("key", key, " in the backup", code="KeyNotFound")
            self._check(home, found)
            with attempt.transaction():
                home, pool = inside(attempt, hsm, RESTORE)
                attempt.at_item(home, f"keys/{found.item.name}")
                self._require_free(attempt, home, KEY, found.item)
                self._require_room_for(attempt, home)
                attempt.details.update(versions=str(len(found.versions)), taken=backup.taken.isoformat())
                self._keep_job(attempt, home, "restore", job, began)
                # Who asks for a key that was deleted when the backup was made wants it back.
                return self._put(attempt, home, replace(found, item=replace(found.item, deletion=None)))

    def _restorable(self, attempt: Attempt, hsm: str, blob: bytes | Callable[[], bytes]) -> _PoolBackup:
        """Return a backup that can be restored in full, every version of it tried. Raises VaultError."""
        with attempt.look():
            home, pool = inside(attempt, hsm, RESTORE)
        backup = self._opened_pool(home, pool, blob if isinstance(blob, bytes) else blob())
        with attempt.look():
            home, pool = inside(attempt, hsm, RESTORE)
            self._require_backed_up(attempt, home, pool)
        for kept in backup.keys:
            self._check(home, kept)
        return backup

    def _content(self, attempt: Attempt, home: Vault) -> _PoolBackup:
        """Return what is in a Managed HSM."""
        versions: dict[str, list[KeyVersionRow]] = {}
        for row in KEY_VERSIONS.scan(attempt.tx, vault_id=home.id):
            blob = self._reference(row).material.blob
            versions.setdefault(row.folded, []).append(replace(row, sealed=blob))
        keys = sorted(KEYS.scan(attempt.tx, vault_id=home.id), key=lambda item: item.folded)
        local = attempt.registry.local(home.name)
        return _PoolBackup(
            home.name,
            attempt.now,
            tuple(_Kept(item, tuple(versions.get(item.folded, ()))) for item in keys),
            tuple(local.assignments.values()),
            tuple(local.custom_roles.values()),
        )

    def _opened_pool(self, home: Vault, pool: Pool, blob: bytes) -> _PoolBackup:
        """Return what a blob holds, once the HSM has opened it. Raises BadParameter."""
        start = len(_MAGIC) + _DOMAIN_BYTES + 1
        domain = blob[len(_MAGIC) : start - 1].decode("ascii", "replace")
        if not blob.startswith(_MAGIC) or len(blob) <= start or not _DOMAIN.fullmatch(domain):
            raise BadParameter("this is no backup of a Managed HSM", "`kvstack hsm backup` makes them.")
        if domain != pool.domain:
            raise BadParameter(
                f"the backup is of the security domain {domain}, Managed HSM `{home.name}` is of {pool.domain}",
                "Make a new Managed HSM, upload that security domain into it, and restore there.",
            )
        try:
            content = self._pools.keys(home).open(blob[start:], blob[:start])
        except DecryptionFailed:
            raise errors.foreign_backup("Managed HSM") from None
        return decoded(content, _PoolBackup)

    def _check(self, home: Vault, kept: _Kept) -> None:
        """Try every version: one the tokens cannot open would be found out when it is needed."""
        for row in [bound(home, one) for one in kept.versions]:
            material = KeyMaterial(row.provider, row.sealed, row.public)
            self._pools.keys(home).check(
                KeyReference(f"{home.id}/{row.folded}/{row.version}", row.specification, material)
            )

    def _put(self, attempt: Attempt, home: Vault, kept: _Kept) -> Key:
        for row in [bound(home, one) for one in kept.versions]:
            material = KeyMaterial(row.provider, row.sealed, row.public)
            sealed = self._sealed_material(home.id, row.folded, row.version, material)
            KEY_VERSIONS.put(attempt.tx, replace(row, vault_id=home.id, sealed=sealed))
        restored = replace(kept.item, vault_id=home.id, vault=home.name)
        KEYS.put(attempt.tx, restored)
        return restored

    def _restore_roles(self, attempt: Attempt, home: Vault, backup: _PoolBackup) -> int:
        """Put the backup's roles in place of those there are. Returns how many are given."""
        registry = attempt.changes_registry()
        # A backup may come from a store whose people nobody here is: who administers this one must not be shut out.
        administrators = [
            one
            for one in registry.local(home.name).assignments.values()
            if one.role_id == ADMINISTRATOR and one.scope == "/"
        ]
        registry.remove_local(attempt.tx, home)
        for role in backup.roles:
            registry.put_local_role(attempt.tx, home, replace(role, vault_id=home.id))
        given: set[tuple[str, str, str]] = set()
        for assignment in (*backup.assignments, *administrators):
            three = (assignment.scope.lower(), assignment.role_id, assignment.principal_id)
            if three not in given:
                registry.put_local_assignment(attempt.tx, home, replace(assignment, vault_id=home.id))
                given.add(three)
        return len(given)

    def _require_backed_up(self, attempt: Attempt, home: Vault, pool: Pool) -> None:
        if not KEYS.count(attempt.tx, vault_id=home.id):
            return
        if pool.backed_up is None or attempt.now - pool.backed_up > FRESH:
            raise Forbidden(
                f"Managed HSM `{home.name}` holds keys, and no backup of it was made in the last 30 minutes",
                f"A full restore takes away what is not in the backup: run `kvstack hsm backup {home.name}` first. "
                "To bring back one key, name it.",
                inner="BackupRequired",
            )

    def _require_nothing_destroyed(self, attempt: Attempt, home: Vault, backup: _PoolBackup) -> tuple[str, ...]:
        """Return the names of keys that are there and not in the backup. Raises Forbidden where purge protection keeps
        a version that would be gone."""
        brought = {(row.folded, row.version) for kept in backup.keys for row in kept.versions}
        lost = sorted(
            {
                row.folded
                for row in KEY_VERSIONS.scan(attempt.tx, vault_id=home.id)
                if (row.folded, row.version) not in brought
            }
        )
        if lost and home.purge_protection:
            raise Forbidden(
                f"Managed HSM `{home.name}` is purge-protected, and the restore would destroy versions of {len(lost)} "
                f"keys (`{lost[0]}`)",
                "Nobody can destroy them before their retention ends; restore single keys instead.",
                inner="ForbiddenByPurgeProtection",
            )
        names = {kept.item.folded for kept in backup.keys}
        return tuple(sorted(item.name for item in KEYS.scan(attempt.tx, vault_id=home.id) if item.folded not in names))

    @staticmethod
    def _require_room_for(attempt: Attempt, home: Vault) -> None:
        if KEYS.count(attempt.tx, vault_id=home.id) >= limits.POOL_KEYS:
            raise BadParameter(f"Managed HSM `{home.name}` holds {limits.POOL_KEYS} keys, and no more fit in")


def _header(pool: Pool) -> bytes:
    return _MAGIC + pool.domain.encode() + b"\n"
