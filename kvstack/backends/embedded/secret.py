"""Secrets in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.tags import tags_of
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.rotation import policy
from kvstack.resources.secret import Secret
from kvstack.schema.resource import Resource
from kvstack.terms.generator import Generator
from kvstack.terms.rotation import RotationPolicy
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class SecretHandler:
    """Sets, updates, rotates, deletes, recovers and purges secrets."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[Secret]) -> Actual[Resource]:
        """Set the secret's first value."""
        try:
            return self._set(wanted, only_if_absent=True)
        except Conflict:
            if (there := already(self._service, self._caller, self._places.subscription, wanted)) is not None:
                return there
            raise

    def rotate(self, actual: Actual[Secret], wanted: Wanted[Secret]) -> Actual[Resource]:
        """Set another value: a new version. One that has a rotator is rotated by it: nobody gets a value that does not
        work."""
        secret, name = wanted.resource, actual.resource.name
        if secret.rotation is None or secret.rotation.rotator is None:
            return self._set(wanted, only_if_absent=False)
        around = frozenset({"rotation", "enabled", "not_before", "expires", "content_type", "tags"})
        self.update(actual, wanted, around - secret.left_to_the_vault())
        made = self._service.rotate_secret(self._caller, actual.vault, name)
        return reading.of_secret(made, self._places.vault(actual.vault).path, secret.rotation)

    def update(self, actual: Actual[Secret], wanted: Wanted[Secret], changed: frozenset[str]) -> Actual[Resource]:
        """Change attributes of the current version, and the rotation policy."""
        secret, name = wanted.resource, actual.resource.name
        changes: dict[str, object] = {
            attribute: getattr(secret, attribute)
            for attribute in ("enabled", "not_before", "expires")
            if attribute in changed
        }
        if "content_type" in changed:
            changes["content_type"] = secret.content_type or ""
        if "tags" in changed or "owner" in changed:
            changes["tags"] = tags_of(wanted)
        with self._service.batch():
            if "rotation" in changed:
                self._service.set_rotation_policy(
                    self._caller, actual.vault, "secrets", name, _policy(secret), generator=_generator(secret)
                )
            updated = self._service.update_secret(self._caller, actual.vault, name, **changes)  # type: ignore[arg-type]  # each under its own name
        rotation = secret.rotation if "rotation" in changed else actual.resource.rotation
        return reading.of_secret(updated, self._places.vault(actual.vault).path, rotation)

    def delete(self, actual: Actual[Secret]) -> None:
        """Delete the secret; it can be recovered."""
        with contextlib.suppress(NotFound):  # one that is gone already is no error
            self._service.delete_secret(self._caller, actual.vault, actual.resource.name)

    def recover(self, actual: Actual[Secret]) -> Actual[Resource]:
        """Bring the secret back with every version."""
        secret = self._service.recover_secret(self._caller, actual.vault, actual.resource.name)
        return reading.of_secret(secret, self._places.vault(actual.vault).path, actual.resource.rotation)

    def purge(self, actual: Actual[Secret]) -> None:
        """Destroy the deleted secret for good."""
        self._service.purge_secret(self._caller, actual.vault, actual.resource.name)

    def _set(self, wanted: Wanted[Secret], *, only_if_absent: bool) -> Actual[Resource]:
        secret = wanted.resource
        if wanted.value is None:
            raise ValueError(f"no value to set {wanted.vault}/secrets/{secret.name} to")
        made = self._service.set_secret(
            self._caller,
            wanted.vault,
            secret.name,
            wanted.value,
            content_type=secret.content_type or "",
            enabled=secret.enabled,
            not_before=secret.not_before,
            expires=secret.expires,
            tags=tags_of(wanted),
            rotation=_policy(secret),
            generator=_generator(secret),
            only_if_absent=only_if_absent,
        )
        return reading.of_secret(made, self._places.vault(wanted.vault).path, secret.rotation)


def _policy(secret: Secret) -> RotationPolicy | None:
    return policy(secret.rotation) if secret.rotation is not None else None


def _generator(secret: Secret) -> Generator | None:
    """Return how the vault makes other values by itself; None where the value comes from elsewhere."""
    source = secret.value_from
    return source.generate.generator if source is not None and source.generate is not None else None
