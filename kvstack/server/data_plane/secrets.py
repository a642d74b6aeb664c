"""The operations on secrets, in Azure's words. Source: azure/openapi/data-plane, secrets.json."""

import base64
from typing import Final

import msgspec
from msgspec import UNSET

from kvstack.server.answer import NOTHING, Answer, answered, bad_parameter
from kvstack.server.attributes import Attributes, GivenAttributes, changed_by, made_with
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import (
    Asked,
    Backup,
    bytes_of,
    item_attributes,
    item_page,
    page,
    place,
    recovery,
    text_of,
    version_attributes,
)
from kvstack.terms.certificate import PKCS12
from kvstack.terms.secret import SecretValue
from kvstack.vault.records import Secret, SecretVersion


class SecretBundle(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A secret as clients get it, alive or deleted, in whole or in a list."""

    value: str | None = None
    id: str
    contentType: str | None = None  # noqa: N815
    attributes: Attributes
    tags: dict[str, str] | None = None
    kid: str | None = None
    managed: bool | None = None
    recoveryId: str | None = None  # noqa: N815
    deletedDate: int | None = None  # noqa: N815
    scheduledPurgeDate: int | None = None  # noqa: N815

    def __repr__(self) -> str:
        return f"SecretBundle({self.id}, ****)"


class SetSecret(msgspec.Struct, frozen=True):
    """What a client gives to set a secret."""

    value: str
    contentType: str | None = None  # noqa: N815
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None

    def __repr__(self) -> str:
        return "SetSecret(****)"


class UpdateSecret(msgspec.Struct, frozen=True):
    """What a client gives to change a version's attributes."""

    contentType: str | None = None  # noqa: N815
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None


def get_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetSecret: with its value."""
    name, version = place(names)
    found = asked.service.get_secret(asked.caller, asked.vault, name, version=version)
    return answered(_bundle(asked, found, _text(found)))


def set_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """SetSecret: a new secret, or a new version."""
    given = asked.request.document(SetSecret)
    made = asked.service.set_secret(
        asked.caller,
        asked.vault,
        names[0],
        SecretValue(given.value),
        content_type=given.contentType or "",
        **made_with(given.attributes),
        tags=given.tags,
    )
    return answered(_bundle(asked, made, given.value))


def update_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateSecret: the attributes of a version; what is not given stays."""
    name, version = place(names)
    given = asked.request.document(UpdateSecret)
    changed = asked.service.update_secret(
        asked.caller,
        asked.vault,
        name,
        version=version,
        content_type=UNSET if given.contentType is None else given.contentType,
        **changed_by(given.attributes),
        tags=UNSET if given.tags is None else given.tags,
    )
    return answered(_bundle(asked, changed))


def get_secrets(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetSecrets: a page of those that are alive."""
    return item_page(asked, "secrets", lambda one: _item(asked, one), "/secrets")


def get_secret_versions(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetSecretVersions: a page of a secret's versions; of none there is an empty one."""
    found = asked.service.list_secret_versions(asked.caller, asked.vault, names[0])
    ordered = sorted(found, key=lambda one: one.version)
    return page(
        asked, ordered, lambda one: one.version, lambda one: _bundle(asked, one), f"/secrets/{names[0]}/versions"
    )


def delete_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """DeleteSecret: it can be recovered."""
    return answered(_item(asked, asked.service.delete_secret(asked.caller, asked.vault, names[0]), versioned=True))


def get_deleted_secrets(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetDeletedSecrets: a page of those that can be recovered."""
    return item_page(asked, "secrets", lambda one: _item(asked, one), "/deletedsecrets", deleted=True)


def get_deleted_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetDeletedSecret."""
    found = asked.service.get_deleted_secret(asked.caller, asked.vault, names[0])
    return answered(_item(asked, found, versioned=True))


def recover_deleted_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RecoverDeletedSecret."""
    return answered(_item(asked, asked.service.recover_secret(asked.caller, asked.vault, names[0]), versioned=True))


def purge_deleted_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """PurgeDeletedSecret: gone for good."""
    asked.service.purge_secret(asked.caller, asked.vault, names[0])
    return NOTHING


def backup_secret(asked: Asked, names: tuple[str, ...]) -> Answer:
    """BackupSecret."""
    return answered({"value": text_of(asked.service.backup_secret(asked.caller, asked.vault, names[0]))})


def restore_secret(asked: Asked, _: tuple[str, ...]) -> Answer:
    """RestoreSecret."""
    blob = bytes_of("value", asked.request.document(Backup).value)
    return answered(_item(asked, asked.service.restore_secret(asked.caller, asked.vault, blob), versioned=True))


def _text(one: SecretVersion) -> str:
    """Return a secret's value as JSON holds it. That of a certificate is a file: a PFX is given in base64."""
    value = one.value.reveal() if one.value is not None else b""
    if one.managed and one.content_type == PKCS12:
        return base64.b64encode(value).decode()
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise bad_parameter("The value of this secret is not text in UTF-8: JSON cannot hold it.") from None


def _bundle(asked: Asked, one: SecretVersion, value: str | None = None) -> SecretBundle:
    return SecretBundle(
        value=value,
        id=f"{asked.base}/secrets/{one.name}/{one.version}",
        contentType=one.content_type or None,
        attributes=version_attributes(asked, one),
        tags=dict(one.tags) or None,
        kid=f"{asked.base}/keys/{one.name}/{one.version}" if one.managed else None,
        managed=True if one.managed else None,
    )


def _item(asked: Asked, one: Secret, *, versioned: bool = False) -> SecretBundle:
    return SecretBundle(
        id=f"{asked.base}/secrets/{one.name}" + (f"/{one.version}" if versioned else ""),
        contentType=one.content_type or None,
        attributes=item_attributes(asked, one),
        tags=dict(one.tags) or None,
        kid=f"{asked.base}/keys/{one.name}/{one.version}" if one.managed and versioned else None,
        managed=True if one.managed else None,
        **recovery(asked, one, "deletedsecrets"),
    )


OPERATIONS: Final = (
    Operation("GetSecret", "GET", ("secrets", "{}"), get_secret, lane="reading"),
    Operation("GetSecret", "GET", ("secrets", "{}", "{}"), get_secret, lane="reading"),
    Operation("SetSecret", "PUT", ("secrets", "{}"), set_secret),
    Operation("UpdateSecret", "PATCH", ("secrets", "{}"), update_secret),
    Operation("UpdateSecret", "PATCH", ("secrets", "{}", "{}"), update_secret),
    Operation("GetSecrets", "GET", ("secrets",), get_secrets, lane="reading"),
    Operation("GetSecretVersions", "GET", ("secrets", "{}", "versions"), get_secret_versions, lane="reading"),
    Operation("DeleteSecret", "DELETE", ("secrets", "{}"), delete_secret),
    Operation("BackupSecret", "POST", ("secrets", "{}", "backup"), backup_secret),
    Operation("RestoreSecret", "POST", ("secrets", "restore"), restore_secret),
    Operation("GetDeletedSecrets", "GET", ("deletedsecrets",), get_deleted_secrets, lane="reading"),
    Operation("GetDeletedSecret", "GET", ("deletedsecrets", "{}"), get_deleted_secret, lane="reading"),
    Operation("RecoverDeletedSecret", "POST", ("deletedsecrets", "{}", "recover"), recover_deleted_secret),
    Operation("PurgeDeletedSecret", "DELETE", ("deletedsecrets", "{}"), purge_deleted_secret),
)
