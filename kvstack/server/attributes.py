"""The attributes of a key, secret or certificate: as clients see them, and as they set and change them."""

from datetime import UTC, datetime
from typing import Final, TypeAlias, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.server.answer import bad_parameter
from kvstack.vault.records import Certificate, CertificateVersion, Key, KeyVersion, Secret, SecretVersion

Item: TypeAlias = Key | Secret | Certificate
Version: TypeAlias = KeyVersion | SecretVersion | CertificateVersion


class Attributes(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The attributes of a thing as clients see them. Times: seconds since 1970."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None
    created: int | None = None
    updated: int | None = None
    recoveryLevel: str | None = None  # noqa: N815
    recoverableDays: int | None = None  # noqa: N815
    exportable: bool | None = None
    hsmPlatform: str | None = None  # noqa: N815


class GivenAttributes(msgspec.Struct, frozen=True):
    """The attributes clients may set; others, which they send back as they got them, are left alone."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None
    exportable: bool | None = None


class Made(TypedDict):
    """What a new version is made with."""

    enabled: bool
    not_before: datetime | None
    expires: datetime | None


class Changed(TypedDict):
    """What of a version is to be another one."""

    enabled: bool | UnsetType
    not_before: datetime | UnsetType | None
    expires: datetime | UnsetType | None


NO_ATTRIBUTES: Final = GivenAttributes()


def attributes_of(one: Item | Version, level: str | None, days: int | None = None) -> Attributes:
    """Return the attributes of a version, or of a thing's newest one. level, days: of the vault's soft delete."""
    return Attributes(
        enabled=one.enabled,
        nbf=seconds(one.not_before),
        exp=seconds(one.expires),
        created=seconds(one.version_created if isinstance(one, Item) else one.created),
        updated=seconds(one.updated),
        recoveryLevel=level,
        recoverableDays=days,
        exportable=one.exportable if isinstance(one, Key | KeyVersion) else None,
    )


def made_with(given: GivenAttributes | None) -> Made:
    """Return what a client wants a new version to be made with. Raises Refusal."""
    wanted = given or NO_ATTRIBUTES
    return Made(
        enabled=True if wanted.enabled is None else wanted.enabled,
        not_before=moment("nbf", wanted.nbf),
        expires=moment("exp", wanted.exp),
    )


def changed_by(given: GivenAttributes | None) -> Changed:
    """Return what a client wants changed of a version; what it does not give stays. Raises Refusal."""
    wanted = given or NO_ATTRIBUTES
    return Changed(
        enabled=UNSET if wanted.enabled is None else wanted.enabled,
        not_before=UNSET if wanted.nbf is None else moment("nbf", wanted.nbf),
        expires=UNSET if wanted.exp is None else moment("exp", wanted.exp),
    )


def exportable_by(given: GivenAttributes | None) -> bool | UnsetType:
    """Return whether a client wants a key to be exportable, where it says so."""
    return UNSET if given is None or given.exportable is None else given.exportable


def seconds(moment: datetime | None) -> int | None:
    """Return a moment as Azure writes it."""
    return int(moment.timestamp()) if moment is not None else None


def moment(attribute: str, second: int | None) -> datetime | None:
    """Return the moment of a number of seconds since 1970. Raises Refusal for one no calendar has."""
    if second is None:
        return None
    try:
        return datetime.fromtimestamp(second, UTC)
    except (OverflowError, ValueError, OSError):
        raise bad_parameter(f"`attributes.{attribute}` is no number of seconds since 1970.") from None
