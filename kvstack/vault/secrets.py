"""Secrets: set, read, changed, soft-deleted, recovered, purged; rotating them is in `rotating.py`."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.terms import limits
from kvstack.terms.access_policy import SEE_SECRET
from kvstack.terms.generator import Generator
from kvstack.terms.name import folded
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.events import emit_version
from kvstack.vault.items import (
    SECRET,
    SECRETS,
    ItemOperations,
    attribute_problems,
    live,
    moment,
    newest_enabled,
    previous_since,
    require_unmanaged,
    version_not_found,
)
from kvstack.vault.key_attributes import expiry_by_rotation
from kvstack.vault.records import Secret, SecretVersion, Vault
from kvstack.vault.rotation import require_possible, require_rotator, without_attempt
from kvstack.vault.superseded import note_version, superseded_since
from kvstack.vault.versions import SECRET_VERSIONS, SecretVersionRow
from kvstack.vault.warm import Warm

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked

GET = SECRET.action("getSecret/action")
SET = SECRET.action("setSecret/action")
UPDATE = SECRET.action("update/action")


class SecretAttributes(msgspec.Struct, frozen=True):
    """What a new version is to be like; rotation and generator are the secret's."""

    content_type: str
    enabled: bool
    not_before: datetime | None
    expires: datetime | None
    tags: dict[str, str]
    rotation: RotationPolicy | None
    generator: Generator | None


