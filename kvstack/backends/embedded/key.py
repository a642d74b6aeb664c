"""Keys in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.tags import tags_of
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.key import Key
from kvstack.resources.release_policy import kept
from kvstack.resources.rotation import Rotation, policy
from kvstack.schema.resource import Resource
from kvstack.terms.rotation import RotationPolicy
from kvstack.vault import records
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class KeyHandler:
    """Creates, updates, rotates, deletes, recovers and purges keys. Making one is slow, and happens on the caller's
    thread."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[Key]) -> Actual[Resource]:
        """Generate the key."""
        try:
            return self._made(wanted, only_if_absent=True)
        except Conflict:
            if (there := already(self._service, self._caller, self._places.subscription, wanted)) is not None:
                return there
            raise

    def rotate(self, actual: Actual[Key], wanted: Wanted[Key]) -> Actual[Resource]:
        """Generate a new version with the attributes declared."""
        return self._made(wanted, only_if_absent=False)

    def update(self, actual: Actual[Key], wanted: Wanted[Key], changed: frozenset[str]) -> Actual[Resource]:
        """Change attributes of the current version, and the rotation policy."""
        key, name = wanted.resource, actual.resource.name
        changes: dict[str, object] = {
            attribute: getattr(key, attribute)
            for attribute in ("operations", "enabled", "not_before", "expires")
            if attribute in changed
        }
        if "release_policy" in changed:
            changes["release_policy"] = kept(key.release_policy)
        if "tags" in changed or "owner" in changed:
            changes["tags"] = tags_of(wanted)
        with self._service.batch():
            if "rotation" in changed:
                self._service.set_rotation_policy(self._caller, actual.vault, "keys", name, _policy(key))
            updated = self._service.update_key(self._caller, actual.vault, name, **changes)  # type: ignore[arg-type]  # each under its own name
        rotation = key.rotation if "rotation" in changed else actual.resource.rotation
        return self._read(updated, rotation)

    def delete(self, actual: Actual[Key]) -> None:
        """Delete the key; it can be recovered."""
        with contextlib.suppress(NotFound):  # one that is gone already is no error
            self._service.delete_key(self._caller, actual.vault, actual.resource.name)

    def recover(self, actual: Actual[Key]) -> Actual[Resource]:
        """Bring the key back with every version."""
        key = self._service.recover_key(self._caller, actual.vault, actual.resource.name)
        return self._read(key, actual.resource.rotation)

    def purge(self, actual: Actual[Key]) -> None:
        """Destroy the deleted key for good."""
        self._service.purge_key(self._caller, actual.vault, actual.resource.name)

    def _made(self, wanted: Wanted[Key], *, only_if_absent: bool) -> Actual[Resource]:
        key = wanted.resource
        made = self._service.create_key(
            self._caller,
            wanted.vault,
            key.name,
            specification=key.specification,
            operations=key.operations,
            enabled=key.enabled,
            not_before=key.not_before,
            expires=key.expires,
            tags=tags_of(wanted),
            rotation=_policy(key),
            exportable=key.exportable,
            release_policy=kept(key.release_policy),
            only_if_absent=only_if_absent,
        )
        return self._read(made, key.rotation)

    def _read(self, key: records.Key | records.KeyVersion, rotation: Rotation | None) -> Actual[Resource]:
        return reading.of_key(key, self._places.vault(key.vault).path, rotation)


def _policy(key: Key) -> RotationPolicy | None:
    return policy(key.rotation) if key.rotation is not None else None
