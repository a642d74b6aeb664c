"""Keys as clients get them: in whole or in a list, alive or deleted, and what stands in them."""

import msgspec

from kvstack.server.attributes import Attributes
from kvstack.server.data_plane.context import Asked, item_attributes, recovery, text_of, version_attributes
from kvstack.terms.release_policy import ReleasePolicy
from kvstack.vault.records import Key, KeyVersion


class GivenReleasePolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A release policy. data: base64url."""

    data: str | None = None
    contentType: str | None = None  # noqa: N815
    immutable: bool | None = None


class JsonWebKey(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The half of a key everybody may see."""

    kid: str
    kty: str
    key_ops: list[str]
    n: str | None = None
    e: str | None = None
    crv: str | None = None
    x: str | None = None
    y: str | None = None


class KeyBundle(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A key as clients get it, alive or deleted. kid: in a list, in place of the key itself."""

    kid: str | None = None
    key: JsonWebKey | None = None
    attributes: Attributes
    tags: dict[str, str] | None = None
    managed: bool | None = None
    release_policy: GivenReleasePolicy | None = None
    recoveryId: str | None = None  # noqa: N815
    deletedDate: int | None = None  # noqa: N815
    scheduledPurgeDate: int | None = None  # noqa: N815


def key_id(asked: Asked, name: str, version: str) -> str:
    """Return a version's id."""
    return f"{asked.base}/keys/{name}/{version}"


def bundle(asked: Asked, one: KeyVersion) -> KeyBundle:
    """Return a version as clients get it."""
    return KeyBundle(
        key=_jwk(asked, one),
        attributes=version_attributes(asked, one),
        tags=dict(one.tags) or None,
        managed=True if one.managed else None,
        release_policy=_told_policy(one.release_policy),
    )


def version_item(asked: Asked, one: KeyVersion) -> KeyBundle:
    """Return a version as it stands in a list."""
    return KeyBundle(
        kid=key_id(asked, one.name, one.version),
        attributes=version_attributes(asked, one),
        tags=dict(one.tags) or None,
        managed=True if one.managed else None,
    )


def whole(asked: Asked, key: Key) -> KeyBundle:
    """Return a key with its newest version's public half, and since when it is deleted."""
    found = bundle(asked, asked.service.newest_version(key))
    return msgspec.structs.replace(found, **recovery(asked, key, "deletedkeys"))


def item(asked: Asked, one: Key) -> KeyBundle:
    """Return a key as it stands in a list."""
    return KeyBundle(
        kid=f"{asked.base}/keys/{one.name}",
        attributes=item_attributes(asked, one),
        tags=dict(one.tags) or None,
        managed=True if one.managed else None,
        **recovery(asked, one, "deletedkeys"),
    )


def _jwk(asked: Asked, one: KeyVersion) -> JsonWebKey:
    public = one.public
    return JsonWebKey(
        kid=key_id(asked, one.name, one.version),
        kty=one.specification.type,
        key_ops=sorted(one.operations),
        n=text_of(public.n) if public.n else None,
        e=text_of(public.e) if public.e else None,
        crv=public.curve,
        x=text_of(public.x) if public.x else None,
        y=text_of(public.y) if public.y else None,
    )


def _told_policy(policy: ReleasePolicy | None) -> GivenReleasePolicy | None:
    if policy is None:
        return None
    return GivenReleasePolicy(text_of(policy.data), policy.content_type, policy.immutable)
