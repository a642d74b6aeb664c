"""Keys: made, rotated, changed, read, soft-deleted, recovered, purged; using them is in `key_use.py`."""

from collections.abc import Callable, Mapping, Set
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.hsm.protocol import KeyMaterial, KeyReference
from kvstack.terms import key as key_rules
from kvstack.terms.key import KeySpecification, Operation
from kvstack.terms.name import folded
from kvstack.terms.release_policy import ReleasePolicy
from kvstack.terms.rotation import RotationPolicy
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.events import emit_version
from kvstack.vault.items import (
    KEY,
    KEYS,
    ItemOperations,
    live,
    moment,
    newest_enabled,
    previous_since,
    require_unmanaged,
    version_not_found,
)
from kvstack.vault.key_attributes import KeyAttributes, expiry_by_rotation, new_attributes, require_valid
from kvstack.vault.pool_rules import require_home, require_place, require_policy, require_room, require_rotation
from kvstack.vault.prepared_key import PreparedKey, require_fitting
from kvstack.vault.records import Key, KeyVersion, Vault
from kvstack.vault.release_rules import Release, with_policy, with_release
from kvstack.vault.rotation import WRITE_KEY_POLICY
from kvstack.vault.versions import KEY_VERSIONS, KeyVersionRow

CREATE = KEY.action("create/action")
ROTATE = KEY.action("rotate/action")
UPDATE = KEY.action("update/action")


