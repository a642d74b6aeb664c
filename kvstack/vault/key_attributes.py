"""What a new version of a key is to be like, and what no vault would take."""

from collections.abc import Iterator, Mapping, Set
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.terms import key as key_rules
from kvstack.terms import schedule
from kvstack.terms.key import KeySpecification, Operation, possible_operations
from kvstack.terms.release_policy import ReleasePolicy
from kvstack.terms.rotation import RotationPolicy
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import KEY, attribute_problems, moment
from kvstack.vault.records import Key, Secret
from kvstack.vault.rotation import require_valid_policy


class KeyAttributes(msgspec.Struct, frozen=True):
    """What a new version is to be like."""

    operations: frozenset[Operation]
    enabled: bool
    not_before: datetime | None
    expires: datetime | None
    tags: dict[str, str]
    rotation: RotationPolicy | None
    exportable: bool = False
    release_policy: ReleasePolicy | None = None


def new_attributes(
    specification: KeySpecification,
    operations: Set[Operation] | None,
    enabled: bool,
    not_before: datetime | None,
    expires: datetime | None,
    tags: Mapping[str, str] | None,
    rotation: RotationPolicy | UnsetType | None,
) -> KeyAttributes:
    """Return what a new version is to be like. operations: all the type can do where None."""
    allowed = frozenset(operations) if operations is not None else possible_operations(specification.type)
    own_rotation = None if rotation is UNSET else rotation
    return KeyAttributes(allowed, enabled, not_before, expires, dict(tags or {}), own_rotation)


def expiry_by_rotation(key: Key | Secret, now: datetime) -> datetime | None:
    """Return when a version made now by rotation expires."""
    if key.rotation is not None and key.rotation.expire_after is not None:
        return schedule.expiry_of_new(key.rotation, now)
    # The newest version's own date is kept while it lies ahead: a version must not be born expired.
    return key.expires if key.expires is not None and key.expires > now else None


def require_valid(name: str, specification: KeySpecification, attributes: KeyAttributes) -> None:
    """Refuse what no vault would take."""
    found = list(_problems(name, specification, attributes))
    if found:
        raise BadParameter.of(found)
    require_valid_policy(attributes.rotation)


def _problems(name: str, specification: KeySpecification, attributes: KeyAttributes) -> Iterator[tuple[str, str]]:
    not_before, expires = moment("not_before", attributes.not_before), moment("expires", attributes.expires)
    yield from attribute_problems(KEY, name, attributes.tags, not_before, expires)
    yield from key_rules.problems(specification, attributes.operations)