class SecretOperations(ItemOperations):
    """What can be done with secrets."""

    def __init__(self, unlocked: "Unlocked", *, random: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__(unlocked, random=random)
        self._warm_secrets: Warm[tuple[Secret, SecretVersionRow, datetime | None]] = Warm()

    def set_secret(
        self,
        caller: Caller,
        vault: str,
        name: str,
        value: SecretValue,
        *,
        content_type: str = "",
        enabled: bool = True,
        not_before: datetime | None = None,
        expires: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        rotation: RotationPolicy | UnsetType | None = UNSET,
        generator: Generator | UnsetType | None = UNSET,
        by_rotation: bool = False,
        only_if_absent: bool = False,
    ) -> SecretVersion:
        """Set a secret: a new one, or a new version of one that is there. Attributes are the new version's own; the
        rotation policy and the generator (how the vault makes other values by itself) are the secret's, and stay where
        none is given. only_if_absent: raise Conflict where there is one."""
        with (
            self._attempt(caller, "SecretSet", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, SET, f"secrets/{name}")
            not_before, expires = moment("not_before", not_before), moment("expires", expires)
            own_tags = dict(tags) if tags else {}
            _require_valid(name, len(value), content_type, own_tags, not_before, expires)
            there = self._free_name(attempt, home, SECRET, name)
            if there is not None:
                attempt.subject = self._scope(home, f"secrets/{there.name}")
                if only_if_absent:
                    raise errors.already_there(SECRET.word, there.name, home.name)
            given = SecretAttributes(
                content_type,
                enabled,
                not_before,
                expires,
                own_tags,
                rotation if rotation is not UNSET else there.rotation if there is not None else None,
                generator if generator is not UNSET else there.generator if there is not None else None,
            )
            if rotation is not UNSET or generator is not UNSET:
                require_possible(given.rotation, given.generator)
            before = there.rotation.rotator if there is not None and there.rotation is not None else None
            require_rotator(attempt, given.rotation, before, operator=self._settings.operator_id)
            return self._keep_value(attempt, home, there, name, value, given, by_rotation=by_rotation)

    def _keep_value(
        self,
        attempt: Attempt,
        home: Vault,
        there: Secret | None,
        name: str,
        value: SecretValue,
        given: SecretAttributes,
        *,
        by_rotation: bool,
        version: str = "",
    ) -> SecretVersion:
        """Keep a value as a secret's newest version. version: its id where it has one already."""
        key, now, revealed = folded(name), attempt.now, value.reveal()
        version = version or self._random(16).hex()
        fingerprint = self._barrier.fingerprint((home.folded, key), revealed)
        row = SecretVersionRow(
            vault_id=home.id,
            folded=key,
            version=version,
            number=there.versions + 1 if there is not None else 1,
            content_type=given.content_type,
            fingerprint=fingerprint,
            sealed=self._barrier.seal(home.id, value_context(home.id, key, version), revealed),
            enabled=given.enabled,
            not_before=given.not_before,
            expires=given.expires,
            tags=given.tags,
            created=now,
            updated=now,
            by_rotation=by_rotation,
        )
        item = Secret(
            vault_id=home.id,
            folded=key,
            vault=home.name,
            name=there.name if there is not None else name,
            version=version,
            content_type=given.content_type,
            enabled=given.enabled,
            not_before=given.not_before,
            expires=given.expires,
            tags=given.tags,
            fingerprint=fingerprint,
            rotation=given.rotation,
            created=there.created if there is not None else now,
            updated=now,
            version_created=now,
            by_rotation=by_rotation,
            versions=row.number,
            previous_since=previous_since(there, now),
            generator=given.generator,
            underway=there.underway if there is not None else None,
        )
        item = without_attempt(attempt, item)
        SECRET_VERSIONS.put(attempt.tx, row)
        SECRETS.put(attempt.tx, item)
        emit_version(attempt, home, item, "NewVersionCreated")
        return secret_record(home, item, row)

    def get_secret(self, caller: Caller, vault: str, name: str, *, version: str | None = None) -> SecretVersion:
        """Return a secret with its value, of the newest version that is enabled where none is named. Outside its dates
        it is readable.

        Raises Forbidden (SecretDisabled) for a version that is not enabled.
        """
        with (
            self._attempt(caller, "SecretGet", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, GET, f"secrets/{name}")
            key = folded(name)
            found = self._warm_secrets.get(attempt.tx, home.id, key, version)
            if found is None:
                secret = live(attempt, home, SECRET, name)
                usable = _usable(attempt, secret, version)
                found = secret, usable, superseded_since(attempt, SECRET_VERSIONS, secret, usable)
                self._warm_secrets.keep(attempt.tx, found, home.id, key, version)
            item, row, superseded = found
            if version is not None:
                note_version(attempt, row.version, superseded)
            if not row.enabled:
                raise Forbidden(f"the secret `{item.name}` in vault `{home.name}` is disabled", inner="SecretDisabled")
            value = self._barrier.open(home.id, value_context(home.id, row.folded, row.version), row.sealed)
            return secret_record(home, item, row, SecretValue(value))

    def get_secret_properties(
        self, caller: Caller, vault: str, name: str, *, version: str | None = None, newest: bool = False
    ) -> SecretVersion:
        """Return what is known of a version, without its value; where none is named of the newest that is enabled, or
        of the newest of all."""
        with (
            self._attempt(caller, "SecretGetProperties", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, SECRET.read, f"secrets/{name}", permissions=SEE_SECRET)
            item = live(attempt, home, SECRET, name)
            row = _version(attempt, item, version) if newest else _usable(attempt, item, version)
            return secret_record(home, item, row)

    def update_secret(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        version: str | None = None,
        content_type: str | UnsetType = UNSET,
        enabled: bool | UnsetType = UNSET,
        not_before: datetime | UnsetType | None = UNSET,
        expires: datetime | UnsetType | None = UNSET,
        tags: Mapping[str, str] | UnsetType = UNSET,
    ) -> SecretVersion:
        """Change the attributes of one version; what is not given stays, a date given as None is taken away."""
        with (
            self._attempt(caller, "SecretUpdate", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, UPDATE, f"secrets/{name}")
            item = live(attempt, home, SECRET, name)
            require_unmanaged(SECRET, item)
            row = _version(attempt, item, version)
            changed = msgspec.structs.replace(
                row,
                content_type=row.content_type if content_type is UNSET else content_type,
                enabled=row.enabled if enabled is UNSET else enabled,
                not_before=row.not_before if not_before is UNSET else moment("not_before", not_before),
                expires=row.expires if expires is UNSET else moment("expires", expires),
                tags=row.tags if tags is UNSET else dict(tags),
                updated=attempt.now,
            )
            _require_valid(item.name, 0, changed.content_type, changed.tags, changed.not_before, changed.expires)
            SECRET_VERSIONS.put(attempt.tx, changed)
            if row.version == item.version:
                SECRETS.put(
                    attempt.tx,
                    msgspec.structs.replace(
                        item,
                        content_type=changed.content_type,
                        enabled=changed.enabled,
                        not_before=changed.not_before,
                        expires=changed.expires,
                        tags=changed.tags,
                        updated=attempt.now,
                    ),
                )
            return secret_record(home, item, changed)

    def list_secrets(self, caller: Caller, vault: str) -> tuple[Secret, ...]:
        """Return the secrets of a vault, each with its newest version's attributes."""
        return self._list_items(SECRET, caller, vault, deleted=False)

    def list_secret_versions(self, caller: Caller, vault: str, name: str) -> tuple[SecretVersion, ...]:
        """Return all versions of a secret, oldest first; none for a secret that is not there, as on Azure."""
        return self._list_versions(SECRET, SECRET_VERSIONS, secret_record, caller, vault, name)

    def delete_secret(self, caller: Caller, vault: str, name: str) -> Secret:
        """Soft-delete a secret."""
        return self._delete_item(SECRET, caller, vault, name)

    def list_deleted_secrets(self, caller: Caller, vault: str) -> tuple[Secret, ...]:
        """Return the soft-deleted secrets of a vault."""
        return self._list_items(SECRET, caller, vault, deleted=True)

    def get_deleted_secret(self, caller: Caller, vault: str, name: str) -> Secret:
        """Return a soft-deleted secret."""
        return self._get_deleted_item(SECRET, caller, vault, name)

    def recover_secret(self, caller: Caller, vault: str, name: str) -> Secret:
        """Bring a soft-deleted secret back, with every version and its old settings."""
        return self._recover_item(SECRET, caller, vault, name)

    def purge_secret(self, caller: Caller, vault: str, name: str) -> None:
        """Destroy a soft-deleted secret for good."""
        self._purge_item(SECRET, caller, vault, name)

    def fingerprint(self, caller: Caller, vault: str, name: str, value: SecretValue) -> str:
        """Return the fingerprint a value would have as this secret's, the vault there already or not."""
        return self.fingerprints(caller, ((vault, name, value),))[0]

    def fingerprints(self, caller: Caller, values: Sequence[tuple[str, str, SecretValue]]) -> tuple[str, ...]:
        """Return the fingerprints of many values, given as (vault, name, value). Who may set a secret may ask: guessing
        against a fingerprint is no more than guessing a value one may replace."""
        with self._attempt(caller, "SecretFingerprint", self.top) as attempt, attempt.reading():
            attempt.details["count"] = str(len(values))
            everywhere: dict[str, bool] = {}
            found: list[str] = []
            for vault, name, value in values:
                key = folded(vault)
                there = attempt.registry.vault(vault)
                scope = self._scope(there or vault)
                if key not in everywhere:
                    everywhere[key] = attempt.may(SET, scope, data=True)
                if not everywhere[key]:
                    attempt.subject = msgspec.structs.replace(scope, item=f"secrets/{name}")
                    attempt.require(SET, attempt.subject, data=True)
                if there is not None:
                    attempt.require_let_in(there)
                found.append(self._barrier.fingerprint((key, folded(name)), value.reveal()))
            return tuple(found)


def next_attributes(secret: Secret, now: datetime) -> SecretAttributes:
    """Return what the version that follows by rotation is to be like: as the newest one, with the policy's expiry."""
    return SecretAttributes(
        secret.content_type,
        secret.enabled,
        secret.not_before,
        expiry_by_rotation(secret, now),
        secret.tags,
        secret.rotation,
        secret.generator,
    )


def value_context(vault_id: str, name: str, version: str) -> tuple[str, ...]:
    """Return the place of a version's value."""
    return vault_id, "secrets", name, version, "value"


def _version(attempt: Attempt, item: Secret, version: str | None) -> SecretVersionRow:
    row = SECRET_VERSIONS.get(attempt.tx, item.vault_id, item.folded, item.version if version is None else version)
    if row is None:
        raise version_not_found(SECRET, item, version or item.version)
    return row


def _usable(attempt: Attempt, item: Secret, version: str | None) -> SecretVersionRow:
    row = _version(attempt, item, version)
    return newest_enabled(attempt, SECRET_VERSIONS, row) if version is None else row


def _require_valid(
    name: str,
    size: int,
    content_type: str,
    tags: Mapping[str, str],
    not_before: datetime | None,
    expires: datetime | None,
) -> None:
    found = list(_problems(name, size, content_type, tags, not_before, expires))
    if found:
        raise BadParameter.of(found)


def _problems(
    name: str,
    size: int,
    content_type: str,
    tags: Mapping[str, str],
    not_before: datetime | None,
    expires: datetime | None,
) -> Iterator[tuple[str, str]]:
    yield from attribute_problems(SECRET, name, tags, not_before, expires)
    if size > limits.SECRET_BYTES:
        yield "value", f"the value has {size} bytes: a secret takes {limits.SECRET_BYTES}"
    if len(content_type) > limits.CONTENT_TYPE_CHARACTERS:
        yield "content_type", f"a content type has at most {limits.CONTENT_TYPE_CHARACTERS} characters"


def secret_record(home: Vault, item: Secret, row: SecretVersionRow, value: SecretValue | None = None) -> SecretVersion:
    """Return what may be known of a version. value: only for who may read it."""
    return SecretVersion(
        vault=home.name,
        name=item.name,
        version=row.version,
        content_type=row.content_type,
        enabled=row.enabled,
        not_before=row.not_before,
        expires=row.expires,
        tags=row.tags,
        fingerprint=row.fingerprint,
        created=row.created,
        updated=row.updated,
        by_rotation=row.by_rotation,
        recovery_level=home.recovery_level,
        managed=item.managed,
        value=value,
    )