class KeyOperations(ItemOperations):
    """What can be done with keys, using them aside."""

    def prepare_key(
        self, specification: KeySpecification, *, exportable: bool = False, vault: str | None = None
    ) -> PreparedKey:
        """Generate a key on the caller's thread, outside any batch: nothing is kept until `create_key` or `rotate_key`
        gets it. vault: has to be told for a key of a Managed HSM. Raises BadParameter for a specification
        there is not, Unavailable without an HSM."""
        found = list(key_rules.problems(specification))
        if found:
            raise BadParameter.of(found)
        home = self._pool_named(vault) if vault is not None else None
        return PreparedKey(specification, self._generated(specification, exportable, home), exportable)

    def discard_key(self, prepared: PreparedKey) -> None:
        """Let a prepared key go that nothing keeps."""
        self._forget(KeyReference("discarded", prepared.specification, prepared.material))

    def create_key(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        specification: KeySpecification,
        operations: Set[Operation] | None = None,
        enabled: bool = True,
        not_before: datetime | None = None,
        expires: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        rotation: RotationPolicy | UnsetType | None = UNSET,
        exportable: bool | UnsetType = UNSET,
        release_policy: ReleasePolicy | UnsetType | None = UNSET,
        prepared: PreparedKey | None = None,
        only_if_absent: bool = False,
    ) -> KeyVersion:
        """Make a key, or a new version of one that is there. operations: all the type can do where None; rotation: the
        key's policy, which stays where none is given; exportable: whether it may leave the vault, which its first
        version decides; release_policy: to whom, stays where none is given; prepared: from `prepare_key`, of the same
        specification. only_if_absent: raise Conflict where there is one."""
        attributes = new_attributes(specification, operations, enabled, not_before, expires, tags, rotation)
        return self._created(
            caller,
            ("KeyCreate", CREATE),
            (vault, name),
            attributes,
            specification=specification,
            rotation=rotation,
            release=Release(exportable, release_policy),
            export_by_default=operations is None,
            prepared=prepared,
            make=self._generated,
            only_if_absent=only_if_absent,
        )

    def _created(
        self,
        caller: Caller,
        operation: tuple[str, str],
        place: tuple[str, str],
        attributes: KeyAttributes,
        *,
        specification: KeySpecification,
        rotation: RotationPolicy | UnsetType | None,
        release: Release,
        export_by_default: bool,
        prepared: PreparedKey | None,
        make: Callable[[KeySpecification, bool, Vault], KeyMaterial],
        only_if_absent: bool,
    ) -> KeyVersion:
        """Keep new material as a key's newest version. operation: its name in the audit, and the right it takes; place:
        vault and name; prepared: what is there already; make: makes it, exportable or not, once the caller is known to
        be allowed to."""
        (audited, action), (vault, name) = operation, place
        with self._attempt(caller, audited, self._scope(vault, f"keys/{name}")) as attempt:

            def checked() -> tuple[Vault, Key | None, KeyAttributes]:
                home = attempt.vault(vault, action, f"keys/{name}")
                require_valid(name, specification, attributes)
                require_place(home, specification)
                require_rotation(home, attributes.rotation)
                there = self._free_name(attempt, home, KEY, name)
                require_room(attempt, home, there)
                whole = with_release(attributes, release, there, export_by_default=export_by_default)
                if rotation is not UNSET and rotation != (there.rotation if there is not None else None):
                    attempt.require(WRITE_KEY_POLICY, attempt.subject, data=True)
                if there is not None:
                    attempt.subject = self._scope(home, f"keys/{there.name}")
                    if only_if_absent:
                        raise errors.already_there(KEY.word, there.name, home.name)
                return home, there, whole

            if prepared is None:
                with attempt.look():
                    home, _, whole = checked()
                prepared = PreparedKey(specification, make(specification, whole.exportable, home), whole.exportable)
            with self._kept(prepared.specification, prepared.material), attempt.transaction():
                home, there, whole = checked()
                require_fitting(prepared, specification, whole.exportable)
                if rotation is UNSET and there is not None:
                    whole = msgspec.structs.replace(whole, rotation=there.rotation)
                return self._keep(
                    attempt, home, there, name, specification, prepared.material, whole, by_rotation=False
                )

    def rotate_key(self, caller: Caller, vault: str, name: str, *, prepared: PreparedKey | None = None) -> KeyVersion:
        """Make a new version with the newest one's attributes; it expires when the rotation policy says so."""
        with self._attempt(caller, "KeyRotate", self._scope(vault, f"keys/{name}")) as attempt:

            def found() -> tuple[Vault, Key]:
                home = attempt.vault(vault, ROTATE, f"keys/{name}")
                there = live(attempt, home, KEY, name)
                attempt.subject = self._scope(home, f"keys/{there.name}")
                return home, there

            if prepared is None:
                prepared = self._next_key(attempt, found)
            return self._rotated_key(attempt, found, prepared)

    def _next_key(self, attempt: Attempt, found: Callable[[], tuple[Vault, Key]]) -> PreparedKey:
        """Make what a key's next version will be, while the store is free for others."""
        with attempt.look():
            home, there = found()
            _require_rotatable(attempt, home, there)
        material = self._generated(there.specification, there.exportable, home)
        return PreparedKey(there.specification, material, there.exportable)

    def _rotated_key(
        self, attempt: Attempt, found: Callable[[], tuple[Vault, Key]], prepared: PreparedKey
    ) -> KeyVersion:
        """Keep a key's next version, if it still is to have one."""
        with self._kept(prepared.specification, prepared.material), attempt.transaction():
            home, there = found()
            _require_rotatable(attempt, home, there)
            require_fitting(prepared, there.specification, there.exportable)
            attributes = KeyAttributes(
                there.operations,
                there.enabled,
                there.not_before,
                expiry_by_rotation(there, attempt.now),
                there.tags,
                there.rotation,
                there.exportable,
                there.release_policy,
            )
            return self._keep(
                attempt,
                home,
                there,
                there.name,
                prepared.specification,
                prepared.material,
                attributes,
                by_rotation=True,
            )

    def update_key(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        version: str | None = None,
        operations: Set[Operation] | UnsetType = UNSET,
        enabled: bool | UnsetType = UNSET,
        not_before: datetime | UnsetType | None = UNSET,
        expires: datetime | UnsetType | None = UNSET,
        tags: Mapping[str, str] | UnsetType = UNSET,
        release_policy: ReleasePolicy | UnsetType = UNSET,
    ) -> KeyVersion:
        """Change the attributes of one version; what is not given stays, a date given as None is taken away.
        release_policy: the key's, of all its versions; one that was made immutable stays."""
        with (
            self._attempt(caller, "KeyUpdate", self._scope(vault, f"keys/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, UPDATE, f"keys/{name}")
            item = live(attempt, home, KEY, name)
            attempt.subject = self._scope(home, f"keys/{item.name}")
            require_unmanaged(KEY, item)
            row = key_version(attempt, item, version)
            changed = msgspec.structs.replace(
                row,
                operations=row.operations if operations is UNSET else frozenset(operations),
                enabled=row.enabled if enabled is UNSET else enabled,
                not_before=row.not_before if not_before is UNSET else moment("not_before", not_before),
                expires=row.expires if expires is UNSET else moment("expires", expires),
                tags=row.tags if tags is UNSET else dict(tags),
                updated=attempt.now,
            )
            require_valid(
                item.name,
                row.specification,
                KeyAttributes(
                    changed.operations, changed.enabled, changed.not_before, changed.expires, changed.tags, None
                ),
            )
            KEY_VERSIONS.put(attempt.tx, changed)
            if release_policy is not UNSET:
                item = with_policy(item, version, release_policy)
            if row.version == item.version:
                item = msgspec.structs.replace(
                    item,
                    operations=changed.operations,
                    enabled=changed.enabled,
                    not_before=changed.not_before,
                    expires=changed.expires,
                    tags=changed.tags,
                    updated=attempt.now,
                )
                KEYS.put(attempt.tx, item)
            return key_record(home, item, changed)

    def get_key(
        self, caller: Caller, vault: str, name: str, *, version: str | None = None, newest: bool = False
    ) -> KeyVersion:
        """Return the public half and the attributes of a version; where none is named of the newest that is enabled, or
        of the newest of all."""
        with (
            self._attempt(caller, "KeyGet", self._scope(vault, f"keys/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, KEY.read, f"keys/{name}")
            item = live(attempt, home, KEY, name)
            row = key_version(attempt, item, version) if newest else usable_version(attempt, item, version)
            return key_record(home, item, row)

    def list_keys(self, caller: Caller, vault: str) -> tuple[Key, ...]:
        """Return the keys of a vault, each with its newest version's attributes."""
        return self._list_items(KEY, caller, vault, deleted=False)

    def list_key_versions(self, caller: Caller, vault: str, name: str) -> tuple[KeyVersion, ...]:
        """Return all versions of a key, oldest first; none for a key that is not there, as on Azure."""
        return self._list_versions(KEY, KEY_VERSIONS, key_record, caller, vault, name)

    def delete_key(self, caller: Caller, vault: str, name: str) -> Key:
        """Soft-delete a key."""
        return self._delete_item(KEY, caller, vault, name)

    def list_deleted_keys(self, caller: Caller, vault: str) -> tuple[Key, ...]:
        """Return the soft-deleted keys of a vault."""
        return self._list_items(KEY, caller, vault, deleted=True)

    def get_deleted_key(self, caller: Caller, vault: str, name: str) -> Key:
        """Return a soft-deleted key."""
        return self._get_deleted_item(KEY, caller, vault, name)

    def recover_key(self, caller: Caller, vault: str, name: str) -> Key:
        """Bring a soft-deleted key back, with every version and its old settings."""
        return self._recover_item(KEY, caller, vault, name)

    def purge_key(self, caller: Caller, vault: str, name: str) -> None:
        """Destroy a soft-deleted key for good: what it encrypted is lost."""
        self._purge_item(KEY, caller, vault, name)

    def _keep(
        self,
        attempt: Attempt,
        home: Vault,
        there: Key | None,
        name: str,
        specification: KeySpecification,
        material: KeyMaterial,
        attributes: KeyAttributes,
        *,
        by_rotation: bool,
    ) -> KeyVersion:
        require_home(home, material)
        key, version, now = folded(name), self._random(16).hex(), attempt.now
        row = KeyVersionRow(
            vault_id=home.id,
            folded=key,
            version=version,
            number=there.versions + 1 if there is not None else 1,
            specification=specification,
            operations=attributes.operations,
            public=material.public,
            provider=material.provider,
            sealed=self._sealed_material(home.id, key, version, material),
            enabled=attributes.enabled,
            not_before=moment("not_before", attributes.not_before),
            expires=moment("expires", attributes.expires),
            tags=attributes.tags,
            created=now,
            updated=now,
            by_rotation=by_rotation,
        )
        item = Key(
            vault_id=home.id,
            folded=key,
            vault=home.name,
            name=there.name if there is not None else name,
            version=version,
            specification=specification,
            operations=row.operations,
            enabled=row.enabled,
            not_before=row.not_before,
            expires=row.expires,
            tags=row.tags,
            rotation=attributes.rotation,
            created=there.created if there is not None else now,
            updated=now,
            version_created=now,
            by_rotation=by_rotation,
            versions=row.number,
            exportable=attributes.exportable,
            release_policy=attributes.release_policy,
            previous_since=previous_since(there, now),
        )
        KEY_VERSIONS.put(attempt.tx, row)
        KEYS.put(attempt.tx, item)
        emit_version(attempt, home, item, "NewVersionCreated")
        return key_record(home, item, row)


def _require_rotatable(attempt: Attempt, home: Vault, there: Key) -> None:
    require_unmanaged(KEY, there)
    require_place(home, there.specification)
    require_policy(home, there)
    require_room(attempt, home, there)


def key_version(attempt: Attempt, item: Key, version: str | None) -> KeyVersionRow:
    """Return one version of a key. Raises NotFound."""
    row = KEY_VERSIONS.get(attempt.tx, item.vault_id, item.folded, item.version if version is None else version)
    if row is None:
        raise version_not_found(KEY, item, version or item.version)
    return row


def usable_version(attempt: Attempt, item: Key, version: str | None) -> KeyVersionRow:
    """Return one version of a key, the newest that is enabled where none is named. Raises NotFound."""
    row = key_version(attempt, item, version)
    return newest_enabled(attempt, KEY_VERSIONS, row) if version is None else row


def key_record(home: Vault, item: Key, row: KeyVersionRow) -> KeyVersion:
    """Return what may be known of a version."""
    return KeyVersion(
        vault=home.name,
        name=item.name,
        version=row.version,
        specification=row.specification,
        operations=row.operations,
        public=row.public,
        provider=row.provider,
        enabled=row.enabled,
        not_before=row.not_before,
        expires=row.expires,
        tags=row.tags,
        created=row.created,
        updated=row.updated,
        by_rotation=row.by_rotation,
        recovery_level=home.recovery_level,
        managed=item.managed,
        exportable=item.exportable,
        release_policy=item.release_policy,
    )
